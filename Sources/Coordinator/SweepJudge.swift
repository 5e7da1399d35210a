// When the sweep may act, as a pure machine.
//
// "No lease in Redis" means "expired" only while Redis kept its memory. After a new or an older incarnation, workers get
// time to re-create the leases whose fence is still theirs; until then the sweep only offers ready batches again. While
// Redis cannot be reached, the caller does not ask, and nothing is swept.

internal import JobModel
package import LeaseStore
package import ServiceKit

package struct SweepJudge: Sendable {
    package struct Verdict: Sendable, Hashable {
        /// Claimed batches without a lease may be given back.
        package let mayReclaim: Bool
        /// Ready batches should be offered again.
        package let shouldReoffer: Bool

        package init(mayReclaim: Bool, shouldReoffer: Bool) {
            self.mayReclaim = mayReclaim
            self.shouldReoffer = shouldReoffer
        }
    }

    private var incarnation: RedisIncarnation?
    private var reclaimFrom: Instant?
    private var reofferAt: Instant?

    package init() {}

    /// To be asked with the incarnation that has just answered.
    package mutating func judge(_ seen: RedisIncarnation, now: Instant) -> Verdict {
        if seen != incarnation {
            incarnation = seen
            reclaimFrom = now + Limits.sweepGrace
            reofferAt = now + Limits.reofferInterval
            return Verdict(mayReclaim: false, shouldReoffer: true)
        }
        let shouldReoffer = reofferAt.map { now >= $0 } ?? true
        if shouldReoffer { reofferAt = now + Limits.reofferInterval }
        return Verdict(mayReclaim: reclaimFrom.map { now >= $0 } ?? false, shouldReoffer: shouldReoffer)
    }
}
