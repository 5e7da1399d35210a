// What a gateway knows of the calls that it was handed: a pure machine that makes a second sending impossible
// (invariant I5). Time comes in with each call.
//
//     queued ──mayWrite──▶ sent ──answer, timeout, disconnect──▶ ended(outcome)
//        └──inquiry, too late, no session──▶ ended(unsent)
//
// Three rules: a part whose (fence, number) is not above the highest seen for its batch is refused; nothing is written
// at or after the part's `sendBefore`, nor when that lies further ahead than any sender sets it; an invocation once sent is never sent again while it is remembered, and it is
// remembered longer than anybody may ask for it. At its limit the ledger refuses new parts; it forgets nothing early.
//
// A batch that was closed needs no memory of its calls: PostgreSQL never lets it be claimed again, and no part or inquiry
// of its earlier holders is answered with anything that sends. So its holder says so, and one line for the batch stays
// where hundreds of calls were; without that word they are remembered to the end.

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
        GatewayTime(
            now: now, redisMilliseconds: milliseconds + (now.nanoseconds - sentAt.nanoseconds) / 1_000_000 + 1)
    }
}

package struct InvocationLedger: Sendable {
    package struct Limits: Sendable {
        /// Each takes some 200 bytes, and is kept until its batch is closed or for about a minute behind its answer.
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

    private struct Highest {
        var fence: Int64
        var number: Int64
        var rememberUntil: Int64
        /// Of its calls, by part.
        var rids: [Range<UInt64>] = []
        /// Its calls were forgotten: what is not here may have been sent.
        var isClosed = false
    }

    private let limits: Limits
    private var table = InvocationTable()
    private var batches: [BatchKey: Highest] = [:]
    private var nextRID: UInt64
    /// The latest `rememberUntil` of all that was forgotten. Redis' clock can step back behind it.
    private var forgottenUpTo = Int64.min
    private var payloadBytes = 0
    /// The calls of each part, by the second of Redis' clock until which they are remembered at least.
    private var expiring: [Int64: [Range<UInt64>]] = [:]

    /// `firstRID` must be random: a device may answer over its next connection, to another gateway or another life of this
    /// one, and the answer must not fit a call of that life.
    package init(limits: Limits = Limits(), firstRID: UInt64) {
        self.limits = limits
        nextRID = firstRID
    }

    package var count: Int { table.count }
    /// Handed over, and without outcome.
    package var inFlight: Int { table.openCount }

    // MARK: Parts

    package struct Acceptance: Sendable {
        package var calls: [OutgoingCall] = []
        package var notices: [Notice] = []
        /// The part came late, twice or from a worker that was taken over: nobody waits for an answer.
        package var isRefused = false
    }

    package mutating func accept(_ part: CallPart, at time: GatewayTime) -> Acceptance {
        var acceptance = Acceptance()
        let remembered = part.sendBefore + part.responseMilliseconds + limits.memoryMilliseconds
        let key = BatchKey(job: part.job, batch: part.batch)
        if part.job != 0 {
            var highest = batches[key] ?? Highest(fence: .min, number: 0, rememberUntil: 0)
            if (part.fence, part.number) <= (highest.fence, highest.number) {
                acceptance.isRefused = true
                return acceptance
            }
            (highest.fence, highest.number) = (part.fence, part.number)
            highest.rememberUntil = max(remembered, highest.rememberUntil)
            batches[key] = highest
        }
        let address = InvocationAddress(
            replyTo: part.replyTo, batch: part.batch, fence: part.fence, number: part.number)
        let firstRID = nextRID
        acceptance.calls.reserveCapacity(part.items.count)
        for item in part.items {
            var rememberUntil = remembered
            let id = InvocationID(job: part.job, seq: item.seq, attempt: item.attempt)
            func end(_ outcome: CallOutcome) { acceptance.notices.append(Notice(id, address, outcome)) }
            let known = table.slot(of: id)
            if let known {
                rememberUntil = max(rememberUntil, table[known].rememberUntil)
                // Sent once already: its outcome goes to who asked last. A call outside jobs is sent under an id of its
                // own each time, so one that is known comes from an old Redis.
                if !table[known].isUnsent || part.job == 0 {
                    table[known].address = address
                    table[known].rememberUntil = rememberUntil
                    end(table[known].outcome)
                    continue
                }
            }
            guard isInTime(part.sendBefore, time) else {
                end(.tooLate)
                continue
            }
            let device = InvocationTable.Device(item.deviceID)
            guard table.count < limits.invocations, payloadBytes < limits.payloadBytes / 2,
                table.openCount(of: device) < limits.callsPerDevice
            else {
                end(.tooManyInFlight)
                continue
            }
            if let known { table.remove(known) }
            table.insert(
                InvocationTable.Entry(
                    id: id, device: device, rid: nextRID, sendBefore: part.sendBefore,
                    responseMilliseconds: part.responseMilliseconds, address: address, rememberUntil: rememberUntil))
            acceptance.calls.append(OutgoingCall(rid: nextRID, deviceID: item.deviceID))
            nextRID += 1
        }
        if firstRID < nextRID {
            expiring[remembered / 1000, default: []].append(firstRID..<nextRID)
            if part.job != 0 { batches[key]?.rids.append(firstRID..<nextRID) }
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
        guard let slot = table.slot(of: rid), case .queued = table[slot].progress else { return (false, nil) }
        guard isInTime(table[slot].sendBefore, time) else { return (false, end(slot, .tooLate)) }
        table.sent(
            slot, until: Instant(nanoseconds: time.now.nanoseconds + table[slot].responseMilliseconds * 1_000_000),
            session: session)
        return (true, nil)
    }

    // MARK: Outcomes

    package mutating func undeliverable(_ rid: UInt64) -> Notice? {
        guard let slot = table.slot(of: rid), case .queued = table[slot].progress else { return nil }
        return end(slot, .notConnected)
    }

    /// Nil when nobody waits for it: unknown, late, a second time, or from another device.
    package mutating func answered(_ rid: UInt64, deviceID: String, outcome: CallOutcome) -> Notice? {
        guard let slot = table.slot(of: rid), case .sent = table[slot].progress, table[slot].deviceID == deviceID
        else { return nil }
        return end(slot, outcome)
    }

    /// The device's session ended: what was sent over it, or an older one, is lost. A newer one may be open already.
    package mutating func dropped(deviceID: String, session ended: Int64) -> [Notice] {
        table.openCalls(of: deviceID).compactMap { slot in
            guard case .sent(_, let session) = table[slot].progress, session <= ended else { return nil }
            return end(slot, .dropped)
        }
    }

    /// Lets go of answers that are recorded. The invocations stay, because they must never be sent again; unless their
    /// batch is closed, so that nobody can hand them over again.
    package mutating func settle(_ settlement: Settlement) {
        for item in settlement.items {
            let id = InvocationID(job: settlement.job, seq: item.seq, attempt: item.attempt)
            guard let slot = table.slot(of: id), table[slot].largePayload > 0 else { continue }
            payloadBytes -= table[slot].largePayload
            table.end(slot, .forgotten)
        }
        if let closed = settlement.closed { close(BatchKey(job: settlement.job, batch: closed.batch), closed.fence) }
    }

    /// From now on parts of the batch up to this fence are refused, whatever their number.
    private mutating func close(_ key: BatchKey, _ fence: Int64) {
        // A higher fence: after a restore PostgreSQL knows nothing of that end.
        guard var batch = batches[key], batch.fence <= fence else { return }
        for rid in batch.rids.joined() {
            // Without outcome: the holder took this gateway for gone. In another batch: it was parked, and sent from there.
            guard let slot = table.slot(of: rid), !table[slot].isOpen, table[slot].address.batch == key.batch else {
                continue
            }
            payloadBytes -= table[slot].largePayload
            table.remove(slot)
        }
        (batch.fence, batch.number, batch.rids, batch.isClosed) = (fence, .max, [], true)
        batches[key] = batch
    }

    /// Ends calls whose time is over and forgets what nobody may ask for any more. Looks at what is in flight and at what
    /// has become old, not at all that is remembered.
    package mutating func tick(_ time: GatewayTime) -> [Notice] {
        var ends: [(slot: Int32, outcome: CallOutcome)] = []
        table.forEachOpen { slot, entry in
            switch entry.progress {
            case .queued:
                // Never written: the session's loop is stalled, or the session vanished between two looks.
                if !isInTime(entry.sendBefore, time) { ends.append((slot, .tooLate)) }
            case .sent(let until, _):
                if until <= time.now { ends.append((slot, .timedOut)) }
            case .ended:
                return
            }
        }
        let notices = ends.map { end($0.slot, $0.outcome) }
        for second in expiring.keys where second < time.redisMilliseconds / 1000 {
            for rid in (expiring.removeValue(forKey: second) ?? []).joined() { forget(rid, time) }
        }
        let over = batches.compactMap { $0.value.rememberUntil < time.redisMilliseconds ? $0.key : nil }
        for key in over { batches[key] = nil }
        return notices
    }

    private mutating func forget(_ rid: UInt64, _ time: GatewayTime) {
        guard let slot = table.slot(of: rid) else { return }
        let until = table[slot].rememberUntil
        guard !table[slot].isOpen, until < time.redisMilliseconds else {
            // To be remembered longer by now.
            let second = max(until, time.redisMilliseconds) / 1000
            return expiring[second, default: []].append(rid..<rid + 1)
        }
        payloadBytes -= table[slot].largePayload
        table.remove(slot)
        forgottenUpTo = max(forgottenUpTo, until)
    }

    // MARK: Inquiries

    /// Answers for each invocation, and sees to it that those not seen are never sent under a fence up to the asker's.
    package mutating func inquire(_ inquiry: Inquiry, at time: GatewayTime) -> [Notice] {
        let key = BatchKey(job: inquiry.job, batch: inquiry.batch)
        if let highest = batches[key], highest.fence > inquiry.fence { return [] }
        var notices: [Notice] = []
        var batch = batches[key] ?? Highest(fence: inquiry.fence, number: 0, rememberUntil: 0)
        let address = InvocationAddress(
            replyTo: inquiry.replyTo, batch: inquiry.batch, fence: inquiry.fence, number: 0)
        for item in inquiry.items {
            batch.rememberUntil = max(batch.rememberUntil, item.rememberedUntil)
            let id = InvocationID(job: inquiry.job, seq: item.seq, attempt: item.attempt)
            var outcome: CallOutcome
            if let slot = table.slot(of: id) {
                table[slot].address = address
                if case .queued = table[slot].progress {
                    _ = end(slot, .neverSent)
                    outcome = .neverSent
                } else {
                    outcome = table[slot].outcome
                    if outcome.isUnsent { outcome = .neverSent }
                }
            } else {
                let mayBeForgotten =
                    item.rememberedUntil < time.redisMilliseconds || item.rememberedUntil <= forgottenUpTo
                outcome = mayBeForgotten || batch.isClosed ? .forgotten : .neverSent
            }
            notices.append(Notice(id, address, outcome))
        }
        // The tombstone: parts of earlier holders, wherever they linger, are below this. The asker's own first part is
        // above, because parts are numbered from 1.
        if batch.fence != inquiry.fence { (batch.fence, batch.number) = (inquiry.fence, 0) }
        batches[key] = batch
        return notices
    }

    private mutating func end(_ slot: Int32, _ outcome: CallOutcome) -> Notice {
        table.end(slot, outcome)
        let kept = table[slot].largePayload
        if kept > 0 {
            // Of a call outside jobs nobody ever asks.
            if table[slot].id.job == 0 || payloadBytes + kept > limits.payloadBytes {
                table.end(slot, .forgotten)
            } else {
                payloadBytes += kept
            }
        }
        return Notice(table[slot].id, table[slot].address, outcome)
    }
}

extension InvocationLedger.Notice {
    fileprivate init(_ id: InvocationID, _ address: InvocationAddress, _ outcome: CallOutcome) {
        replyTo = address.replyTo
        job = id.job
        batch = address.batch
        fence = address.fence
        number = address.number
        item = .init(seq: id.seq, outcome: outcome)
    }
}
