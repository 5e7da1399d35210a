// What to do next with one claimed batch of a twin job: a pure machine. A data error splits the part that met it in
// halves, down to the one item that PostgreSQL itself refuses; a passing error repeats it.
//
//     patch ──recorded──▶ next part … ──nothing open──▶ end(closed)
//       ├──data error──▶ two halves, or fail(item)
//       ├──passing error──▶ the same again, after a wait
//       ├──refused by the fence──▶ end(leaseLost)
//       └──lease no longer trusted──▶ end(abandoned)

package import JobModel
package import JobStore
package import ServiceKit

package struct TwinBatchRun: Sendable {
    package enum Step: Sendable, Hashable {
        /// Execute the patch on the open items between two positions.
        case patch(ClosedRange<Int64>)
        /// Fail the one item there: PostgreSQL cannot store what the patch makes of it.
        case fail(ClosedRange<Int64>, reason: String)
        case end(TwinPatchExecutor.Ending)
    }

    /// Parts still to do, last first. Splitting at most doubles them per level, and a level halves their size.
    private var parts: [ClosedRange<Int64>]
    private var refusal: String?
    private var repeats = 0
    private let whole: ClosedRange<Int64>
    /// Over the whole batch, after the first.
    private var passes = 0
    private var succeeded: Int64 = 0
    private var failed: Int64 = 0
    private var ending: TwinPatchExecutor.Ending?

    package init(_ batch: ClaimedBatch) {
        whole = batch.firstSeq...batch.lastSeq
        parts = [whole]
    }

    /// `mayWork`: whether the lease is still trusted, and there is time.
    package func next(mayWork: Bool) throws(StoreError) -> Step {
        if let ending { return .end(ending) }
        guard let part = parts.last else {
            // Twins that keep changing under the statement, or a defect: items that the batch's range does not cover.
            throw StoreError(
                code: .fatal, effect: .none, operation: "patch_batch", message: "items stay open whatever is done")
        }
        if let refusal { return .fail(part, reason: refusal) }
        return mayWork ? .patch(part) : .end(.abandoned)
    }

    /// What the statement of the last step told.
    package mutating func recorded(_ execution: JobStore.Execution) {
        switch execution {
        case .leaseLost:
            ending = .leaseLost
        case .recorded(let done, let refused, let open, _):
            parts.removeLast()
            (refusal, repeats) = (nil, 0)
            succeeded += done
            failed += refused
            if open == 0 { ending = .closed(succeeded: succeeded, failed: failed) }
            // A twin that stopped matching while the statement ran leaves its item open.
            if open > 0, parts.isEmpty, passes < Limits.batchRepeats {
                parts = [whole]
                passes += 1
            }
        }
    }

    /// The statement of the last step failed. True when the next one is to wait a moment; throws when the batch is to be
    /// given back.
    package mutating func failed(_ error: StoreError) throws(StoreError) -> Bool {
        guard let part = parts.last, refusal == nil else { throw error }
        if error.code == .invalidData {
            if part.count == 1 {
                refusal = error.message
            } else {
                let middle = (part.lowerBound + part.upperBound) / 2
                parts.removeLast()
                parts.append(middle + 1...part.upperBound)
                parts.append(part.lowerBound...middle)
                repeats = 0
            }
            return false
        }
        // Repeating is safe whatever the first try did: recorded items are no longer pending, and a batch that it closed
        // answers "lease lost".
        guard error.isTransient, repeats < Limits.batchRepeats else { throw error }
        repeats += 1
        return true
    }
}
