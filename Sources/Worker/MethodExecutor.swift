// Executes one claimed batch of direct methods: looks up routes, commits dispatches, hands the calls to gateways, records
// the outcomes as they come. What is to be done when is decided by `MethodBatchState`.

package import JSON
internal import JobModel
internal import JobStore
internal import LeaseStore
internal import RouteStore
internal import ServiceKit

package struct MethodCall: Sendable, Hashable {
    package let method: String
    /// JSON text.
    package let payload: String
    package let response: Duration

    /// From the normalised `cloudToDeviceMethod` member of a job.
    package init?(stored document: JSONObject) {
        guard let method = document["methodName"]?.stringValue else { return nil }
        self.method = method
        payload = (document["payload"] ?? .null).text
        response = .seconds(
            document["responseTimeoutInSeconds"]?.integerValue ?? Limits.responseTimeoutSecondsDefault)
    }
}

struct MethodExecutor: Sendable {
    let worker: WorkerID
    let shard: Int64
    let store: JobStore
    let leases: LeaseStore
    let routes: RouteStore
    let inbox: AnswerInbox
    let clock: any ServiceClock
    let log: Log
    let metrics: Metrics

    enum Ending: Sendable, Hashable {
        case closed
        /// Nothing is in flight; the rest is to be given back.
        case unfinished
        case leaseLost
    }

    /// Asked before each step.
    enum Permission: Sendable {
        case work
        /// Finish what is in flight, begin nothing.
        case finish
        /// Give the batch back with what is in flight; who takes it over asks for the outcomes.
        case stop
        case leaseLost
    }

    /// `started`: before the batch was claimed. `ended` hears of outcomes as they are recorded.
    func execute(
        _ batch: ClaimedBatch, call: MethodCall, started: Instant, permission: () -> Permission,
        ended: (Int64, Int64) -> Void
    ) async throws -> Ending {
        let mailbox = inbox.open(batch)
        defer { inbox.close(batch) }
        var run = Run(
            executor: self, batch: batch, call: call, deadline: started + batch.timeLeft, mailbox: mailbox,
            state: try await initialState(batch, call))
        return try await run.loop(permission: permission, ended: ended)
    }

    private func initialState(_ batch: ClaimedBatch, _ call: MethodCall) async throws -> MethodBatchState {
        let items = try await store.openItems(of: batch)
        // A statement behind the claim: the claim itself may not see what the last holder committed before it.
        let dispatches = batch.fence.isFirst ? [] : try await store.dispatches(before: batch)
        if !dispatches.isEmpty {
            metrics.count("muster_batches_taken_over_total", "Method batches with dispatches of an earlier holder")
            log.info(
                "dispatches_found",
                [("batch", .string(batch.id.description)), ("dispatches", .integer(Int64(dispatches.count)))])
        }
        return MethodBatchState(
            items: items, dispatches: dispatches, response: call.response, now: clock.now)
    }

    /// One execution.
    private struct Run {
        let executor: MethodExecutor
        let batch: ClaimedBatch
        let call: MethodCall
        /// Of the job; it may strike a little later, never sooner.
        let deadline: Instant
        let mailbox: Mailbox
        var state: MethodBatchState
        /// Nothing more may be sent: the job was cancelled, or its time is nearly over.
        var isClosedForSending = false
        var partNumber: Int64 = 0
        var nextInquiry: Instant?
        var nextGatewayCheck: Instant?

        mutating func loop(
            permission: () -> Permission, ended: (Int64, Int64) -> Void
        ) async throws -> Ending {
            nextGatewayCheck = executor.clock.now + Limits.inquiryInterval
            while true {
                let allowed = permission()
                switch allowed {
                case .leaseLost: return .leaseLost
                case .stop: return try await leave(ended)
                case .work, .finish: break
                }
                let now = executor.clock.now
                if state.isOverdue(now: now) {
                    executor.log.warning("answers_overdue", [("batch", .string(batch.id.description))])
                    executor.metrics.count(
                        "muster_answers_overdue_total", "Batches given back because a gateway's word did not come")
                    return try await leave(ended)
                }
                if state.shouldRecord(now: now) {
                    guard let open = try await record(ended) else { return .leaseLost }
                    if open == 0 { return .closed }
                }
                let isSending = allowed == .work && !isClosedForSending
                if isSending { try await send(state.due(now: now)) }
                let unreachable = state.unreachable
                if !unreachable.isEmpty, isSending {
                    switch try await park(unreachable) {
                    case 0?: return .closed
                    case .some: break
                    case nil: isClosedForSending = true  // What is in flight is still waited for.
                    }
                }
                try await inquire(now: now)
                let isDone = !isSending || isClosedForSending ? state.isQuiet : state.openCount == 0
                if isDone, state.results.isEmpty { return try await leave(ended) }
                for answer in await mailbox.take(until: wakeUp(isSending: isSending)) {
                    state.answer(answer, now: executor.clock.now)
                }
            }
        }

        /// The batch goes back. What is known is recorded first; and if that is the fate of every call, the next holder
        /// has nothing to ask.
        private mutating func leave(_ ended: (Int64, Int64) -> Void) async throws -> Ending {
            if !state.results.isEmpty {
                guard let open = try await record(ended) else { return .leaseLost }
                if open == 0 { return .closed }
            }
            let mayHaveDispatches = partNumber > 0 || !batch.fence.isFirst
            if state.isQuiet, mayHaveDispatches { try await executor.store.settleDispatches(of: batch) }
            return .unfinished
        }

        /// At least four looks a second, so that a lost lease or a drain is seen soon.
        private func wakeUp(isSending: Bool) -> Instant {
            let now = executor.clock.now
            let latest = now + .milliseconds(250)
            guard let next = state.nextMoment(now: now) else { return latest }
            // What is due for sending does not wake a run that may not send.
            return min(latest, isSending ? next : max(next, now + Limits.resultDelay))
        }

        // MARK: Sending

        private mutating func send(_ due: [OpenItem]) async throws {
            var rest = due[...]
            while !rest.isEmpty, !isClosedForSending {
                let items = Array(rest.prefix(RouteLimits.routesPerCall))
                rest = rest.dropFirst(items.count)
                try await sendSome(items)
            }
        }

        private mutating func sendSome(_ items: [OpenItem]) async throws {
            let (found, redisTime) = try await executor.routes.find(items.map(\.deviceID))
            var groups: [GatewayID: [OpenItem]] = [:]
            var offline: [Int64] = []
            for (item, route) in zip(items, found) {
                if let route, route.flags.contains(.methods) {
                    groups[route.gateway, default: []].append(item)
                } else {
                    offline.append(item.seq)
                }
            }
            state.noRoute(offline)
            guard !groups.isEmpty else { return }
            let sendBefore = redisTime + Limits.sendWindow.milliseconds
            let order = groups.keys.sorted { $0.text < $1.text }
            let parts = order.map { gateway in
                JobStore.DispatchPart(
                    gateway: gateway.name, incarnation: gateway.incarnation,
                    seqs: groups[gateway, default: []].map(\.seq))
            }
            // Cut, so that nothing is in flight at the deadline.
            let left = deadline - executor.clock.now - Limits.deadlineMargin
            let response = max(.seconds(1), min(call.response, left))
            let living = try await executor.store.dispatch(
                parts, of: batch, sendBefore: sendBefore, response: response)
            guard let living else {
                isClosedForSending = true
                return
            }
            for gateway in order {
                let items = groups[gateway, default: []]
                if living.contains(gateway.text) {
                    try await push(items, to: gateway, sendBefore: sendBefore, response: response)
                } else {
                    // Redis knows it, PostgreSQL does not: it ends its life as soon as it learns that.
                    state.postponed(items.map(\.seq), by: Limits.inquiryInterval, now: executor.clock.now)
                }
            }
        }

        private mutating func push(
            _ items: [OpenItem], to gateway: GatewayID, sendBefore: Int64, response: Duration
        ) async throws {
            partNumber += 1
            let part = CallPart(
                job: batch.id.job, batch: Int64(batch.id.batch), fence: batch.fence.value, number: partNumber,
                sendBefore: sendBefore, responseMilliseconds: response.milliseconds, replyTo: executor.inbox.address,
                method: call.method, payload: call.payload,
                items: items.map { .init(seq: $0.seq, attempt: $0.attempt, deviceID: $0.deviceID) })
            let seqs = items.map(\.seq)
            // An error here leaves open whether the part was handed over: it is thrown, the batch is given back, and
            // whoever holds it next asks the gateway.
            switch try await executor.routes.push(part, to: gateway, batch: batch.id, worker: executor.worker) {
            case .pushed:
                state.handedOver(
                    seqs, to: gateway.text, number: partNumber, response: response, now: executor.clock.now)
            case .late, .gone, .full:
                executor.metrics.count(
                    "muster_parts_postponed_total", "Parts that came too late, or met a full inbox or no gateway")
                state.postponed(seqs, by: Limits.routeRetryDelay, now: executor.clock.now)
            case .leaseLost:
                isClosedForSending = true
            }
        }

        /// Nil when nothing could be parked: the lease is lost or the job was cancelled.
        private mutating func park(_ seqs: [Int64]) async throws -> Int64? {
            guard let open = try await executor.store.park(seqs, of: batch) else { return nil }
            executor.metrics.count("muster_items_parked_total", "Items whose device was not connected", by: seqs.count)
            let devices = state.devices(of: seqs)
            state.left(seqs)
            // The other half of the promise: a device that connected meanwhile has read `waiting` before our commit.
            var connected: [String] = []
            for start in stride(from: 0, to: devices.count, by: RouteLimits.routesPerCall) {
                let some = Array(devices[start..<min(start + RouteLimits.routesPerCall, devices.count)])
                let (found, _) = try await executor.routes.find(some)
                for (device, route) in zip(some, found) where route?.flags.contains(.methods) == true {
                    connected.append(device)
                }
            }
            if !connected.isEmpty {
                try await executor.leases.offer(try await executor.store.unpark(connected))
            }
            return open
        }

        // MARK: Asking

        private mutating func inquire(now: Instant) async throws {
            if let nextGatewayCheck, nextGatewayCheck <= now {
                self.nextGatewayCheck = now + Limits.inquiryInterval
                let awaited = state.awaitedGateways
                if !awaited.isEmpty {
                    let gone = awaited.subtracting(try await executor.store.livingGateways())
                    if !gone.isEmpty {
                        executor.log.warning(
                            "gateway_gone", [("gateways", .string(gone.sorted().joined(separator: " ")))])
                        state.lost(gateways: gone, now: executor.clock.now)
                    }
                }
            }
            guard state.isAsking, nextInquiry.map({ $0 <= now }) ?? true else { return }
            nextInquiry = now + Limits.inquiryInterval
            for (gateway, inquiry) in state.inquiries(batch: batch, replyTo: executor.inbox.address) {
                guard let id = GatewayID(gateway) else { continue }
                _ = try await executor.routes.send(.inquiry(inquiry), to: id)
            }
        }

        // MARK: Recording

        /// What is open afterwards; nil when the lease is lost.
        private mutating func record(_ ended: (Int64, Int64) -> Void) async throws -> Int64? {
            var open: Int64?
            // Parts still to record, last first; a part that PostgreSQL refuses is split, so that one device's answer
            // never costs another's.
            var parts = [state.takeResults()]
            while let part = parts.popLast() {
                do {
                    switch try await executor.store.record(part, of: batch, shard: executor.shard) {
                    case .recorded(let succeeded, let failed, let left, _):
                        ended(succeeded, failed)
                        open = left
                    case .leaseLost:
                        return nil
                    }
                } catch {
                    guard error.code == .invalidData else { throw error }
                    if part.count > 1 {
                        let middle = part.count / 2
                        parts += [Array(part[middle...]), Array(part[..<middle])]
                    } else if let result = part.first, result.response != nil {
                        parts.append([
                            ItemResult(
                                seq: result.seq, error: .badDeviceResponse,
                                text: "The device's answer cannot be stored: \(error.message)")
                        ])
                    } else {
                        throw error
                    }
                }
            }
            return open
        }
    }
}
