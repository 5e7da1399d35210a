// Redis as far as leases use it, in memory: one function for each script, named like its file in LeaseStore/Scripts. Its
// content can vanish or come back old, and its clock can jump; every function is atomic, as scripts are.

package import JobModel
package import LeaseStore
internal import ServiceKit

package final class RedisModel {
    /// All that a dump holds.
    package struct Content {
        package var ready: [BatchID] = []
        package var leases: [BatchID: Int64] = [:]
        package var holders: [BatchID: String] = [:]
        package var turn: Int64 = 0
        package var incarnation: String?
        /// Of the directory of routes.
        package var directory: String?
        package var wakeTokens: [LeaseStore.Sleeper: Int] = [:]
        package var routes: [String: RouteEntry] = [:]
        package var gateways: [String: Int64] = [:]
        package var inboxes: [String: [InboxMessage]] = [:]

        package init() {}
    }

    package var broken: Set<BrokenRule> = []
    /// TIME in milliseconds, set by the owner.
    package var clock: Int64 = 0
    package var content = Content()
    /// Of the server's present life.
    package var runID = "run0"
    /// Messages that an inbox may hold.
    package var inboxLimit = 1000
    package var tokenLimit = Limits.wakeTokens

    package init() {}

    package var incarnation: RedisIncarnation { RedisIncarnation(name: content.incarnation ?? "", runID: runID) }

    /// `workersClock`: for the mutation that trusts it.
    private func now(_ workersClock: Int64) -> Int64 {
        broken.contains(.leaseByWorkersClock) ? workersClock : clock
    }

    // MARK: Offers

    @discardableResult
    package func offerBatches(_ batches: [BatchID]) -> Int {
        var offered = 0
        for batch in batches {
            guard isUnleased(batch) else { continue }
            let index = insertion(of: batch)
            if index < content.ready.count, content.ready[index] == batch { continue }
            content.ready.insert(batch, at: index)
            offered += 1
        }
        content.wakeTokens[.workers, default: 0] += max(
            0, min(offered, tokenLimit - content.wakeTokens[.workers, default: 0]))
        return offered
    }

    private func insertion(of batch: BatchID) -> Int {
        content.ready.firstIndex { !($0 < batch) } ?? content.ready.count
    }

    package func forgetJob(_ job: Int64) -> Int {
        let before = content.ready.count
        content.ready.removeAll { $0.job == job }
        return before - content.ready.count
    }

    // MARK: Leases

    package func takeBatches(
        worker: WorkerID, count: Int, passing: [Int64], excluding: [Int64], workersClock: Int64
    ) -> (batches: [BatchID], incarnation: RedisIncarnation) {
        var taken: [BatchID] = []
        for _ in 0..<count {
            guard let batch = choose(passing, excluding) else { break }
            content.ready.removeAll { $0 == batch }
            content.leases[batch] = now(workersClock) + Limits.leaseDuration.milliseconds
            content.holders[batch] = worker.text
            content.turn = batch.job
            taken.append(batch)
        }
        return (taken, incarnation)
    }

    private func choose(_ passing: [Int64], _ excluding: [Int64]) -> BatchID? {
        var (job, hasWrapped): (Int64, Bool) = (content.turn, false)
        var fallback: BatchID?
        for _ in 0..<(4 + passing.count + excluding.count) {
            var batch = content.ready.first { $0.job > job }
            if batch == nil, !hasWrapped {
                hasWrapped = true
                batch = content.ready.first
            }
            guard let batch else { break }
            job = batch.job
            if excluding.contains(job) { continue }
            if !passing.contains(job) { return batch }
            fallback = fallback ?? batch
        }
        return fallback
    }

    package func renewLeases(
        worker: WorkerID, batches: [BatchID], workersClock: Int64
    ) -> (lost: [BatchID], incarnation: RedisIncarnation) {
        var lost: [BatchID] = []
        for batch in batches {
            if let lease = content.leases[batch], lease > now(workersClock), content.holders[batch] == worker.text {
                content.leases[batch] = now(workersClock) + Limits.leaseDuration.milliseconds
            } else {
                lost.append(batch)
            }
        }
        return (lost, incarnation)
    }

    package func releaseLeases(worker: WorkerID, batches: [BatchID]) {
        for batch in batches where content.holders[batch] == worker.text {
            content.holders[batch] = nil
            content.leases[batch] = nil
        }
    }

    package func recreateLeases(worker: WorkerID, batches: [BatchID]) -> [BatchID] {
        batches.filter { batch in
            if let lease = content.leases[batch], lease > clock, content.holders[batch] != worker.text { return true }
            content.ready.removeAll { $0 == batch }
            content.leases[batch] = clock + Limits.leaseDuration.milliseconds
            content.holders[batch] = worker.text
            return false
        }
    }

    package func findUnleased(_ batches: [BatchID]) -> [BatchID] {
        batches.filter { isUnleased($0) }
    }

    /// Cuts a lease of a clock that was set back since.
    private func isUnleased(_ batch: BatchID) -> Bool {
        guard let lease = content.leases[batch], lease > clock else { return true }
        let latest = clock + Limits.leaseDuration.milliseconds
        if lease > latest, !broken.contains(.leaseOutlivesItsClock) { content.leases[batch] = latest }
        return false
    }

    package func pruneLeases(age: Int64 = 60_000) {
        for (batch, lease) in content.leases where lease <= clock - age {
            content.leases[batch] = nil
            content.holders[batch] = nil
        }
    }

    package func identify(candidate: String) -> RedisIncarnation {
        content.incarnation = content.incarnation ?? candidate
        return incarnation
    }

    // MARK: Wake-ups

    package func wake(_ sleeper: LeaseStore.Sleeper) {
        let limit = sleeper == .workers ? tokenLimit : Limits.wakeTokensCoordinators
        if content.wakeTokens[sleeper, default: 0] < limit || broken.contains(.wakeWithoutLimit) {
            content.wakeTokens[sleeper, default: 0] += 1
        }
    }

    /// BLPOP without the wait: whether there was a token.
    package func takeToken(_ sleeper: LeaseStore.Sleeper) -> Bool {
        guard content.wakeTokens[sleeper, default: 0] > 0 else { return false }
        content.wakeTokens[sleeper, default: 0] -= 1
        return true
    }
}

extension BatchID {
    fileprivate static func < (left: BatchID, right: BatchID) -> Bool {
        (left.job, left.batch) < (right.job, right.batch)
    }
}
