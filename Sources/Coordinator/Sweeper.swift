// The sweep: the leader's pass over PostgreSQL that puts lost work back. Claimed batches whose lease is gone become ready
// again under a higher fence; ready batches that Redis may have forgotten are offered again.

internal import JSON
internal import JobModel
package import JobStore
package import LeaseStore
package import ServiceKit

package struct Sweeper: Sendable {
    private let store: JobStore
    private let leases: LeaseStore
    private let clock: any ServiceClock
    private let log: Log
    private let metrics: Metrics
    private let random: any RandomSource
    private var judge = SweepJudge()
    /// Of the last pass.
    private var incarnation: RedisIncarnation?

    package init(
        store: JobStore, leases: LeaseStore, clock: any ServiceClock, random: any RandomSource, log: Log,
        metrics: Metrics
    ) {
        self.store = store
        self.leases = leases
        self.random = random
        self.clock = clock
        self.log = log
        self.metrics = metrics
    }

    /// One pass; returns how many batches were given back.
    @discardableResult
    package mutating func sweep() async throws(StoreError) -> Int {
        // A new name each time: content that is lost twice must not get the same one again.
        let seen = try await leases.identify(candidate: String(random.next(), radix: 36))
        let verdict = judge.judge(seen, now: clock.now)
        if verdict.shouldReoffer {
            let offered = try await reoffer()
            if let incarnation, incarnation != seen { reportRefilled(offered) }
            incarnation = seen
            try await leases.prune()
        }
        return verdict.mayReclaim ? try await reclaim() : 0
    }

    private func reoffer() async throws(StoreError) -> Int {
        var last: BatchID?
        var offered = 0
        repeat {
            let page = try await store.readyBatches(after: last, limit: Limits.sweepBatches)
            offered += try await leases.offer(page)
            last = page.count < Limits.sweepBatches ? nil : page.last
        } while last != nil
        if offered > 0 {
            metrics.count("muster_batches_reoffered_total", "Ready batches that Redis did not know", by: offered)
            log.info("batches_reoffered", [("batches", .integer(Int64(offered)))])
        }
        return offered
    }

    /// Redis lost its content or came back old, and has all ready batches again.
    private func reportRefilled(_ batches: Int) {
        metrics.count("muster_redis_refills_total", "Times that Redis lost its content and was filled again")
        log.warning("redis_refilled", [("batches", .integer(Int64(batches)))])
    }

    private func reclaim() async throws(StoreError) -> Int {
        var last: BatchID?
        var reclaimed = 0
        repeat {
            let page = try await store.claimedBatches(after: last, limit: Limits.sweepBatches)
            let unleased = Set(try await leases.unleased(page.map(\.id)))
            let lost = page.filter { unleased.contains($0.id) }
            let returned = try await store.giveBack(lost.map { ($0.id, $0.fence) })
            try await leases.offer(returned)
            reclaimed += returned.count
            for batch in lost where returned.contains(batch.id) {
                log.warning(
                    "lease_expired",
                    [
                        ("batch", .string(batch.id.description)), ("worker", .string(batch.worker ?? "")),
                        ("fence", .integer(batch.fence.value)),
                    ])
            }
            last = page.count < Limits.sweepBatches ? nil : page.last?.id
        } while last != nil
        if reclaimed > 0 {
            metrics.count("muster_leases_expired_total", "Batches taken from silent workers", by: reclaimed)
        }
        return reclaimed
    }
}
