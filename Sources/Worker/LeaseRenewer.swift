// Renews all of a worker's leases in one round trip, and re-creates them after Redis lost them.

internal import JSON
package import JobModel
package import JobStore
package import LeaseStore
package import ServiceKit
private import Synchronization

package final class LeaseRenewer: Sendable {
    private let worker: WorkerID
    private let store: JobStore
    private let leases: LeaseStore
    private let clock: any ServiceClock
    private let log: Log
    private let metrics: Metrics
    private let table = Mutex(LeaseTable())

    package init(
        worker: WorkerID, store: JobStore, leases: LeaseStore, clock: any ServiceClock, log: Log, metrics: Metrics
    ) {
        self.worker = worker
        self.store = store
        self.leases = leases
        self.clock = clock
        self.log = log
        self.metrics = metrics
    }

    package func withTable<T: Sendable>(_ body: (inout LeaseTable) -> T) -> T {
        table.withLock { table in body(&table) }
    }

    package func mayWork(on batch: BatchID) -> Bool {
        let now = clock.now
        return withTable { $0.mayWork(on: batch, now: now) }
    }

    /// Renews every two seconds until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            do {
                try await clock.sleep(for: Limits.leaseRenewalInterval)
                try await renew()
            } catch is CancellationError {
                return
            } catch {
                // The leases keep their trust for a while; without a renewal the worker stops by itself.
                log.warning("renewal_failed", [("error", .string("\(error)"))])
            }
        }
    }

    package func renew() async throws(StoreError) {
        let batches = withTable(\.batches)
        guard !batches.isEmpty else { return }
        let sent = clock.now
        let answer = try await leases.renew(worker: worker, batches: batches)
        let renewed = batches.filter { !answer.lost.contains($0) }
        let renewal = withTable {
            $0.renewed(renewed, lost: answer.lost, incarnation: answer.incarnation, sent: sent)
        }
        switch renewal {
        case .renewed(let lost):
            for batch in lost { report(lost: batch) }
        case .redisChanged(let incarnation):
            try await recreate(incarnation)
        }
    }

    private func recreate(_ incarnation: RedisIncarnation) async throws(StoreError) {
        let asked = withTable(\.claimed)
        let sent = clock.now
        let held = try await store.held(asked)
        let refused = try await leases.recreate(worker: worker, batches: held)
        let kept = held.filter { !refused.contains($0) }
        withTable { $0.recreated(kept, of: asked.map(\.id), incarnation: incarnation, sent: sent) }
        log.warning(
            "leases_recreated",
            [("held", .integer(Int64(kept.count))), ("asked", .integer(Int64(asked.count)))])
        metrics.count("muster_leases_recreated_total", "Leases re-created after Redis lost them", by: kept.count)
    }

    private func report(lost batch: BatchID) {
        metrics.count("muster_leases_lost_total", "Batches whose lease was lost while this worker held them")
        log.warning("lease_lost", [("batch", .string(batch.description))])
    }
}
