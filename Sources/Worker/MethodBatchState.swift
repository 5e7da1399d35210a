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

    private struct Entry: Sendable {
        let item: OpenItem
        fileprivate(set) var progress: Progress
        /// Milliseconds of Redis' clock until which each asked gateway must remember the item.
        var rememberedUntil: Int64 = 0
    }

    /// How many items are in each progress: most questions of a turn are answered by it, without a look at them.
    private struct Counts: Sendable {
        var (toSend, awaiting, asking, unreachable) = (0, 0, 0, 0)

        mutating func count(_ progress: Progress, _ change: Int) {
            switch progress {
            case .toSend: toSend += change
            case .awaiting: awaiting += change
            case .asking: asking += change
            case .unreachable: unreachable += change
            case .ended: break
            }
        }
    }

    private let response: Duration
    /// By seq.
    private var entries: [Entry]
    private var counts = Counts()
    /// Outcomes that are not recorded yet, and since when the oldest waits.
    package private(set) var results: [ItemResult] = []
    private var resultsSince: Instant?
    /// Gateways that keep the payloads of these results.
    private var keepers: [String: [Settlement.Item]] = [:]

    /// `response`: how long a gateway waits for an answer at most.
    package init(items open: [OpenItem], dispatches: [Dispatch], response: Duration, now: Instant) {
        self.response = response
        entries = open.sorted { $0.seq < $1.seq }.map { Entry(item: $0, progress: .toSend(notBefore: now, tries: 0)) }
        counts.toSend = entries.count
        for dispatch in dispatches {
            let gateway = "\(dispatch.gateway)~\(dispatch.incarnation)"
            let until =
                dispatch.sendBefore + dispatch.responseMilliseconds + Limits.invocationMemory.milliseconds
            for seq in dispatch.seqs {
                guard let place = place(of: seq) else { continue }
                var (gateways, mayBeSent): (Set<String>, Bool) = ([], false)
                if case .asking(let known, let may) = entries[place].progress { (gateways, mayBeSent) = (known, may) }
                if dispatch.isGatewayAlive { gateways.insert(gateway) } else { mayBeSent = true }
                move(place, to: .asking(gateways, mayBeSent: mayBeSent))
                entries[place].rememberedUntil = max(until, entries[place].rememberedUntil)
            }
        }
        for place in entries.indices { settle(place, now: now) }
    }

    /// The items of a batch are mostly numbered without a gap.
    private func place(of seq: Int64) -> Int? {
        guard let first = entries.first?.item.seq, first <= seq else { return nil }
        if let guess = Int(exactly: seq.subtractingReportingOverflow(first).partialValue),
            entries.indices.contains(guess),
            entries[guess].item.seq == seq
        {
            return guess
        }
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].item.seq < seq { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].item.seq == seq ? low : nil
    }

    private mutating func move(_ place: Int, to progress: Progress) {
        counts.count(entries[place].progress, -1)
        counts.count(progress, 1)
        entries[place].progress = progress
    }

    // MARK: What is to be done

    /// Items that may be looked up and handed over now.
    package func due(now: Instant) -> [OpenItem] {
        guard counts.toSend > 0 else { return [] }
        return entries.compactMap { entry in
            if case .toSend(let notBefore, _) = entry.progress, notBefore <= now { entry.item } else { nil }
        }
    }

    package var unreachable: [Int64] {
        guard counts.unreachable > 0 else { return [] }
        return entries.compactMap { if case .unreachable = $0.progress { $0.item.seq } else { nil } }
    }

    /// Inquiries by gateway.
    package func inquiries(batch: ClaimedBatch, replyTo: String) -> [String: Inquiry] {
        var lists: [String: [Inquiry.Item]] = [:]
        for entry in entries {
            guard case .asking(let gateways, _) = entry.progress else { continue }
            for gateway in gateways {
                lists[gateway, default: []].append(
                    Inquiry.Item(
                        seq: entry.item.seq, attempt: entry.item.attempt, rememberedUntil: entry.rememberedUntil))
            }
        }
        return lists.mapValues {
            Inquiry(
                job: batch.id.job, batch: Int64(batch.id.batch), fence: batch.fence.value, replyTo: replyTo, items: $0)
        }
    }

    package var isAsking: Bool { counts.asking > 0 }

    /// Gateways whose word is awaited.
    package var awaitedGateways: Set<String> {
        var gateways: Set<String> = []
        for entry in entries {
            switch entry.progress {
            case .awaiting(let gateway, _, _, _): gateways.insert(gateway)
            case .asking(let asked, _): gateways.formUnion(asked)
            case .toSend, .ended, .unreachable: continue
            }
        }
        return gateways
    }

    /// Nothing is in flight and nothing is asked: the batch may be given back.
    package var isQuiet: Bool { counts.awaiting == 0 && counts.asking == 0 }
    package var openCount: Int { counts.toSend + counts.awaiting + counts.asking + counts.unreachable }

    /// A gateway's word is overdue: it was lost on the way, and an inquiry under a higher fence must find out.
    package func isOverdue(now: Instant) -> Bool {
        guard counts.awaiting > 0 else { return false }
        return entries.contains {
            if case .awaiting(_, _, let until, _) = $0.progress { until <= now } else { false }
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
        for entry in entries {
            let moment: Instant
            switch entry.progress {
            case .toSend(let notBefore, _): moment = notBefore
            case .awaiting(_, _, let until, _): moment = until
            case .asking, .ended, .unreachable: continue
            }
            next = next.map { min($0, moment) } ?? moment
        }
        return next
    }

    package func devices(of seqs: [Int64]) -> [String] {
        seqs.compactMap { place(of: $0).map { entries[$0].item.deviceID } }
    }

    // MARK: What happened

    /// `response`: how long the gateway waits for an answer.
    package mutating func handedOver(
        _ seqs: [Int64], to gateway: String, number: Int64, response: Duration, now: Instant
    ) {
        let until = overdue(now, response)
        for seq in seqs {
            guard let place = place(of: seq), case .toSend(_, let tries) = entries[place].progress else { continue }
            move(place, to: .awaiting(gateway: gateway, number: number, until: until, tries: tries))
        }
    }

    private func overdue(_ now: Instant, _ response: Duration) -> Instant {
        now + Limits.sendWindow + response + Limits.answerSlack
    }

    /// Nothing was handed over (too late, a full inbox, a gateway that is gone): to be tried again a while later.
    package mutating func postponed(_ seqs: [Int64], by delay: Duration, now: Instant) {
        for place in seqs.compactMap(place) { move(place, to: .toSend(notBefore: now + delay, tries: 0)) }
    }

    package mutating func noRoute(_ seqs: [Int64]) {
        for place in seqs.compactMap(place) { move(place, to: .unreachable) }
    }

    /// Parked, or recorded: no longer this batch's.
    package mutating func left(_ seqs: [Int64]) {
        for place in seqs.compactMap(place) { move(place, to: .ended) }
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
            guard let place = place(of: item.seq) else { continue }
            switch entries[place].progress {
            case .awaiting(let gateway, let number, _, let tries) where gateway == part.gateway:
                answered(item, place, gateway: gateway, awaited: number, by: part.number, tries: tries, now: now)
            case .asking(let gateways, let mayBeSent) where gateways.contains(part.gateway):
                let others = gateways.subtracting([part.gateway])
                switch item.outcome {
                case .notConnected, .tooLate, .tooManyInFlight, .neverSent:
                    move(place, to: .asking(others, mayBeSent: mayBeSent))
                case .forgotten:
                    move(place, to: .asking(others, mayBeSent: true))
                case .inFlight:
                    move(
                        place,
                        to: .awaiting(gateway: part.gateway, number: nil, until: overdue(now, response), tries: 0))
                case .answered, .timedOut, .dropped, .invalidAnswer:
                    end(place, item.outcome, of: part.gateway, now: now)
                }
                settle(place, now: now)
            case .awaiting, .asking, .toSend, .ended, .unreachable:
                continue
            }
        }
    }

    /// Incarnations that live no longer: what they held and did not tell is unknown.
    package mutating func lost(gateways gone: Set<String>, now: Instant) {
        for place in entries.indices {
            switch entries[place].progress {
            case .awaiting(let gateway, _, _, _) where gone.contains(gateway):
                end(place, .forgotten, now: now)
            case .asking(let gateways, _) where !gateways.isDisjoint(with: gone):
                move(place, to: .asking(gateways.subtracting(gone), mayBeSent: true))
                settle(place, now: now)
            case .awaiting, .asking, .toSend, .ended, .unreachable:
                continue
            }
        }
    }

    /// A final outcome counts whichever message it answers: an invocation is sent once. Everything else counts only as
    /// the answer to the part that is awaited: an answer can come twice and late, and what an earlier part did not send
    /// this one may have sent.
    private mutating func answered(
        _ item: AnswerPart.Item, _ place: Int, gateway: String, awaited: Int64?, by number: Int64, tries: Int,
        now: Instant
    ) {
        switch item.outcome {
        case .answered, .timedOut, .dropped, .invalidAnswer:
            end(place, item.outcome, of: gateway, now: now)
        case .inFlight where awaited == nil || awaited == number:
            move(
                place, to: .awaiting(gateway: gateway, number: awaited, until: overdue(now, response), tries: tries))
        case .forgotten where awaited == nil || awaited == number:
            end(place, item.outcome, now: now)
        case .notConnected where awaited == number, .tooLate where awaited == number,
            .tooManyInFlight where awaited == number, .neverSent where awaited == number:
            move(
                place,
                to: tries < Limits.routeRetries
                    ? .toSend(notBefore: now + Limits.routeRetryDelay, tries: tries + 1) : .unreachable)
        case .inFlight, .forgotten, .notConnected, .tooLate, .tooManyInFlight, .neverSent:
            return
        }
    }

    /// Nobody is left to be asked: either it was certainly never sent, or nobody can know.
    private mutating func settle(_ place: Int, now: Instant) {
        guard case .asking(let gateways, let mayBeSent) = entries[place].progress, gateways.isEmpty else { return }
        if mayBeSent {
            end(place, .forgotten, now: now)
        } else {
            move(place, to: .toSend(notBefore: now, tries: 0))
        }
    }

    private mutating func end(_ place: Int, _ outcome: CallOutcome, of gateway: String? = nil, now: Instant) {
        let item = entries[place].item
        move(place, to: .ended)
        if case .answered(_, let payload) = outcome, payload.utf8.count > RouteLimits.smallPayloadBytes, let gateway {
            keepers[gateway, default: []].append(Settlement.Item(seq: item.seq, attempt: item.attempt))
        }
        results.append(ItemResult(seq: item.seq, outcome: outcome))
        if resultsSince == nil { resultsSince = now }
    }
}

extension ItemResult {
    /// How an outcome is stored and shown (wire contract 2.4). Only outcomes of calls that were sent.
    package init(seq: Int64, outcome: CallOutcome) {
        switch outcome {
        case .answered(let status, let payload):
            var response = #"{"status":"#
            response.reserveCapacity(40 + payload.utf8.count)
            response += String(status)
            response += #","payload":"#
            response += payload
            response += "}"
            self.init(seq: seq, response: response)
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
