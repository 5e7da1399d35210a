// How many calls each job has in flight in this worker: a pure machine. A job may hold no more than are left free, so a
// job whose devices never answer leaves room for the next one, and that one for a third.

internal import JobModel

package struct CallSlots: Sendable {
    private let limit: Int
    private var held: [Int64: Int] = [:]

    package init(limit: Int = Limits.concurrentCalls) { self.limit = limit }

    package var inFlight: Int { held.values.reduce(0, +) }

    package mutating func take(_ count: Int, for job: Int64) { held[job, default: 0] += count }

    package mutating func release(_ count: Int, of job: Int64) {
        let left = (held[job] ?? 0) - count
        held[job] = left > 0 ? left : nil
    }

    /// Jobs that may not take another batch now. One that holds nothing may always take its first.
    package var exhausted: [Int64] {
        let free = limit - inFlight
        return held.filter { $0.value + Limits.batchItems > free - Limits.batchItems }.map(\.key).sorted()
    }
}
