// Executes one claimed batch of a twin job: the fused statement, repeated after a deadlock, split in halves after a data
// error, so that one device's data never fails another's.

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
        /// Another claim has the batch, or its job ended: nothing more may be written.
        case leaseLost
    }

    /// `mayWork` tells whether the lease is still trusted; it is asked before each statement. `changed` hears of devices
    /// that are to be told of new desired properties.
    package func execute(
        _ batch: ClaimedBatch, patch: JobStore.BatchPatch, mayWork: () -> Bool,
        changed: ([JobStore.DesiredVersion]) -> Void
    ) async throws -> Ending {
        var succeeded: Int64 = 0
        var failed: Int64 = 0
        // Parts still to do, last first. Splitting at most doubles them per level, and a level halves their size.
        var parts = [batch.firstSeq...batch.lastSeq]
        while let part = parts.popLast() {
            switch try await execute(batch, part, patch, mayWork) {
            case .recorded(.recorded(let done, let refused, let open, let versions)):
                if !versions.isEmpty { changed(versions) }
                succeeded += done
                failed += refused
                if open == 0 { return .closed(succeeded: succeeded, failed: failed) }
            case .recorded(.leaseLost):
                return .leaseLost
            case .split:
                let middle = (part.lowerBound + part.upperBound) / 2
                parts.append(middle + 1...part.upperBound)
                parts.append(part.lowerBound...middle)
            }
        }
        // Items remain that are in none of the parts: the batch's range does not cover them, which is a defect.
        throw StoreError(
            code: .fatal, effect: .none, operation: "patch_batch", message: "open items outside the batch's range")
    }

    private enum Step {
        case recorded(JobStore.Execution)
        case split
    }

    private func execute(
        _ batch: ClaimedBatch, _ seqs: ClosedRange<Int64>, _ patch: JobStore.BatchPatch, _ mayWork: () -> Bool
    ) async throws -> Step {
        var backoff = Backoff(initial: .milliseconds(10), maximum: .milliseconds(500))
        var repeats = 0
        while true {
            guard mayWork() else { return .recorded(.leaseLost) }
            let failure: StoreError
            do {
                return .recorded(try await store.patch(batch, seqs: seqs, with: patch, shard: shard))
            } catch {
                failure = error
            }
            if failure.code == .invalidData {
                if seqs.count > 1 { return .split }
                log.info("item_refused", [("batch", .string(batch.id.description)), ("error", .string("\(failure)"))])
                return .recorded(
                    try await store.fail(
                        batch, seqs: seqs, code: .argumentInvalid, text: failure.message, shard: shard))
            }
            // Repeating is safe whatever the first try did: recorded items are no longer pending, and a batch that it
            // closed answers "lease lost".
            guard failure.isTransient, repeats < Limits.batchRepeats else { throw failure }
            repeats += 1
            try await clock.sleep(for: backoff.next(random))
        }
    }
}
