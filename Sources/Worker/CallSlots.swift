// How many calls each job has in flight in this worker: a pure machine. A job may hold no more than are left free, so a
// job whose devices never answer leaves room for the next one, and that one for a third.

internal import JobModel

package struct CallSlots: Sendable {
    private let limit: Int
    private var held: [Int64: Int] = [:]
    /// Lanes that are about to take a batch; nobody knows yet of which job.
    private var takes = 0

    /// `limit`: of all jobs together.
    package init(limit: Int = Limits.callsInFlight * Limits.callsInFlightShares) { self.limit = limit }

    package var inFlight: Int { held.values.reduce(0, +) }

    package mutating func take(_ count: Int, for job: Int64) { held[job, default: 0] += count }

    package mutating func release(_ count: Int, of job: Int64) {
        let left = (held[job] ?? 0) - count
        held[job] = left > 0 ? left : nil
    }

    package func holdsCalls(of job: Int64) -> Bool { held[job] != nil }

    /// Jobs that may not take another batch now. One that holds nothing may always take its first. Each take that was
    /// begun counts as a batch of every job, so that several lanes together keep the limit, too.
    package var exhausted: [Int64] {
        let batches = (takes + 1) * Limits.batchItems
        let free = limit - inFlight - batches
        return held.filter { $0.value + batches > free }.map(\.key).sorted()
    }

    package mutating func beginTake() { takes += 1 }

    /// Behind `take`, if it was a batch of calls.
    package mutating func endTake() { takes -= 1 }
}
