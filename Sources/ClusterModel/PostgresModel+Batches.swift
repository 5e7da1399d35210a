// The statements of batches: claim, twin patch, give back, sweep, end.

package import JobModel
package import JobStore
package import ServiceKit

extension PostgresModel {
    package func claimBatches(_ ids: [BatchID], worker: WorkerID) -> [ClaimedBatch] {
        ids.compactMap { id in
            guard let found = position(id) else { return nil }
            let (job, batch) = (jobs[found.job].row, jobs[found.job].batches[found.batch])
            guard batch.state == .ready, !job.isExpired, job.deadline > clock, isClaimable(id, job), hasTime(id, job)
            else {
                return nil
            }
            let fence = broken.contains(.claimKeepsTheFence) ? max(1, batch.fence) : batch.fence + 1
            jobs[found.job].batches[found.batch].state = .claimed
            jobs[found.job].batches[found.batch].fence = fence
            jobs[found.job].batches[found.batch].epoch = job.epoch
            jobs[found.job].batches[found.batch].worker = worker.text
            changes.append(.fence(id, fence, worker: worker.text))
            return ClaimedBatch(
                id: id, fence: Fence(fence), slot: 0, firstSeq: batch.firstSeq, lastSeq: batch.lastSeq,
                open: batch.open, timeLeft: .milliseconds(job.deadline - clock))
        }
    }

    /// Of a cancelled job only batches with dispatches are worked on: to ask what became of the calls.
    private func isClaimable(_ batch: BatchID, _ job: JobRow) -> Bool {
        job.state == .running || job.state == .cancelling && hasDispatches(batch)
    }

    /// Calls that would not be dispatched any more are left to the deadline.
    private func hasTime(_ batch: BatchID, _ job: JobRow) -> Bool {
        job.type == .updateTwin || job.deadline > clock + Limits.dispatchTimeLeft.milliseconds
            || hasDispatches(batch) || broken.contains(.claimWithoutTime)
    }

    /// Throws `invalidData` when one of the twins cannot be stored: then nothing was changed.
    package func patchBatch(
        _ batch: ClaimedBatch, seqs: ClosedRange<Int64>, shard: Int64
    ) throws(StoreError) -> JobStore.Execution {
        guard let found = held(batch, anyFence: broken.contains(.patchUnderAnyFence)),
            isRunningUnderEpoch(found) || broken.contains(.patchAfterCancel), jobs[found.job].row.deadline > clock
        else { return .leaseLost }
        let open = openSeqs(found.job, batch.id.batch, seqs)
        let patched =
            broken.contains(.patchRepeats)
            ? seqs.filter { jobs[found.job].items[Int($0)].batch == batch.id.batch } : open
        for seq in open where twins[jobs[found.job].items[Int(seq)].deviceID]?.isRefused == true {
            throw StoreError(code: .invalidData, effect: .none, operation: "patch_batch", message: "cannot be stored")
        }
        for seq in patched {
            twins[jobs[found.job].items[Int(seq)].deviceID]?.patches[batch.id.job, default: 0] += 1
        }
        var (succeeded, failed): (Int64, Int64) = (0, 0)
        let writer = Writer(batch: batch.id, fence: batch.fence.value)
        for seq in open {
            let isThere = twins[jobs[found.job].items[Int(seq)].deviceID] != nil
            jobs[found.job].items[Int(seq)].attempt += 1
            write(found.job, seq, isThere ? .succeeded : .failed, isThere ? nil : .deviceNotFound, by: writer)
            if isThere { succeeded += 1 } else { failed += 1 }
        }
        let left = settle(found, by: succeeded + failed)
        if !broken.contains(.patchForgetsToCount) || left > 0 {
            count(found.job, shard: shard, succeeded: succeeded, failed: failed)
        }
        return .recorded(succeeded: succeeded, failed: failed, open: left, changed: [])
    }

    /// The twins alone, for the mutation that commits twice.
    package func patchTwinsOnly(_ batch: ClaimedBatch, seqs: ClosedRange<Int64>) {
        guard let found = held(batch), isRunningUnderEpoch(found) else { return }
        for seq in openSeqs(found.job, batch.id.batch, seqs) {
            let device = jobs[found.job].items[Int(seq)].deviceID
            if twins[device]?.isRefused == false { twins[device]?.patches[batch.id.job, default: 0] += 1 }
        }
    }

    package func failBatchItems(
        _ batch: ClaimedBatch, seqs: ClosedRange<Int64>, code: ItemErrorCode, shard: Int64
    ) -> JobStore.Execution {
        guard let found = held(batch), isRunningUnderEpoch(found), jobs[found.job].row.deadline > clock else {
            return .leaseLost
        }
        let open = openSeqs(found.job, batch.id.batch, seqs)
        for seq in open {
            jobs[found.job].items[Int(seq)].attempt += 1
            write(found.job, seq, .failed, code, by: Writer(batch: batch.id, fence: batch.fence.value))
        }
        count(found.job, shard: shard, failed: Int64(open.count))
        let left = settle(found, by: Int64(open.count))
        return .recorded(succeeded: 0, failed: Int64(open.count), open: left, changed: [])
    }

    @discardableResult
    package func returnBatches(_ batches: [(id: BatchID, fence: Fence)]) -> [BatchID] {
        batches.compactMap { id, fence in
            guard let found = position(id) else { return nil }
            let row = jobs[found.job].batches[found.batch]
            guard row.state == .claimed, row.fence == fence.value else { return nil }
            jobs[found.job].batches[found.batch].state = .ready
            jobs[found.job].batches[found.batch].worker = nil
            if !broken.contains(.claimKeepsTheFence) { jobs[found.job].batches[found.batch].fence += 1 }
            if broken.contains(.returnForgetsWhatIsDone) {
                jobs[found.job].batches[found.batch].open = row.lastSeq - row.firstSeq + 1
            }
            changes.append(.fence(id, jobs[found.job].batches[found.batch].fence, worker: nil))
            return id
        }
    }

    package func listHeldBatches(_ batches: [(id: BatchID, fence: Fence)]) -> [BatchID] {
        batches.compactMap { id, fence in
            guard let found = position(id) else { return nil }
            let row = jobs[found.job].batches[found.batch]
            return row.state == .claimed && row.fence == fence.value ? id : nil
        }
    }

    package func listClaimedBatches() -> [(id: BatchID, fence: Fence, worker: String?)] {
        var claimed: [(id: BatchID, fence: Fence, worker: String?)] = []
        for job in jobs {
            for batch in job.batches where batch.state == .claimed {
                claimed.append((BatchID(job: job.row.job, batch: batch.batch), Fence(batch.fence), batch.worker))
            }
        }
        return claimed
    }

    package func listReadyBatches() -> [BatchID] {
        var ready: [BatchID] = []
        for job in jobs where !job.row.isExpired {
            for batch in job.batches where batch.state == .ready {
                let id = BatchID(job: job.row.job, batch: batch.batch)
                if isClaimable(id, job.row) { ready.append(id) }
            }
        }
        return ready
    }

    /// Ends the open items of up to `limit` batches of a job that was cancelled or is past its deadline.
    package func endBatches(job: Int64, limit: Int, isCancelled: Bool) -> (batches: Int64, items: Int64) {
        guard let index = index(of: job), jobs[index].isEnding else { return (0, 0) }
        let row = jobs[index].row
        let hasCalls =
            row.type == .deviceMethod && row.state == .cancelling && row.deadline > clock
            && !broken.contains(.endHidesCalls)
        let picked = jobs[index].batches.indices.filter {
            let batch = jobs[index].batches[$0]
            return batch.state != .closed
                && !(hasCalls
                    && (batch.state == .claimed || hasDispatches(BatchID(job: job, batch: batch.batch))))
        }.prefix(limit)
        var (ended, failed): (Int64, Int64) = (0, 0)
        for batch in picked {
            let row = jobs[index].batches[batch]
            let id = BatchID(job: job, batch: row.batch)
            let sent = Set(dispatches.filter { $0.batch == id }.flatMap(\.seqs))
            for seq in row.firstSeq...row.lastSeq {
                let item = jobs[index].items[Int(seq)]
                guard item.batch == row.batch, item.state == .pending || broken.contains(.endOverwritesOutcomes) else {
                    continue
                }
                if sent.contains(seq), !broken.contains(.endHidesCalls) {
                    write(index, seq, .failed, .outcomeUnknown, by: nil)
                    failed += 1
                } else {
                    end(index, seq, isCancelled)
                    if !isCancelled { failed += 1 }
                }
                ended += 1
            }
            jobs[index].batches[batch].state = .closed
            jobs[index].batches[batch].open = 0
            jobs[index].batches[batch].fence += 1
            changes.append(.fence(id, row.fence + 1, worker: nil))
        }
        count(index, shard: 0, failed: failed, cancelled: ended - failed)
        return (Int64(picked.count), ended)
    }

    func end(_ job: Int, _ seq: Int64, _ isCancelled: Bool) {
        write(
            job, seq, isCancelled ? .cancelled : .failed, isCancelled ? .jobCancelled : .jobRunPreconditionFailed,
            by: nil)
    }
}
