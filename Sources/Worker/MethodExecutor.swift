// Executes one claimed batch of direct methods: looks up routes, commits dispatches, hands the calls to gateways, records
// the outcomes as they come. What is to be done when is decided by `MethodBatchRun`.

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

    /// `started`: before the batch was claimed. `ended` hears of outcomes as they are recorded.
    func execute(
        _ batch: ClaimedBatch, call: MethodCall, started: Instant, permission: () -> MethodBatchRun.Permission,
        ended: (Int64, Int64) -> Void
    ) async throws -> MethodBatchRun.Ending {
        let mailbox = inbox.open(batch)
        defer { inbox.close(batch) }
        var run = try await begin(batch, call, deadline: started + batch.timeLeft)
        while true {
            let step = run.next(permission(), now: clock.now)
            switch step {
            case .record(let results):
                do {
                    run.recorded(open: try await record(results, batch, ended))
                } catch {
                    try run.refused(error)
                }
            case .find(let items):
                let (routes, time) = try await routes.find(items.map(\.deviceID))
                run.found(routes, redisMilliseconds: time, now: clock.now)
            case .dispatch(let parts, let sendBefore, let response):
                let living = try await store.dispatch(parts, of: batch, sendBefore: sendBefore, response: response)
                if living == nil { reportRefused(parts.count, of: batch, by: "dispatch") }
                run.dispatched(to: living, now: clock.now)
            case .push(let part, let gateway):
                // An error here leaves open whether the part was handed over: the batch is given back, and whoever holds
                // it next asks the gateway.
                let push = try await routes.push(part, to: gateway, batch: batch.id, worker: worker)
                count(push, of: batch)
                run.pushed(push, now: clock.now)
            case .park(let seqs):
                let open = try await store.park(seqs, of: batch)
                if open != nil {
                    metrics.count("muster_items_parked_total", "Items whose device was not connected", by: seqs.count)
                }
                run.parked(open: open)
            case .findParked(let devices):
                run.foundParked(try await routes.find(devices).routes)
            case .unpark(let devices):
                try await leases.offer(try await store.unpark(devices))
                run.unparked()
            case .listGateways:
                report(gone: run.listed(gateways: try await store.livingGateways(), now: clock.now))
            case .inquire(let inquiry, let gateway):
                _ = try await routes.send(.inquiry(inquiry), to: gateway)
            case .settle:
                try await store.settleDispatches(of: batch)
            case .release(let settlement, let gateway):
                await release(settlement, gateway)
            case .wait(let moment):
                for answer in await mailbox.take(until: moment) { run.answered(answer, now: clock.now) }
            case .end(let ending):
                if run.isOverdue { reportOverdue(batch) }
                return ending
            }
        }
    }

    private func begin(
        _ batch: ClaimedBatch, _ call: MethodCall, deadline: Instant
    ) async throws -> MethodBatchRun {
        let items = try await store.openItems(of: batch)
        // A statement behind the claim: the claim itself may not see what the last holder committed before it.
        let dispatches = batch.fence.isFirst ? [] : try await store.dispatches(before: batch)
        if !dispatches.isEmpty {
            metrics.count("muster_batches_taken_over_total", "Method batches with dispatches of an earlier holder")
            log.info(
                "dispatches_found",
                [("batch", .string(batch.id.description)), ("dispatches", .integer(Int64(dispatches.count)))])
        }
        return MethodBatchRun(
            batch: batch, call: call, replyTo: inbox.address, items: items, dispatches: dispatches, deadline: deadline,
            now: clock.now)
    }

    /// What is open afterwards; nil when the lease is lost.
    private func record(
        _ results: [ItemResult], _ batch: ClaimedBatch, _ ended: (Int64, Int64) -> Void
    ) async throws(StoreError) -> Int64? {
        switch try await store.record(results, of: batch, shard: shard) {
        case .recorded(let succeeded, let failed, let open, _):
            ended(succeeded, failed)
            return open
        case .leaseLost:
            return nil
        }
    }

    /// Best effort: a gateway that is not told keeps the answers for as long as it remembers the calls.
    private func release(_ settlement: Settlement, _ gateway: GatewayID) async {
        do {
            _ = try await routes.send(.settlement(settlement), to: gateway)
        } catch {
            log.debug("settlement_failed", [("error", .string("\(error)"))])
        }
    }

    // MARK: Reports

    private func count(_ push: RouteStore.Push, of batch: ClaimedBatch) {
        switch push {
        case .pushed:
            return
        case .leaseLost:
            reportRefused(1, of: batch, by: "push")
        case .late, .gone, .full:
            metrics.count(
                "muster_parts_postponed_total", "Parts that came too late, or met a full inbox or no gateway")
        }
    }

    /// A worker that slept, or whose job was stopped meanwhile, sends nothing.
    private func reportRefused(_ parts: Int, of batch: ClaimedBatch, by step: String) {
        metrics.count(
            "muster_sends_refused_total",
            "Parts that were not handed over: the lease was lost, the job was stopped or its time nearly over",
            by: parts, labels: [("by", step)])
        log.info(
            "send_refused",
            [
                ("batch", .string(batch.id.description)), ("fence", .integer(batch.fence.value)),
                ("parts", .integer(Int64(parts))), ("by", .string(step)),
            ])
    }

    private func report(gone gateways: Set<String>) {
        guard !gateways.isEmpty else { return }
        log.warning("gateway_gone", [("gateways", .string(gateways.sorted().joined(separator: " ")))])
    }

    private func reportOverdue(_ batch: ClaimedBatch) {
        log.warning("answers_overdue", [("batch", .string(batch.id.description))])
        metrics.count("muster_answers_overdue_total", "Batches given back because a gateway's word did not come")
    }
}
