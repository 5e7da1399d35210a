// Ends jobs: ends the open items of cancelled and expired jobs in chunks, and finishes jobs whose batches are all closed.

internal import JSON
internal import JobModel
package import JobStore
package import LeaseStore
package import ServiceKit

package struct Ender: Sendable {
    let store: JobStore
    let leases: LeaseStore
    let log: Log
    let metrics: Metrics

    package init(store: JobStore, leases: LeaseStore, log: Log, metrics: Metrics) {
        self.store = store
        self.leases = leases
        self.log = log
        self.metrics = metrics
    }

    /// Ends the open items of one job. `isLeading` is asked between chunks: an end that another leader goes on with is
    /// harmless, but needless. Returns how many batches and parked items it ended.
    @discardableResult
    package func endItems(
        of job: Int64, isCancelled: Bool, isLeading: () -> Bool
    ) async throws(StoreError) -> Int64 {
        let forgotten = try await leases.forget(job: job)
        var ended: Int64 = 0
        var done: Int64 = 0
        while isLeading() {
            let chunk = try await store.endBatches(job: job, isCancelled: isCancelled)
            ended += chunk.items
            done += chunk.batches
            if chunk.batches == 0 { break }
        }
        // What is still ready has calls that somebody must ask for. Its offers went with those of the others, and the sweep
        // would give them back only after seconds, to lose them again to the next round of the end.
        if forgotten > 0, isCancelled {
            try await leases.offer(try await store.readyBatches(of: job, limit: Limits.sweepBatches))
        }
        while isLeading() {
            let parked = try await store.endWaiting(job: job, isCancelled: isCancelled)
            ended += parked
            done += parked
            if parked == 0 { break }
        }
        if ended > 0 {
            log.info(
                isCancelled ? "items_cancelled" : "items_expired", [("key", .integer(job)), ("items", .integer(ended))])
        }
        return done
    }

    /// Finishes the jobs that have nothing open; returns how many.
    @discardableResult
    package func finishJobs(actor: String) async throws(StoreError) -> Int {
        var count = 0
        for job in try await store.finishableJobs() {
            guard let finished = try await store.finish(job: job, actor: actor) else { continue }
            metrics.count(
                "muster_jobs_ended_total", "Jobs that ended, by state", labels: [("state", finished.state.rawValue)])
            log.info(
                "job_ended", [("job", .string(finished.jobID.text)), ("state", .string(finished.state.rawValue))])
            count += 1
        }
        return count
    }
}
