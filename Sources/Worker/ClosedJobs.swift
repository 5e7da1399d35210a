// Which jobs may be done, for the leader to look: a pure machine. A worker that closed a batch of a job and then gets one
// of another may have closed the last. While it gets more of the same job, there is nothing to tell.

internal import JobModel
package import ServiceKit

package struct ClosedJobs: Sendable {
    private var jobs: Set<Int64> = []
    private var told: Instant?

    package init() {}

    /// A batch of the job was closed.
    package mutating func add(_ job: Int64) { jobs.insert(job) }

    /// A batch of the job was taken. Returns whether to tell the leader now: not more often than it should look while
    /// many jobs run side by side.
    package mutating func took(from job: Int64, now: Instant) -> Bool {
        jobs.remove(job)
        if jobs.isEmpty { return false }
        if let told, now - told < Limits.closedInterval { return false }
        return tell(now)
    }

    /// There is no work: the leader should look at once, if there is anything to look at.
    package mutating func foundNothing(now: Instant) -> Bool { jobs.isEmpty ? false : tell(now) }

    private mutating func tell(_ now: Instant) -> Bool {
        jobs = []
        told = now
        return true
    }
}
