// What to do next with one claimed batch of direct methods: a pure machine, one step at a time. The shell
// (`MethodExecutor`) does what a step says and tells the answer; an error of a step ends the run, because what it did is
// open then: the batch goes back, and whoever holds it next asks.
//
// A turn: record what has come, look up and hand over what is due, park what cannot be reached, ask about what an earlier
// holder may have sent, wait. `MethodBatchState` keeps the items.

package import JobModel
package import JobStore
package import RouteStore
package import ServiceKit

package struct MethodBatchRun: Sendable {
    package enum Ending: Sendable, Hashable {
        case closed
        /// Nothing is in flight that this holder could still hear of; the rest is to be given back.
        case unfinished
        /// The fence refused a write.
        case leaseLost
        /// The lease is no longer trusted: nothing more was tried.
        case abandoned
    }

    /// Asked before each turn.
    package enum Permission: Sendable {
        case work
        /// Finish what is in flight, begin nothing.
        case finish
        /// Give the batch back with what is in flight; who takes it over asks for the outcomes.
        case stop
        case leaseLost

        /// `mayWork`: whether the lease is still trusted. A drain finishes what is in flight, for a limited time.
        package init(mayWork: Bool, drainingSince: Instant?, drainDuration: Duration, now: Instant) {
            self =
                if !mayWork { .leaseLost } else if let drainingSince {
                    now - drainingSince < drainDuration ? .finish : .stop
                } else { .work }
        }
    }

    package enum Step: Sendable {
        case record([ItemResult])
        /// Look up the routes of these items' devices.
        case find([OpenItem])
        case dispatch([JobStore.DispatchPart], sendBefore: Int64, response: Duration)
        case push(CallPart, to: GatewayID)
        case park([Int64])
        /// Look up once more the routes of devices whose items are parked by now: they may have connected meanwhile, and
        /// have read `waiting` before our commit.
        case findParked([String])
        case unpark([String])
        case listGateways
        case inquire(Inquiry, of: GatewayID)
        case settle
        /// Tell the gateway that these answers are recorded.
        case release(Settlement, by: GatewayID)
        case wait(until: Instant)
        case end(Ending)
    }

    private enum Phase: Sendable {
        case turn, sending, parking, asking, waiting, leaving
        case ended(Ending)
    }

    private struct Sending: Sendable {
        var isDispatched = false
        let sendBefore: Int64
        let response: Duration
        var groups: [(gateway: GatewayID, items: [OpenItem])]
    }

    package let batch: ClaimedBatch
    private let call: MethodCall
    private let replyTo: String
    /// Of the job; it may strike a little later, never sooner.
    private let deadline: Instant
    private var state: MethodBatchState
    private var phase = Phase.turn
    private var isSending = false
    /// Nothing more may be sent: the job was cancelled, or its time is nearly over.
    private var isClosedForSending = false
    private var due: ArraySlice<OpenItem> = []
    private var looked: [OpenItem] = []
    private var sending: Sending?
    private var parking: [Int64] = []
    private var parked: ArraySlice<String> = []
    private var open: Int64?
    private var connected: [String] = []
    /// Results still to record, last first; a part that PostgreSQL refuses is split, so that one device's answer never
    /// costs another's.
    private var recording: [[ItemResult]] = []
    /// What gateways need not keep once that is done.
    private var settlements: [(gateway: GatewayID, settlement: Settlement)] = []
    /// Gateways that were handed calls, or asked for those of earlier holders.
    private var told: Set<String> = []
    private var partNumber: Int64 = 0
    private var inquiries: [(gateway: GatewayID, inquiry: Inquiry)] = []
    private var nextInquiry: Instant?
    private var nextGatewayCheck: Instant
    /// A gateway's word did not come in time.
    package private(set) var isOverdue = false

    package init(
        batch: ClaimedBatch, call: MethodCall, replyTo: String, items: [OpenItem], dispatches: [Dispatch],
        deadline: Instant, now: Instant
    ) {
        self.batch = batch
        self.call = call
        self.replyTo = replyTo
        self.deadline = deadline
        state = MethodBatchState(items: items, dispatches: dispatches, response: call.response, now: now)
        nextGatewayCheck = now + Limits.inquiryInterval
    }

    // MARK: What is to be done

    package mutating func next(_ permission: Permission, now: Instant) -> Step {
        while true {
            if let part = recording.last { return .record(part) }
            if let (gateway, settlement) = settlements.popLast() { return .release(settlement, by: gateway) }
            switch phase {
            case .turn: beginTurn(permission, now)
            case .sending:
                if let step = send() { return step }
            case .parking:
                if let step = park() { return step }
            case .asking:
                if let step = ask(now) { return step }
            case .waiting:
                let isDone = !isSending || isClosedForSending ? state.isQuiet : state.openCount == 0
                if isDone, state.results.isEmpty {
                    leave()
                } else {
                    phase = .turn
                    return .wait(until: wakeUp(now))
                }
            case .leaving:
                phase = .ended(.unfinished)
                let mayHaveDispatches = partNumber > 0 || !batch.fence.isFirst
                if state.isQuiet, mayHaveDispatches { return .settle }
            case .ended(let ending):
                return .end(ending)
            }
        }
    }

    private mutating func beginTurn(_ permission: Permission, _ now: Instant) {
        switch permission {
        case .leaseLost:
            phase = .ended(.abandoned)
            return
        case .stop:
            return leave()
        case .work, .finish:
            break
        }
        if state.isOverdue(now: now) {
            isOverdue = true
            return leave()
        }
        if state.shouldRecord(now: now) { beginRecording() }
        isSending = permission == .work && !isClosedForSending
        due = isSending ? state.due(now: now)[...] : []
        phase = .sending
    }

    /// The batch goes back. What is known is recorded first; and if that is the fate of every call, the next holder has
    /// nothing to ask.
    private mutating func leave() {
        if !state.results.isEmpty { beginRecording() }
        phase = .leaving
    }

    /// At least four looks a second, so that a lost lease or a drain is seen soon.
    private func wakeUp(_ now: Instant) -> Instant {
        let latest = now + .milliseconds(250)
        guard let next = state.nextMoment(now: now) else { return latest }
        // What is due for sending does not wake a run that may not send.
        return min(latest, isSending ? next : max(next, now + Limits.resultDelay))
    }

    // MARK: Recording

    private mutating func beginRecording() {
        recording = [state.takeResults()]
        for (name, items) in state.takeKeepers().sorted(by: { $0.key < $1.key }) {
            guard let gateway = GatewayID(name) else { continue }
            settlements.append((gateway, Settlement(job: batch.id.job, items: items)))
        }
    }

    /// What is open after the last step's results; nil when the lease is lost.
    package mutating func recorded(open: Int64?) {
        recording.removeLast()
        switch open {
        case nil:
            recording = []
            settlements = []
            phase = .ended(.leaseLost)
        case 0?:
            close()
        case .some:
            break
        }
    }

    /// Nobody will ask for the calls of this batch, and gateways need not remember them.
    private mutating func close() {
        phase = .ended(.closed)
        let closed = Settlement.Closed(batch: Int64(batch.id.batch), fence: batch.fence.value)
        settlements = told.sorted().compactMap { GatewayID($0) }.map {
            ($0, Settlement(job: batch.id.job, items: [], closed: closed))
        }
    }

    /// PostgreSQL refused the last step's results.
    package mutating func refused(_ error: StoreError) throws(StoreError) {
        guard error.code == .invalidData, let part = recording.last else { throw error }
        if part.count > 1 {
            let middle = part.count / 2
            recording.removeLast()
            recording += [Array(part[middle...]), Array(part[..<middle])]
        } else if let result = part.first, result.response != nil {
            recording[recording.count - 1] = [
                ItemResult(
                    seq: result.seq, error: .badDeviceResponse,
                    text: "The device's answer cannot be stored: \(error.message)")
            ]
        } else {
            throw error
        }
    }

    // MARK: Sending

    private mutating func send() -> Step? {
        if let sending, let (gateway, items) = sending.groups.first {
            if sending.isDispatched { return .push(part(items, sending), to: gateway) }
            let parts = sending.groups.map { gateway, items in
                JobStore.DispatchPart(
                    gateway: gateway.name, incarnation: gateway.incarnation, seqs: items.map(\.seq))
            }
            return .dispatch(parts, sendBefore: sending.sendBefore, response: sending.response)
        }
        sending = nil
        guard !due.isEmpty, !isClosedForSending else {
            phase = .parking
            parking = isSending ? state.unreachable : []
            return nil
        }
        looked = Array(due.prefix(RouteLimits.routesPerCall))
        due = due.dropFirst(looked.count)
        return .find(looked)
    }

    private mutating func part(_ items: [OpenItem], _ sending: Sending) -> CallPart {
        partNumber += 1
        return CallPart(
            job: batch.id.job, batch: Int64(batch.id.batch), fence: batch.fence.value, number: partNumber,
            sendBefore: sending.sendBefore, responseMilliseconds: sending.response.milliseconds, replyTo: replyTo,
            method: call.method, payload: call.payload,
            items: items.map { .init(seq: $0.seq, attempt: $0.attempt, deviceID: $0.deviceID) })
    }

    /// The routes of the last step's items.
    package mutating func found(_ routes: [Route?], redisMilliseconds: Int64, now: Instant) {
        // Most items that are looked up together are at the gateway of the one before.
        var groups: [(gateway: GatewayID, items: [OpenItem])] = []
        var place: Int?
        var offline: [Int64] = []
        for (item, route) in zip(looked, routes) {
            guard let route, route.flags.contains(.methods) else {
                offline.append(item.seq)
                continue
            }
            if place.map({ groups[$0].gateway != route.gateway }) ?? true {
                place = groups.firstIndex { $0.gateway == route.gateway }
            }
            if let place {
                groups[place].items.append(item)
            } else {
                place = groups.count
                groups.append((route.gateway, [item]))
            }
        }
        state.noRoute(offline)
        // Cut, so that nothing is in flight at the deadline, even if the call is sent at the last moment.
        let left = deadline - now - Limits.sendWindow - Limits.deadlineMargin
        sending = Sending(
            sendBefore: redisMilliseconds + Limits.sendWindow.milliseconds,
            response: max(.seconds(1), min(call.response, left)),
            groups: groups.sorted { $0.gateway.text < $1.gateway.text })
    }

    /// The gateways that may be handed their parts; nil when nothing may be sent.
    package mutating func dispatched(to living: Set<String>?, now: Instant) {
        guard let living else {
            isClosedForSending = true
            sending = nil
            return
        }
        for (gateway, items) in sending?.groups ?? [] where !living.contains(gateway.text) {
            // Redis knows it, PostgreSQL does not: it ends its life as soon as it learns that.
            state.postponed(items.map(\.seq), by: Limits.inquiryInterval, now: now)
        }
        sending?.isDispatched = true
        sending?.groups.removeAll { !living.contains($0.gateway.text) }
    }

    package mutating func pushed(_ push: RouteStore.Push, now: Instant) {
        guard let (gateway, items) = sending?.groups.removeFirst(), let response = sending?.response else { return }
        let seqs = items.map(\.seq)
        switch push {
        case .pushed:
            told.insert(gateway.text)
            state.handedOver(seqs, to: gateway.text, number: partNumber, response: response, now: now)
        case .late, .gone, .full:
            state.postponed(seqs, by: Limits.routeRetryDelay, now: now)
        case .leaseLost:
            isClosedForSending = true
        }
    }

    // MARK: Parking

    private mutating func park() -> Step? {
        if !parking.isEmpty { return .park(parking) }
        if !parked.isEmpty { return .findParked(Array(parked.prefix(RouteLimits.routesPerCall))) }
        if !connected.isEmpty { return .unpark(connected) }
        if open == 0 { close() } else { phase = .asking }
        open = nil
        return nil
    }

    /// What is open in the batch; nil when nothing could be parked: the lease is lost or the job was cancelled.
    package mutating func parked(open: Int64?) {
        let seqs = parking
        parking = []
        guard let open else {
            isClosedForSending = true  // What is in flight is still waited for.
            return
        }
        self.open = open
        parked = state.devices(of: seqs)[...]
        state.left(seqs)
    }

    package mutating func foundParked(_ routes: [Route?]) {
        let devices = parked.prefix(routes.count)
        parked = parked.dropFirst(routes.count)
        for (device, route) in zip(devices, routes) where route?.flags.contains(.methods) == true {
            connected.append(device)
        }
    }

    package mutating func unparked() { connected = [] }

    // MARK: Asking

    private mutating func ask(_ now: Instant) -> Step? {
        if nextGatewayCheck <= now {
            nextGatewayCheck = now + Limits.inquiryInterval
            if !state.awaitedGateways.isEmpty { return .listGateways }
        }
        if inquiries.isEmpty, state.isAsking, nextInquiry.map({ $0 <= now }) ?? true {
            nextInquiry = now + Limits.inquiryInterval
            for (name, inquiry) in state.inquiries(batch: batch, replyTo: replyTo).sorted(by: { $0.key < $1.key }) {
                if let gateway = GatewayID(name) { inquiries.append((gateway, inquiry)) }
            }
        }
        guard let (gateway, inquiry) = inquiries.popLast() else {
            phase = .waiting
            return nil
        }
        told.insert(gateway.text)
        return .inquire(inquiry, of: gateway)
    }

    /// Returns the gateways that were awaited and are gone.
    package mutating func listed(gateways living: Set<String>, now: Instant) -> Set<String> {
        let gone = state.awaitedGateways.subtracting(living)
        if !gone.isEmpty { state.lost(gateways: gone, now: now) }
        return gone
    }

    // MARK: Waiting

    package mutating func answered(_ part: AnswerPart, now: Instant) { state.answer(part, now: now) }
}
