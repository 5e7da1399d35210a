// Counters as `job_statistics` shows them, and recount_jobs.

package import JobModel

extension PostgresModel {
    /// The view job_statistics.
    package func statistics(of job: JobTable) -> JobStatistics {
        var statistics = JobStatistics()
        statistics.devices = job.expansions.reduce(0) { $0 + $1.items }
        statistics.running = job.batches.reduce(0) { $0 + ($1.state == .claimed ? $1.open : 0) }
        for counter in job.counters.values {
            statistics.succeeded += counter.succeeded
            statistics.failed += counter.failed
            statistics.cancelled += counter.cancelled
        }
        statistics.pending =
            statistics.devices - statistics.running - statistics.succeeded - statistics.failed - statistics.cancelled
        return statistics
    }

    /// recount_jobs for one job: what breaks a rule, in words; empty when all is well.
    package func recount(_ job: JobTable) -> [String] {
        let counted = statistics(of: job)
        var recounted = JobStatistics()
        recounted.devices = Int64(job.items.count)
        var (findings, open): ([String], [Int32: Int64]) = ([], [:])
        var states: [Int32: BatchState] = [:]
        for batch in job.batches { states[batch.batch] = batch.state }
        for (seq, item) in job.items.enumerated() {
            let state = states[item.batch]
            switch item.state {
            case .succeeded: recounted.succeeded += 1
            case .failed: recounted.failed += 1
            case .cancelled: recounted.cancelled += 1
            case .pending:
                if state == .claimed { recounted.running += 1 } else { recounted.pending += 1 }
                open[item.batch, default: 0] += 1
                if state == .closed { findings.append("item \(seq) is open in a closed batch") }
            }
            if state == nil, item.batch != -1 { findings.append("item \(seq) is in no batch") }
            let isWaiting = waiting.contains { $0.job == job.row.job && $0.seq == Int64(seq) }
            if isWaiting != (item.batch == -1 && item.state == .pending) {
                findings.append("item \(seq) is \(item.state) in batch \(item.batch), waiting: \(isWaiting)")
            }
        }
        for batch in job.batches where batch.open != open[batch.batch] ?? 0 {
            findings.append("batch \(batch.batch) counts \(batch.open) open items, and has \(open[batch.batch] ?? 0)")
        }
        if counted != recounted { findings.append("counted \(counted), recounted \(recounted)") }
        if job.row.endedAt != nil, recounted.pending + recounted.running > 0 {
            findings.append("the job has ended with \(recounted.pending + recounted.running) open items")
        }
        return findings
    }
}
