// One claimed batch of direct methods: which items are to be sent, are awaited, or are asked about; a pure machine.
//
//     asking ──never sent──▶ toSend ──handed over──▶ awaiting ──outcome──▶ (result)
//        └──outcome──▶ (result)  ▲                      │ unsent: again, or
//                                └──────────────────────┘ parked after some tries
//
// An item that an earlier holder may have sent is asked about first, at every gateway that was about to get it; it is
// sent again only when each of them has answered "never sent". If one of them is gone, nobody can know: the outcome is
// unknown (invariant I5).

package import JobModel
package import JobStore
package import RouteStore
package import ServiceKit

package struct MethodBatchState: Sendable {
    private enum Progress: Sendable {
        case toSend(notBefore: Instant, tries: Int)
        /// `number`: of the part that was handed over; nil when the gateway said that an earlier holder's call is in flight.
        case awaiting(gateway: String, number: Int64?, until: Instant, tries: Int)
        /// Gateways that have not answered yet.
        case asking(Set<String>, mayBeSent: Bool)
        case ended
        /// To be parked by the shell.
        case unreachable
    }

    private let response: Duration
    private var items: [Int64: OpenItem] = [:]
    private var progress: [Int64: Progress] = [:]
    /// Outcomes that are not recorded yet, and since when the oldest waits.
    package private(set) var results: [ItemResult] = []
    private var resultsSince: Instant?
    /// Gateways that keep the payloads of these results.
    private var keepers: [String: [Settlement.Item]] = [:]
    /// Milliseconds of Redis' clock until which each asked gateway must remember an item.
    private var rememberedUntil: [Int64: Int64] = [:]

    /// `response`: how long a gateway waits for an answer at most.
    package init(items open: [OpenItem], dispatches: [Dispatch], response: Duration, now: Instant) {
        self.response = response
        for item in open {
            items[item.seq] = item
            progress[item.seq] = .toSend(notBefore: now, tries: 0)
        }
        for dispatch in dispatches {
            let gateway = "\(dispatch.gateway)~\(dispatch.incarnation)"
            let until =
                dispatch.sendBefore + dispatch.responseMilliseconds + Limits.invocationMemory.milliseconds
            for seq in dispatch.seqs where items[seq] != nil {
                var (gateways, mayBeSent): (Set<String>, Bool) = ([], false)
                if case .asking(let known, let may)? = progress[seq] { (gateways, mayBeSent) = (known, may) }
                if dispatch.isGatewayAlive { gateways.insert(gateway) } else { mayBeSent = true }
                progress[seq] = .asking(gateways, mayBeSent: mayBeSent)
                rememberedUntil[seq] = max(until, rememberedUntil[seq] ?? 0)
            }
        }
        for seq in progress.keys { settle(seq, now: now) }
    }

    // MARK: What is to be done

    /// Items that may be looked up and handed over now.
    package func due(now: Instant) -> [OpenItem] {
        progress.compactMap { seq, state in
            guard case .toSend(let notBefore, _) = state, notBefore <= now else { return nil }
            return items[seq]
        }.sorted { $0.seq < $1.seq }
    }

    package var unreachable: [Int64] {
        progress.compactMap { seq, state in if case .unreachable = state { seq } else { nil } }.sorted()
    }

    /// Inquiries by gateway.
    package func inquiries(batch: ClaimedBatch, replyTo: String) -> [String: Inquiry] {
        var lists: [String: [Inquiry.Item]] = [:]
        for (seq, state) in progress {
            guard case .asking(let gateways, _) = state, let item = items[seq] else { continue }
            for gateway in gateways {
                lists[gateway, default: []].append(
                    Inquiry.Item(seq: seq, attempt: item.attempt, rememberedUntil: rememberedUntil[seq] ?? 0))
            }
        }
        return lists.mapValues {
            Inquiry(
                job: batch.id.job, batch: Int64(batch.id.batch), fence: batch.fence.value, replyTo: replyTo, items: $0)
        }
    }

    package var isAsking: Bool {
        progress.values.contains { if case .asking = $0 { true } else { false } }
    }

    /// Gateways whose word is awaited.
    package var awaitedGateways: Set<String> {
        var gateways: Set<String> = []
        for case .awaiting(let gateway, _, _, _) in progress.values { gateways.insert(gateway) }
        for case .asking(let asked, _) in progress.values { gateways.formUnion(asked) }
        return gateways
    }

    /// Nothing is in flight and nothing is asked: the batch may be given back.
    package var isQuiet: Bool {
        !progress.values.contains {
            switch $0 {
            case .awaiting: true
            case .asking(let gateways, _): !gateways.isEmpty
            case .toSend, .ended, .unreachable: false
            }
        }
    }
    package var openCount: Int {
        progress.values.count { if case .ended = $0 { false } else { true } }
    }

    /// A gateway's word is overdue: it was lost on the way, and an inquiry under a higher fence must find out.
    package func isOverdue(now: Instant) -> Bool {
        progress.values.contains {
            if case .awaiting(_, _, let until, _) = $0 { until <= now } else { false }
        }
    }

    /// Whether the results should be recorded now.
    package func shouldRecord(now: Instant) -> Bool {
        guard let resultsSince else { return false }
        return results.count >= Limits.resultsPerCommit || now - resultsSince >= Limits.resultDelay || isQuiet
    }

    /// The next moment at which something becomes due by itself; nil when only a message can bring news.
    package func nextMoment(now: Instant) -> Instant? {
        var next = resultsSince.map { $0 + Limits.resultDelay }
        for state in progress.values {
            let moment: Instant
            switch state {
            case .toSend(let notBefore, _): moment = notBefore
            case .awaiting(_, _, let until, _): moment = until
            case .asking, .ended, .unreachable: continue
            }
            next = next.map { min($0, moment) } ?? moment
        }
        return next
    }

    package func devices(of seqs: [Int64]) -> [String] { seqs.compactMap { items[$0]?.deviceID } }

    // MARK: What happened

    /// `response`: how long the gateway waits for an answer.
    package mutating func handedOver(
        _ seqs: [Int64], to gateway: String, number: Int64, response: Duration, now: Instant
    ) {
        for seq in seqs {
            guard case .toSend(_, let tries)? = progress[seq] else { continue }
            progress[seq] = .awaiting(gateway: gateway, number: number, until: overdue(now, response), tries: tries)
        }
    }

    private func overdue(_ now: Instant, _ response: Duration) -> Instant {
        now + Limits.sendWindow + response + Limits.answerSlack
    }

    /// Nothing was handed over (too late, a full inbox, a gateway that is gone): to be tried again a while later.
    package mutating func postponed(_ seqs: [Int64], by delay: Duration, now: Instant) {
        for seq in seqs { progress[seq] = .toSend(notBefore: now + delay, tries: 0) }
    }

    package mutating func noRoute(_ seqs: [Int64]) {
        for seq in seqs { progress[seq] = .unreachable }
    }

    /// Parked, or recorded: no longer this batch's.
    package mutating func left(_ seqs: [Int64]) {
        for seq in seqs { progress[seq] = .ended }
    }

    /// Who is to be told once the results that are taken now have been recorded: items by gateway.
    package mutating func takeKeepers() -> [String: [Settlement.Item]] {
        defer { keepers = [:] }
        return keepers
    }

    package mutating func takeResults() -> [ItemResult] {
        defer {
            results = []
            resultsSince = nil
        }
        return results
    }

    package mutating func answer(_ part: AnswerPart, now: Instant) {
        for item in part.items {
            switch progress[item.seq] {
            case .awaiting(let gateway, let number, _, let tries)? where gateway == part.gateway:
                answered(item, gateway: gateway, awaited: number, by: part.number, tries: tries, now: now)
            case .asking(let gateways, let mayBeSent)? where gateways.contains(part.gateway):
                let others = gateways.subtracting([part.gateway])
                switch item.outcome {
                case .notConnected, .tooLate, .tooManyInFlight, .neverSent:
                    progress[item.seq] = .asking(others, mayBeSent: mayBeSent)
                case .forgotten:
                    progress[item.seq] = .asking(others, mayBeSent: true)
                case .inFlight:
                    progress[item.seq] = .awaiting(
                        gateway: part.gateway, number: nil, until: overdue(now, response), tries: 0)
                case .answered, .timedOut, .dropped, .invalidAnswer:
                    end(item.seq, item.outcome, of: part.gateway, now: now)
                }
                settle(item.seq, now: now)
            case .awaiting, .asking, .toSend, .ended, .unreachable, nil:
                continue
            }
        }
    }

    /// Incarnations that live no longer: what they held and did not tell is unknown.
    package mutating func lost(gateways gone: Set<String>, now: Instant) {
        for (seq, state) in progress {
            switch state {
            case .awaiting(let gateway, _, _, _) where gone.contains(gateway):
                end(seq, .forgotten, now: now)
            case .asking(let gateways, _) where !gateways.isDisjoint(with: gone):
                progress[seq] = .asking(gateways.subtracting(gone), mayBeSent: true)
                settle(seq, now: now)
            case .awaiting, .asking, .toSend, .ended, .unreachable:
                continue
            }
        }
    }

    /// A final outcome counts whichever message it answers: an invocation is sent once. Everything else counts only as
    /// the answer to the part that is awaited: an answer can come twice and late, and what an earlier part did not send
    /// this one may have sent.
    private mutating func answered(
        _ item: AnswerPart.Item, gateway: String, awaited: Int64?, by number: Int64, tries: Int, now: Instant
    ) {
        switch item.outcome {
        case .answered, .timedOut, .dropped, .invalidAnswer:
            end(item.seq, item.outcome, of: gateway, now: now)
        case .inFlight where awaited == nil || awaited == number:
            progress[item.seq] = .awaiting(
                gateway: gateway, number: awaited, until: overdue(now, response), tries: tries)
        case .forgotten where awaited == nil || awaited == number:
            end(item.seq, item.outcome, now: now)
        case .notConnected where awaited == number, .tooLate where awaited == number,
            .tooManyInFlight where awaited == number, .neverSent where awaited == number:
            progress[item.seq] =
                tries < Limits.routeRetries
                ? .toSend(notBefore: now + Limits.routeRetryDelay, tries: tries + 1) : .unreachable
        case .inFlight, .forgotten, .notConnected, .tooLate, .tooManyInFlight, .neverSent:
            return
        }
    }

    /// Nobody is left to be asked: either it was certainly never sent, or nobody can know.
    private mutating func settle(_ seq: Int64, now: Instant) {
        guard case .asking(let gateways, let mayBeSent)? = progress[seq], gateways.isEmpty else { return }
        if mayBeSent {
            end(seq, .forgotten, now: now)
        } else {
            progress[seq] = .toSend(notBefore: now, tries: 0)
        }
    }

    private mutating func end(_ seq: Int64, _ outcome: CallOutcome, of gateway: String? = nil, now: Instant) {
        progress[seq] = .ended
        if case .answered(_, let payload) = outcome, payload.utf8.count > RouteLimits.smallPayloadBytes, let gateway,
            let item = items[seq]
        {
            keepers[gateway, default: []].append(Settlement.Item(seq: seq, attempt: item.attempt))
        }
        results.append(ItemResult(seq: seq, outcome: outcome))
        if resultsSince == nil { resultsSince = now }
    }
}

extension ItemResult {
    /// How an outcome is stored and shown (wire contract 2.4). Only outcomes of calls that were sent.
    package init(seq: Int64, outcome: CallOutcome) {
        switch outcome {
        case .answered(let status, let payload):
            self.init(seq: seq, response: "{\"status\":\(status),\"payload\":\(payload)}")
        case .timedOut:
            self.init(seq: seq, error: .gatewayTimeout, text: "Timed out waiting for the response from device.")
        case .dropped:
            self.init(
                seq: seq, error: .deviceNotOnline, text: "The device's connection ended before it answered.")
        case .invalidAnswer:
            self.init(seq: seq, error: .badDeviceResponse, text: "The device's answer is not valid JSON.")
        case .forgotten, .inFlight, .notConnected, .tooLate, .tooManyInFlight, .neverSent:
            self.init(seq: seq, error: .outcomeUnknown, text: ItemErrorCode.goneGatewayText)
        }
    }
}
