// What a gateway knows of the calls that it was handed: a pure machine that makes a second sending impossible
// (invariant I5). Time comes in with each call.
//
//     queued ──mayWrite──▶ sent ──answer, timeout, disconnect──▶ ended(outcome)
//        └──inquiry, too late, no session──▶ ended(unsent)
//
// Three rules: a part whose (fence, number) is not above the highest seen for its batch is refused; nothing is written
// at or after the part's `sendBefore`, nor when that lies further ahead than any sender sets it; an invocation once sent is never sent again while it is remembered, and it is
// remembered longer than anybody may ask for it. At its limit the ledger refuses new parts; it forgets nothing early.

internal import JobModel
package import RouteStore
package import ServiceKit

/// The gateway's idea of the present: its own monotonic clock, and the latest that Redis' clock can show.
package struct GatewayTime: Sendable, Hashable {
    package let now: Instant
    package let redisMilliseconds: Int64

    package init(now: Instant, redisMilliseconds: Int64) {
        self.now = now
        self.redisMilliseconds = redisMilliseconds
    }
}

/// Redis' clock as a beat has shown it. Kept on this process' monotonic clock from when the beat was sent, so it is never
/// behind what Redis shows, unless that is set forward.
package struct RedisClockReading: Sendable, Hashable {
    private let milliseconds: Int64
    private let sentAt: Instant

    package init(milliseconds: Int64, sentAt: Instant) {
        self.milliseconds = milliseconds
        self.sentAt = sentAt
    }

    package func time(at now: Instant) -> GatewayTime {
        GatewayTime(now: now, redisMilliseconds: milliseconds + (now - sentAt).milliseconds + 1)
    }
}

package struct InvocationLedger: Sendable {
    package struct Limits: Sendable {
        /// Each takes some 300 bytes and is kept for about a minute behind its answer.
        package var invocations = 1_000_000
        package var callsPerDevice = 32
        /// Bytes of answers that are not known to be recorded. At half of it new calls are refused, so that those in
        /// flight find room; what finds none is kept without its payload.
        package var payloadBytes = 256 << 20
        /// How far ahead "send before" may lie: as far as a sender sets it, and a little more for clocks that are slewed.
        /// What lies further was reckoned on a clock of Redis that was set since, and would be sent too late.
        package var windowMilliseconds = JobModel.Limits.sendWindow.milliseconds + 250
        /// Milliseconds behind the last possible answer.
        package var memoryMilliseconds: Int64 = 60_000

        package init() {}
    }

    /// An outcome and who is to hear it.
    package struct Notice: Sendable, Hashable {
        package let replyTo: String
        package let job: Int64
        package let batch: Int64
        package let fence: Int64
        /// Of the part that is answered; 0 for an inquiry.
        package let number: Int64
        package let item: AnswerPart.Item
    }

    private struct BatchKey: Hashable {
        let job: Int64
        let batch: Int64
    }

    fileprivate enum Progress {
        case queued
        case sent(until: Instant, session: Int64)
        case ended(CallOutcome)
    }

    fileprivate struct Entry {
        var progress: Progress
        let deviceID: String
        let rid: UInt64
        let sendBefore: Int64
        let responseMilliseconds: Int64
        var replyTo: String
        var batch: Int64
        var fence: Int64
        var number: Int64
        var rememberUntil: Int64
    }

    private struct Highest {
        var fence: Int64
        var number: Int64
        var rememberUntil: Int64
    }

    private let limits: Limits
    private var entries: [InvocationID: Entry] = [:]
    private var rids: [UInt64: InvocationID] = [:]
    private var batches: [BatchKey: Highest] = [:]
    private var byDevice: [String: Set<UInt64>] = [:]
    private var nextRID: UInt64
    /// The latest `rememberUntil` of all that was forgotten. Redis' clock can step back behind it.
    private var forgottenUpTo = Int64.min
    private var payloadBytes = 0
    /// Calls that have ended, by the second of Redis' clock until which they are remembered.
    private var oldest: [Int64: [InvocationID]] = [:]

    /// `firstRID` must be random: a device may answer over its next connection, to another gateway or another life of this
    /// one, and the answer must not fit a call of that life.
    package init(limits: Limits = Limits(), firstRID: UInt64) {
        self.limits = limits
        nextRID = firstRID
    }

    package var count: Int { entries.count }
    /// Sent, and not answered yet.
    package var inFlight: Int { byDevice.values.reduce(0) { $0 + $1.count } }

    // MARK: Parts

    package struct Acceptance: Sendable {
        package var calls: [(rid: UInt64, deviceID: String)] = []
        package var notices: [Notice] = []
        /// The part came late, twice or from a worker that was taken over: nobody waits for an answer.
        package var isRefused = false
    }

    package mutating func accept(_ part: CallPart, at time: GatewayTime) -> Acceptance {
        var acceptance = Acceptance()
        let remembered = part.sendBefore + part.responseMilliseconds + limits.memoryMilliseconds
        if part.job != 0 {
            let key = BatchKey(job: part.job, batch: part.batch)
            if let highest = batches[key], (part.fence, part.number) <= (highest.fence, highest.number) {
                acceptance.isRefused = true
                return acceptance
            }
            batches[key] = Highest(
                fence: part.fence, number: part.number,
                rememberUntil: max(remembered, batches[key]?.rememberUntil ?? 0))
        }
        for item in part.items {
            var rememberUntil = remembered
            let id = InvocationID(job: part.job, seq: item.seq, attempt: item.attempt)
            func end(_ outcome: CallOutcome) {
                acceptance.notices.append(
                    Notice(
                        replyTo: part.replyTo, job: part.job, batch: part.batch, fence: part.fence,
                        number: part.number, item: .init(seq: item.seq, outcome: outcome)))
            }
            if let known = entries[id] {
                rememberUntil = max(rememberUntil, known.rememberUntil)
                // Sent once already: its outcome goes to who asked last. A call outside jobs is sent under an id of its
                // own each time, so one that is known comes from an old Redis.
                if !known.isUnsent || part.job == 0 {
                    entries[id]?.redirect(to: part.replyTo, part.batch, part.fence, number: part.number)
                    entries[id]?.rememberUntil = rememberUntil
                    if case .ended = known.progress { remember(id, until: rememberUntil) }
                    end(known.outcome)
                    continue
                }
            }
            guard isInTime(part.sendBefore, time) else {
                end(.tooLate)
                continue
            }
            guard entries.count < limits.invocations, payloadBytes < limits.payloadBytes / 2,
                (byDevice[item.deviceID]?.count ?? 0) < limits.callsPerDevice
            else {
                end(.tooManyInFlight)
                continue
            }
            let rid = nextRID
            nextRID += 1
            if let old = entries[id] { rids[old.rid] = nil }
            entries[id] = Entry(
                progress: .queued, deviceID: item.deviceID, rid: rid, sendBefore: part.sendBefore,
                responseMilliseconds: part.responseMilliseconds, replyTo: part.replyTo, batch: part.batch,
                fence: part.fence, number: part.number, rememberUntil: rememberUntil)
            rids[rid] = id
            byDevice[item.deviceID, default: []].insert(rid)
            acceptance.calls.append((rid, item.deviceID))
        }
        return acceptance
    }

    private func isInTime(_ sendBefore: Int64, _ time: GatewayTime) -> Bool {
        time.redisMilliseconds < sendBefore && sendBefore <= time.redisMilliseconds + limits.windowMilliseconds
    }

    /// Whether the call may be written to the session now; if so it counts as sent.
    package mutating func mayWrite(
        _ rid: UInt64, session: Int64, at time: GatewayTime
    ) -> (isAllowed: Bool, notice: Notice?) {
        guard let id = rids[rid], let entry = entries[id], case .queued = entry.progress else { return (false, nil) }
        guard isInTime(entry.sendBefore, time) else { return (false, end(id, .tooLate)) }
        entries[id]?.progress = .sent(
            until: time.now + .milliseconds(entry.responseMilliseconds), session: session)
        return (true, nil)
    }

    // MARK: Outcomes

    package mutating func undeliverable(_ rid: UInt64) -> Notice? {
        guard let id = rids[rid], let entry = entries[id], case .queued = entry.progress else { return nil }
        return end(id, .notConnected)
    }

    /// Nil when nobody waits for it: unknown, late, a second time, or from another device.
    package mutating func answered(_ rid: UInt64, deviceID: String, outcome: CallOutcome) -> Notice? {
        guard let id = rids[rid], let entry = entries[id], case .sent = entry.progress, entry.deviceID == deviceID
        else { return nil }
        return end(id, outcome)
    }

    /// The device's session ended: what was sent over it, or an older one, is lost. A newer one may be open already.
    package mutating func dropped(deviceID: String, session ended: Int64) -> [Notice] {
        (byDevice[deviceID] ?? []).compactMap { rid in
            guard let id = rids[rid], let entry = entries[id], case .sent(_, let session) = entry.progress,
                session <= ended
            else { return nil }
            return end(id, .dropped)
        }
    }

    /// Lets go of answers that are recorded. The invocations stay: they must never be sent again.
    package mutating func settle(_ settlement: Settlement) {
        for item in settlement.items {
            let id = InvocationID(job: settlement.job, seq: item.seq, attempt: item.attempt)
            guard let entry = entries[id], entry.largePayload > 0 else { continue }
            payloadBytes -= entry.largePayload
            entries[id]?.progress = .ended(.forgotten)
        }
    }

    /// Ends calls whose time is over and forgets what nobody may ask for any more. Looks at what is in flight and at what
    /// has become old, not at all that is remembered.
    package mutating func tick(_ time: GatewayTime) -> [Notice] {
        var over: [(id: InvocationID, outcome: CallOutcome)] = []
        for rid in byDevice.values.joined() {
            guard let id = rids[rid], let entry = entries[id] else { continue }
            switch entry.progress {
            case .queued:
                // Never written: the session's loop is stalled, or the session vanished between two looks.
                if !isInTime(entry.sendBefore, time) { over.append((id, .tooLate)) }
            case .sent(let until, _):
                if until <= time.now { over.append((id, .timedOut)) }
            case .ended:
                continue
            }
        }
        let notices = over.compactMap { end($0.id, $0.outcome) }
        for second in oldest.keys where second < time.redisMilliseconds / 1000 {
            for id in oldest.removeValue(forKey: second) ?? [] { forget(id, time) }
        }
        batches = batches.filter { $0.value.rememberUntil >= time.redisMilliseconds }
        return notices
    }

    private mutating func forget(_ id: InvocationID, _ time: GatewayTime) {
        // Sent anew, or to be remembered longer: it stands in another second as well.
        guard let entry = entries[id], case .ended = entry.progress, entry.rememberUntil < time.redisMilliseconds
        else { return }
        entries[id] = nil
        rids[entry.rid] = nil
        payloadBytes -= entry.largePayload
        forgottenUpTo = max(forgottenUpTo, entry.rememberUntil)
    }

    private mutating func remember(_ id: InvocationID, until moment: Int64) {
        oldest[moment / 1000, default: []].append(id)
    }

    // MARK: Inquiries

    /// Answers for each invocation, and sees to it that those not seen are never sent under a fence up to the asker's.
    package mutating func inquire(_ inquiry: Inquiry, at time: GatewayTime) -> [Notice] {
        let key = BatchKey(job: inquiry.job, batch: inquiry.batch)
        if let highest = batches[key], highest.fence > inquiry.fence { return [] }
        var notices: [Notice] = []
        var rememberUntil = batches[key]?.rememberUntil ?? 0
        for item in inquiry.items {
            rememberUntil = max(rememberUntil, item.rememberedUntil)
            let id = InvocationID(job: inquiry.job, seq: item.seq, attempt: item.attempt)
            var outcome: CallOutcome
            if let entry = entries[id] {
                entries[id]?.redirect(to: inquiry.replyTo, inquiry.batch, inquiry.fence, number: 0)
                if case .queued = entry.progress {
                    _ = end(id, .neverSent)
                    outcome = .neverSent
                } else {
                    outcome = entry.outcome
                    if outcome.isUnsent { outcome = .neverSent }
                }
            } else {
                let mayBeForgotten =
                    item.rememberedUntil < time.redisMilliseconds || item.rememberedUntil <= forgottenUpTo
                outcome = mayBeForgotten ? .forgotten : .neverSent
            }
            notices.append(
                Notice(
                    replyTo: inquiry.replyTo, job: inquiry.job, batch: inquiry.batch, fence: inquiry.fence, number: 0,
                    item: .init(seq: item.seq, outcome: outcome)))
        }
        // The tombstone: parts of earlier holders, wherever they linger, are below this. The asker's own first part is
        // above, because parts are numbered from 1.
        let number = batches[key].map { $0.fence == inquiry.fence ? $0.number : 0 } ?? 0
        batches[key] = Highest(fence: inquiry.fence, number: number, rememberUntil: rememberUntil)
        return notices
    }

    private mutating func end(_ id: InvocationID, _ outcome: CallOutcome) -> Notice? {
        guard let entry = entries[id] else { return nil }
        entries[id]?.progress = .ended(outcome)
        remember(id, until: entry.rememberUntil)
        if let kept = entries[id]?.largePayload, kept > 0 {
            // Of a call outside jobs nobody ever asks.
            if id.job == 0 || payloadBytes + kept > limits.payloadBytes {
                entries[id]?.progress = .ended(.forgotten)
            } else {
                payloadBytes += kept
            }
        }
        byDevice[entry.deviceID]?.remove(entry.rid)
        if byDevice[entry.deviceID]?.isEmpty == true { byDevice[entry.deviceID] = nil }
        return Notice(
            replyTo: entry.replyTo, job: id.job, batch: entry.batch, fence: entry.fence, number: entry.number,
            item: .init(seq: id.seq, outcome: outcome))
    }
}

extension InvocationLedger.Entry {
    /// Whatever comes is for who asked last.
    fileprivate mutating func redirect(to address: String, _ batch: Int64, _ fence: Int64, number: Int64) {
        replyTo = address
        self.batch = batch
        self.fence = fence
        self.number = number
    }

    /// Bytes of an answer that is kept until it is recorded.
    fileprivate var largePayload: Int {
        guard case .ended(.answered(_, let payload)) = progress, payload.utf8.count > RouteLimits.smallPayloadBytes
        else { return 0 }
        return payload.utf8.count
    }

    fileprivate var isUnsent: Bool {
        if case .ended(let outcome) = progress { outcome.isUnsent } else { false }
    }

    fileprivate var outcome: CallOutcome {
        switch progress {
        case .queued, .sent: .inFlight
        case .ended(let outcome): outcome
        }
    }
}
