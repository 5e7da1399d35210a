// The batches that this worker holds, and until when it may trust each lease: a pure machine.
//
// A lease is trusted from before its renewal was sent, for less time than Redis grants it (invariant I8): the worker
// stops dispatching before the sweep may act. What it records late is refused by the fence all the same.

package import JobModel
package import LeaseStore
package import ServiceKit

package struct LeaseTable: Sendable {
    private struct Entry {
        /// Nil between taking the lease and the claim.
        var fence: Fence?
        var trustedUntil: Instant
    }

    private var entries: [BatchID: Entry] = [:]
    private var incarnation: RedisIncarnation?

    package init() {}

    package var batches: [BatchID] { Array(entries.keys) }
    package var isEmpty: Bool { entries.isEmpty }

    /// Claimed batches with their fences.
    package var claimed: [(id: BatchID, fence: Fence)] {
        entries.compactMap { id, entry in entry.fence.map { (id, $0) } }
    }

    package mutating func took(_ batches: [BatchID], from incarnation: RedisIncarnation, sent: Instant) {
        for batch in batches { entries[batch] = Entry(fence: nil, trustedUntil: sent + Limits.leaseTrust) }
        if self.incarnation == nil { self.incarnation = incarnation }
    }

    package mutating func claimed(_ batch: BatchID, fence: Fence) { entries[batch]?.fence = fence }

    package mutating func remove(_ batch: BatchID) { entries[batch] = nil }

    /// Whether work on the batch may start or go on.
    package func mayWork(on batch: BatchID, now: Instant) -> Bool {
        entries[batch].map { now < $0.trustedUntil } ?? false
    }

    package enum Renewal: Sendable, Hashable {
        case renewed(lost: [BatchID])
        /// Redis lost its content or came back old: ask PostgreSQL which fences are still ours, and re-create those.
        case redisChanged(RedisIncarnation)
    }

    /// What the answer of a renewal means.
    package mutating func renewed(
        _ renewed: [BatchID], lost: [BatchID], incarnation seen: RedisIncarnation, sent: Instant
    ) -> Renewal {
        guard let incarnation, incarnation != seen else {
            self.incarnation = seen
            for batch in lost { entries[batch] = nil }
            extend(renewed, sent: sent)
            return .renewed(lost: lost)
        }
        return .redisChanged(seen)
    }

    /// After a change of Redis: the batches in `held` were re-created; all others that were asked about are gone.
    package mutating func recreated(
        _ held: [BatchID], of asked: [BatchID], incarnation: RedisIncarnation, sent: Instant
    ) {
        self.incarnation = incarnation
        for batch in asked where !held.contains(batch) { entries[batch] = nil }
        extend(held, sent: sent)
    }

    private mutating func extend(_ batches: [BatchID], sent: Instant) {
        for batch in batches { entries[batch]?.trustedUntil = sent + Limits.leaseTrust }
    }
}
