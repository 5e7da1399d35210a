// The calls of one gateway: takes parts and inquiries from the inbox, hands the calls to the sessions, and tells the
// outcomes to who waits for them, in messages of many. The decisions are `InvocationLedger`'s.

private import JSON
package import RouteStore
package import ServiceKit
private import Synchronization

package final class GatewayCalls: CallDesk {
    package typealias MethodTopic = @Sendable (_ method: String) -> String

    /// Outcomes wait this long for others; callers wait for them, so it is short. While more calls are open than
    /// `busyCalls`, the callers wait for those as well, and fewer messages cost less: a worker
    /// lets outcomes wait for others as well before it records them, and longer.
    private static let outboxDelay: Duration = .milliseconds(3)
    private static let busyOutboxDelay: Duration = .milliseconds(20)
    private static let busyCalls = 500
    /// Outcomes in one message.
    private static let outcomesPerMessage = 500
    /// Messages that go to one inbox together, and their payload bytes: Redis' only thread does nothing else meanwhile.
    private static let messagesTogether = 32
    private static let bytesTogether = 1 << 20
    /// Times an answer message is offered to a full inbox or a lost Redis before it is left to the asker's inquiry.
    private static let answerTries = 5
    /// For what is still to be told at the end; Redis may not answer.
    private static let lastFlush: Duration = .seconds(5)

    private struct State {
        var ledger: InvocationLedger
        var redisClock: RedisClockReading?
        var outbox: [InvocationLedger.Notice] = []
        var isFlushing = false
        /// Not in the metrics yet: one look-up a call would cost more than the call's own bookkeeping.
        var sent = 0
        var answered = 0
        /// Flushes that send at the moment.
        var flushes = 0
        /// Calls that were not written because their time had passed, and that no log line has told yet.
        var refusedLate = 0

        /// Returns after what time the outbox is to be sent; nil when somebody does that already.
        mutating func put(_ notices: some Sequence<InvocationLedger.Notice>) -> Duration? {
            outbox.append(contentsOf: notices)
            guard !outbox.isEmpty, !isFlushing else { return nil }
            isFlushing = true
            return ledger.inFlight > busyCalls ? busyOutboxDelay : outboxDelay
        }
    }

    private let gateway: GatewayID
    private let routes: RouteStore
    private let methodTopic: MethodTopic
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private let metrics: Metrics
    private let state: Mutex<State>
    private let writer = Mutex<(any CallWriter)?>(nil)

    /// `methodTopic` makes the topic of a method's calls, up to the rid.
    package init(
        gateway: GatewayID, routes: RouteStore, limits: InvocationLedger.Limits = .init(),
        methodTopic: @escaping MethodTopic, clock: any ServiceClock, random: any RandomSource, log: Log,
        metrics: Metrics
    ) {
        self.gateway = gateway
        self.routes = routes
        self.methodTopic = methodTopic
        self.clock = clock
        self.random = random
        self.log = log
        self.metrics = metrics
        // 47 bits: with all that are counted up, exact also for a client that reads numbers as doubles.
        state = Mutex(State(ledger: InvocationLedger(limits: limits, firstRID: random.next() >> 17)))
    }

    /// To be called before messages are handled.
    package func attach(_ writer: any CallWriter) { self.writer.withLock { $0 = writer } }

    /// After each beat: what Redis' clock showed in the answer to a question sent at `sentAt`.
    package func synchronize(redisMilliseconds: Int64, sentAt: Instant) {
        state.withLock { $0.redisClock = RedisClockReading(milliseconds: redisMilliseconds, sentAt: sentAt) }
    }

    // MARK: Messages

    package func handle(_ part: CallPart) {
        let acceptance = withState { $0.ledger.accept(part, at: $1) }
        guard let acceptance else {
            // Redis' clock is not known yet: nothing may be sent. The worker's inquiry learns it.
            return count("parts_refused", 1)
        }
        if acceptance.isRefused {
            count("parts_refused", 1)
            count("calls_refused", part.items.count)
            log.info(
                "part_refused",
                [
                    ("job", .integer(part.job)), ("fence", .integer(part.fence)),
                    ("calls", .integer(Int64(part.items.count))),
                ])
        }
        tell(acceptance.notices)
        guard !acceptance.calls.isEmpty, let writer = writer.withLock({ $0 }) else { return }
        writer.write(
            acceptance.calls, CallMessage(topic: methodTopic(part.method), payload: Array(part.payload.utf8)))
    }

    package func handle(_ inquiry: Inquiry) {
        tell(withState { $0.ledger.inquire(inquiry, at: $1) } ?? [])
    }

    package func handle(_ settlement: Settlement) {
        state.withLock { $0.ledger.settle(settlement) }
    }

    // MARK: Sessions

    package func mayWrite(_ rid: UInt64, session: Int64) -> Bool {
        let verdict = withState {
            let verdict = $0.ledger.mayWrite(rid, session: session, at: $1)
            if verdict.isAllowed { $0.sent += 1 }
            return verdict
        }
        if let notice = verdict?.notice { tell([notice]) }
        return verdict?.isAllowed ?? false
    }

    package func undeliverable(_ rids: [UInt64]) {
        tell(withState { state, _ in rids.compactMap { state.ledger.undeliverable($0) } } ?? [])
    }

    package func answered(_ rid: UInt64, deviceID: String, status: Int32, payload: [UInt8]) {
        let outcome = Self.outcome(status: status, payload: payload)
        let told: (isExpected: Bool, delay: Duration?) = state.withLock { state in
            guard let notice = state.ledger.answered(rid, deviceID: deviceID, outcome: outcome) else {
                return (false, nil)
            }
            state.answered += 1
            return (true, state.put(CollectionOfOne(notice)))
        }
        guard told.isExpected else { return count("answers_unexpected", 1) }
        if let delay = told.delay { flush(after: delay) }
    }

    package func sessionClosed(deviceID: String, session: Int64) {
        tell(withState { state, _ in state.ledger.dropped(deviceID: deviceID, session: session) } ?? [])
    }

    /// An empty payload is null; anything else must be JSON.
    private static func outcome(status: Int32, payload: [UInt8]) -> CallOutcome {
        guard payload.contains(where: { $0 != 0x20 }) else { return .answered(status: Int64(status), payload: "null") }
        guard let text = String(validating: payload, as: UTF8.self), JSONCheck.isJSON(text) else {
            return .invalidAnswer
        }
        return .answered(status: Int64(status), payload: text)
    }

    // MARK: Time

    /// Ends what timed out, twice a second, until the task is cancelled; then tells what is still to be told.
    package func run() async {
        while !Task.isCancelled {
            do {
                try await clock.sleep(for: .milliseconds(500))
            } catch {
                break
            }
            tell(withState { $0.ledger.tick($1) } ?? [])
            logRefusedLate()
            countCalls()
            let (known, inFlight) = state.withLock { ($0.ledger.count, $0.ledger.inFlight) }
            metrics.gauge("muster_gateway_invocations", "Invocations that the gateway remembers", Double(known))
            metrics.gauge("muster_gateway_calls_in_flight", "Calls handed over and without outcome", Double(inFlight))
        }
        countCalls()
        // In a task of its own, because this one is cancelled and Redis would refuse its calls.
        await Task {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.flushAll() }
                group.addTask {
                    do {
                        try await self.clock.sleep(for: Self.lastFlush)
                    } catch {
                        return  // all was told before
                    }
                }
                await group.next()
                group.cancelAll()
            }
        }.value
    }

    /// Nil while Redis' clock is unknown.
    private func withState<T: Sendable>(_ body: (inout State, GatewayTime) -> T) -> T? {
        let now = clock.now
        return state.withLock { state in
            guard let time = state.redisClock?.time(at: now) else { return nil }
            return body(&state, time)
        }
    }

    /// One line for many: a gateway that slept refuses all that it held.
    private func logRefusedLate() {
        let refused = state.withLock { state in
            defer { state.refusedLate = 0 }
            return state.refusedLate
        }
        if refused > 0 { log.warning("calls_refused_late", [("calls", .integer(Int64(refused)))]) }
    }

    private func countCalls() {
        let (sent, answered) = state.withLock { state in
            defer { (state.sent, state.answered) = (0, 0) }
            return (state.sent, state.answered)
        }
        if sent > 0 { count("calls_sent", sent) }
        if answered > 0 { count("calls_answered", answered) }
    }

    // MARK: Outbox

    private func tell(_ notices: [InvocationLedger.Notice]) {
        guard !notices.isEmpty else { return }
        let late = notices.count { $0.item.outcome == .tooLate }
        if late > 0 { count("calls_refused_late", late) }
        let delay = state.withLock { state in
            state.refusedLate += late
            return state.put(notices)
        }
        if let delay { flush(after: delay) }
    }

    private func flush(after delay: Duration) {
        Task {
            do {
                try await clock.sleep(for: delay)
            } catch {
                log.debug("outbox_hurried", [])
            }
            await flush()
        }
    }

    private func flush() async {
        let outbox = state.withLock { state in
            defer {
                state.outbox = []
                state.isFlushing = false
                state.flushes += 1
            }
            return state.outbox
        }
        for (address, notices) in Self.byAddress(outbox) {
            var (together, bytes): ([AnswerPart], Int) = ([], 0)
            for part in Self.parts(of: notices, gateway: gateway.text) {
                together.append(part)
                bytes += part.payloadBytes
                guard together.count >= Self.messagesTogether || bytes >= Self.bytesTogether else { continue }
                await send(together, to: address)
                (together, bytes) = ([], 0)
            }
            if !together.isEmpty { await send(together, to: address) }
        }
        state.withLock { $0.flushes -= 1 }
    }

    /// Returns when everything has been told, or has been tried.
    private func flushAll() async {
        repeat {
            await flush()
            do {
                try await clock.sleep(for: Self.outboxDelay)
            } catch {
                return
            }
        } while state.withLock { !$0.outbox.isEmpty || $0.flushes > 0 }
    }

    private static func byAddress(_ notices: [InvocationLedger.Notice]) -> [String: [InvocationLedger.Notice]] {
        guard let first = notices.first?.replyTo else { return [:] }
        // One worker's jobs are often all that a gateway has.
        guard notices.contains(where: { $0.replyTo != first }) else { return [first: notices] }
        return Dictionary(grouping: notices, by: \.replyTo)
    }

    /// One message for each part or inquiry, cut at a number of outcomes and of payload bytes.
    package static func parts(of notices: [InvocationLedger.Notice], gateway: String) -> [AnswerPart] {
        struct Key: Hashable {
            let job: Int64
            let batch: Int64
            let fence: Int64
            let number: Int64
        }
        struct Group {
            let key: Key
            var items: [AnswerPart.Item] = []
            var bytes = 0
        }
        var parts: [AnswerPart] = []
        var groups: [Group] = []
        var places: [Key: Int] = [:]
        func close(_ place: Int) {
            let key = groups[place].key
            parts.append(
                AnswerPart(
                    job: key.job, batch: key.batch, fence: key.fence, number: key.number, gateway: gateway,
                    items: groups[place].items))
            groups[place] = Group(key: key)
        }
        // Of the notice before, whose part is mostly the next one's as well.
        var place = 0
        for notice in notices {
            let key = Key(job: notice.job, batch: notice.batch, fence: notice.fence, number: notice.number)
            if groups.isEmpty || groups[place].key != key {
                place = places[key] ?? groups.count
                if place == groups.count {
                    groups.append(Group(key: key))
                    places[key] = place
                }
            }
            groups[place].items.append(notice.item)
            groups[place].bytes += notice.item.payloadBytes
            if groups[place].items.count >= outcomesPerMessage || groups[place].bytes >= RouteLimits.answerBytes {
                close(place)
            }
        }
        for place in groups.indices where !groups[place].items.isEmpty { close(place) }
        return parts
    }

    private func send(_ parts: [AnswerPart], to address: String) async {
        var backoff = Backoff(initial: .milliseconds(20), maximum: .milliseconds(500))
        for _ in 0..<Self.answerTries {
            do {
                if try await routes.answer(parts, to: address) { return }
            } catch {
                log.warning("answer_failed", [("error", .string(error.description))])
                // Sent twice is harmless, lost is found out by the worker's inquiry.
            }
            do {
                try await clock.sleep(for: backoff.next(random))
            } catch {
                break
            }
        }
        for part in parts {
            count("answers_lost", part.items.count)
            log.warning("answers_lost", [("job", .integer(part.job)), ("items", .integer(Int64(part.items.count)))])
        }
    }

    private func count(_ event: String, _ number: Int) {
        metrics.count(
            "muster_gateway_calls_total", "What happened to calls at the gateway", by: number,
            labels: [("event", event)])
    }
}

extension AnswerPart {
    fileprivate var payloadBytes: Int { items.reduce(0) { $0 + $1.payloadBytes } }
}
