// Executes one claimed batch of a twin job: the fused statement, repeated after a deadlock, split in halves after a data
// error, so that one device's data never fails another's. What is to be done next is decided by `TwinBatchRun`.

internal import JSON
package import JobModel
package import JobStore
package import ServiceKit
internal import TwinModel

package struct TwinPatchExecutor: Sendable {
    private let store: JobStore
    private let shard: Int64
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log

    package init(
        store: JobStore, shard: Int64, clock: any ServiceClock, random: any RandomSource, log: Log
    ) {
        self.store = store
        self.shard = shard
        self.clock = clock
        self.random = random
        self.log = log
    }

    package enum Ending: Sendable, Hashable {
        case closed(succeeded: Int64, failed: Int64)
        /// The fence refused a write: another claim has the batch, or its job ended.
        case leaseLost
        /// The lease is no longer trusted, or a drain has no time left: nothing more was tried.
        case abandoned
    }

    /// `mayWork` tells whether the lease is still trusted; it is asked before each statement. `changed` hears of devices
    /// that are to be told of new desired properties.
    package func execute(
        _ batch: ClaimedBatch, patch: JobStore.BatchPatch, mayWork: () -> Bool,
        changed: ([JobStore.DesiredVersion]) -> Void
    ) async throws -> Ending {
        var run = TwinBatchRun(batch)
        var backoff = Self.backoff
        while true {
            switch try run.next(mayWork: mayWork()) {
            case .patch(let seqs):
                let execution: JobStore.Execution
                do {
                    execution = try await store.patch(batch, seqs: seqs, with: patch, shard: shard)
                } catch {
                    if try run.failed(error) {
                        try await clock.sleep(for: backoff.next(random))
                    } else {
                        backoff = Self.backoff
                    }
                    continue
                }
                if case .recorded(_, _, _, let versions) = execution, !versions.isEmpty { changed(versions) }
                run.recorded(execution)
            case .fail(let seqs, let reason):
                log.info(
                    "item_refused",
                    [("batch", .string(batch.id.description)), ("seq", .integer(seqs.lowerBound))])
                run.recorded(
                    try await store.fail(batch, seqs: seqs, code: .argumentInvalid, text: reason, shard: shard))
            case .end(let ending):
                return ending
            }
            backoff = Self.backoff
        }
    }

    private static var backoff: Backoff { Backoff(initial: .milliseconds(10), maximum: .milliseconds(500)) }
}
