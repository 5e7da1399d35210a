// Batches: claim, execute, give back, sweep, end. A batch is named by (job, batch, fence) in every later write; a write
// that matches nothing is the ordinary answer "lease lost" (invariant I3).

package import JSON
package import JobModel
internal import Postgres
package import ServiceKit
internal import StoreKit
package import TwinModel

extension JobStore {
    // MARK: Claim

    /// Claims leased batches; those that are not returned belong to somebody else or are closed.
    package func claim(_ batches: [BatchID], worker: WorkerID) async throws(StoreError) -> [ClaimedBatch] {
        guard !batches.isEmpty else { return [] }
        let rows = try await pool.run(
            Statements.claimBatches,
            [
                .integerArray(batches.map { $0.job }), .integerArray(batches.map { Int64($0.batch) }),
                .text(worker.text), .integer(Limits.dispatchTimeLeft.milliseconds),
            ])
        var claimed: [ClaimedBatch] = []
        for row in rows {
            claimed.append(
                ClaimedBatch(
                    id: BatchID(job: try row.get("job"), batch: try row.get("batch")),
                    fence: Fence(try row.get("fence")), slot: try row.get("slot"),
                    firstSeq: try row.get("first_seq"), lastSeq: try row.get("last_seq"), open: try row.get("open"),
                    timeLeft: .milliseconds(try row.get("time_left") as Int64)))
        }
        return claimed
    }

    /// What a worker needs to know of a job; nil when it is gone.
    package func work(of job: Int64) async throws(StoreError) -> (jobID: JobID, action: JobAction)? {
        guard let row = try await pool.run(Statements.readJobWork, [.integer(job)]).first else { return nil }
        let type: String = try row.get("type")
        let action: JSONValue = try row.get("action")
        guard let jobType = JobType(rawValue: type), let document = action.objectValue else {
            throw StoreError(code: .fatal, effect: .none, operation: "read_job_work", message: "a job of type \(type)")
        }
        return (JobID(stored: try row.get("job_id")), JobAction(type: jobType, document: document))
    }

    // MARK: Execute

    /// The `$version` that a change gave a device's desired properties.
    package struct DesiredVersion: Sendable, Hashable {
        package let deviceID: String
        package let version: Int64
    }

    package enum Execution: Sendable, Hashable {
        /// `changed`: devices to be told of new desired properties; the batch is marked until that is done.
        /// `open` items of the batch have no outcome yet; 0 means that the batch is closed.
        case recorded(succeeded: Int64, failed: Int64, open: Int64, changed: [DesiredVersion])
        /// The fence is no longer the caller's, or the job was cancelled or expired: nothing was changed.
        case leaseLost
    }

    /// A job's twin patch in the form that `patchBatch` executes.
    package struct BatchPatch: Sendable {
        private let statement: Statement
        let parameters: [Parameter]
        let etag: String?
        /// The desired part as submitted: what devices are told.
        package let desired: JSONObject?

        package init(_ update: TwinUpdate) {
            let patch = TwinPatchSQL(tags: update.patch.tags, desired: update.patch.desired, firstParameter: 13)
            var parts = [
                "tags": patch.tags, "desired": patch.desired,
                "increment": patch.desiredIncrement,
            ]
            parts["tags_fit"] =
                update.patch.tags == nil ? "$11::integer = 0" : Self.fits("t.tags", patch.tags, "$9", "$11")
            if update.patch.desired == nil {
                (parts["desired_fit"], parts["metadata"], parts["notify"]) = (
                    "$12::integer = 0", patch.desiredMetadata, "false"
                )
            } else {
                parts["desired_fit"] = Self.fits("t.desired", patch.desired, "$10", "$12")
                parts["metadata"] = Self.pruned(patch.desiredMetadata, patch.desired)
                parts["notify"] = "true"
            }
            statement = Statements.patchBatch.filling(parts, isPrepared: true)
            parameters =
                [.integer(patch.tagsGrowth), .integer(patch.desiredGrowth)] + patch.parameters.map { Parameter($0) }
            desired = update.patch.desired
            switch update.condition {
            case .any: etag = nil
            case .matching(let text): etag = text
            }
        }

        /// For the items of one partition.
        func statement(slot: Int64) -> Statement {
            statement.filling(["items": "work_items_\(slot)"], isPrepared: true)
        }

        /// Whether a patched section is within its limit. What is far from it is not merged to find out; a compressed
        /// section does not tell its size.
        private static func fits(_ column: String, _ patched: String, _ limit: String, _ growth: String) -> String {
            """
            CASE WHEN pg_column_size(\(column)) + \(growth)::integer <= \(limit)::integer
                      AND pg_column_compression(\(column)) IS NULL THEN true
                 ELSE twin_fits(\(patched), \(limit)) END
            """
        }

        /// Paths of removed keys linger until the map is this large.
        private static func pruned(_ metadata: String, _ desired: String) -> String {
            "CASE WHEN pg_column_size(t.desired_metadata) < 65536 THEN \(metadata) ELSE twin_metadata(\(desired), \(metadata)) END"
        }
    }

    /// Patches the twins of the open items between two positions of the batch, and records the outcomes, in one commit.
    package func patch(
        _ batch: ClaimedBatch, seqs: ClosedRange<Int64>, with patch: BatchPatch, shard: Int64
    ) async throws(StoreError) -> Execution {
        let rows = try await pool.run(
            patch.statement(slot: batch.slot),
            position(batch, seqs, shard) + [
                patch.etag.map { .text($0) } ?? .null, .integer(Int64(TwinLimits.tagsSize)),
                .integer(Int64(TwinLimits.desiredSize)),
            ] + patch.parameters)
        return try execution(rows, "patch_batch")
    }

    /// Fails the open items between two positions of the batch for one reason.
    package func fail(
        _ batch: ClaimedBatch, seqs: ClosedRange<Int64>, code: ItemErrorCode, text: String, shard: Int64
    ) async throws(StoreError) -> Execution {
        let rows = try await pool.run(
            Statements.failBatchItems, position(batch, seqs, shard) + [.text(code.rawValue), .text(text)])
        return try execution(rows, "fail_batch_items")
    }

    private func position(_ batch: ClaimedBatch, _ seqs: ClosedRange<Int64>, _ shard: Int64) -> [Parameter] {
        [
            .integer(batch.id.job), .integer(Int64(batch.id.batch)), .integer(batch.fence.value),
            .integer(batch.slot), .integer(seqs.lowerBound), .integer(seqs.upperBound), .integer(shard),
        ]
    }

    private func execution(_ rows: Rows, _ operation: String) throws(StoreError) -> Execution {
        guard let row = rows.first else {
            throw StoreError(code: .fatal, effect: .unknown, operation: operation, message: "no row came back")
        }
        let open: Int64? = try row.get("open")
        guard let open else { return .leaseLost }
        guard operation == "patch_batch" else {
            return .recorded(succeeded: 0, failed: try row.get("failed"), open: open, changed: [])
        }
        let devices: [String]? = try row.get("devices")
        let versions: [Int64]? = try row.get("versions")
        return .recorded(
            succeeded: try row.get("succeeded"), failed: try row.get("failed"), open: open,
            changed: zip(devices ?? [], versions ?? []).map { DesiredVersion(deviceID: $0, version: $1) })
    }

    // MARK: Give back and sweep

    /// Makes claimed batches ready again and raises their fences; returns those that were.
    package func giveBack(_ batches: [(id: BatchID, fence: Fence)]) async throws(StoreError) -> [BatchID] {
        guard !batches.isEmpty else { return [] }
        return try ids(await pool.run(Statements.returnBatches, triples(batches)))
    }

    /// Which of these are still the caller's.
    package func held(_ batches: [(id: BatchID, fence: Fence)]) async throws(StoreError) -> [BatchID] {
        guard !batches.isEmpty else { return [] }
        return try ids(await pool.run(Statements.listHeldBatches, triples(batches)))
    }

    /// A page of claimed batches in key order.
    package func claimedBatches(
        after: BatchID?, limit: Int
    ) async throws(StoreError) -> [(id: BatchID, fence: Fence, worker: String?)] {
        let rows = try await pool.run(Statements.listClaimedBatches, page(after, limit))
        var batches: [(BatchID, Fence, String?)] = []
        for row in rows {
            batches.append(
                (
                    BatchID(job: try row.get("job"), batch: try row.get("batch")), Fence(try row.get("fence")),
                    try row.get("worker")
                ))
        }
        return batches
    }

    /// A page of ready batches that workers can claim, in key order: of running jobs, and of cancelled ones those whose
    /// calls somebody must ask for.
    package func readyBatches(after: BatchID?, limit: Int) async throws(StoreError) -> [BatchID] {
        try ids(await pool.run(Statements.listReadyBatches, page(after, limit) + [.integer(.max)]))
    }

    /// The same of one job.
    package func readyBatches(of job: Int64, limit: Int) async throws(StoreError) -> [BatchID] {
        let before = BatchID(job: job, batch: -1)
        return try ids(await pool.run(Statements.listReadyBatches, page(before, limit) + [.integer(job)]))
    }

    private func page(_ after: BatchID?, _ limit: Int) -> [Parameter] {
        [.integer(after?.job ?? 0), .integer(after.map { Int64($0.batch) } ?? -1), .integer(Int64(limit))]
    }

    private func triples(_ batches: [(id: BatchID, fence: Fence)]) -> [Parameter] {
        [
            .integerArray(batches.map { $0.id.job }), .integerArray(batches.map { Int64($0.id.batch) }),
            .integerArray(batches.map { $0.fence.value }),
        ]
    }

    private func ids(_ rows: Rows) throws(StoreError) -> [BatchID] {
        var ids: [BatchID] = []
        for row in rows { ids.append(BatchID(job: try row.get("job"), batch: try row.get("batch"))) }
        return ids
    }

    // MARK: Workers

    package func recordHeartbeat(_ worker: WorkerID, draining: Bool, itemsDone: Int64) async throws(StoreError) {
        _ = try await pool.run(
            Statements.recordHeartbeat, [.text(worker.text), .bool(draining), .integer(itemsDone)])
    }

    package func remove(_ worker: WorkerID) async throws(StoreError) {
        _ = try await pool.run(Statements.removeWorker, [.text(worker.text)])
    }
}
