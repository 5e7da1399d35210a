// Method batches of a worker: they run beside the lanes, each as a task of its own, bounded by the calls in flight.

internal import JSON
internal import JobModel
internal import JobStore
internal import LeaseStore
internal import ServiceKit
internal import Synchronization

extension Worker {
    /// `started`: before the batch was claimed.
    func begin(_ batch: ClaimedBatch, _ call: MethodCall, started: Instant) {
        let size = Int(batch.open)
        // The task registers its end under the same lock, so it cannot end before it is registered.
        state.withLock { state in
            state.slots.take(size, for: batch.id.job)
            state.methodBatches[batch.id] = Task {
                let isClosed = await run(batch, call, started: started)
                let mustTell = self.state.withLock { state in
                    state.slots.release(size, of: batch.id.job)
                    state.methodBatches[batch.id] = nil
                    return state.endedBatch(of: batch.id.job, isClosed: isClosed)
                }
                if mustTell { await tellLeader() }
            }
        }
    }

    /// Nobody else would tell while the lanes sleep. If it fails, the sweep looks within a second.
    private func tellLeader() async {
        do {
            try await leases.wake(.coordinators)
        } catch {
            log.debug("wake_failed", [("error", .string("\(error)"))])
        }
    }

    /// Whether the batch was closed.
    private func run(_ batch: ClaimedBatch, _ call: MethodCall, started: Instant) async -> Bool {
        var isClosed = false
        do {
            let ending = try await methods.execute(
                batch, call: call, started: started, permission: { permission(batch) },
                ended: { recorded(succeeded: $0, failed: $1) })
            switch ending {
            case .closed:
                isClosed = true
                try await letGo(batch.id)
            case .unfinished:
                renewer.withTable { $0.remove(batch.id) }
                await giveBack(batch)
                try await leases.wake(.coordinators)
            case .leaseLost:
                refused(batch)
                try await letGo(batch.id)
            case .abandoned:
                await abandon(batch)
            }
            metrics.observe(
                "muster_batch_seconds", "Time from claim to recorded result of a batch", clock.now - started)
        } catch {
            log.warning(
                "method_batch_failed", [("batch", .string(batch.id.description)), ("error", .string("\(error)"))])
            renewer.withTable { $0.remove(batch.id) }
            // Whoever gets it next meets the same failure: without a pause the batch would go round many times a second.
            await pauseAfterFailure()
            await giveBack(batch)
        }
        return isClosed
    }

    private func permission(_ batch: ClaimedBatch) -> MethodBatchRun.Permission {
        MethodBatchRun.Permission(
            mayWork: renewer.mayWork(on: batch.id), drainingSince: state.withLock(\.drainingSince),
            drainDuration: configuration.drainDuration, now: clock.now)
    }

    /// A drain: calls in flight are waited for, the rest goes back at once.
    func finishMethodBatches() async {
        for task in state.withLock({ Array($0.methodBatches.values) }) { await task.value }
    }
}
