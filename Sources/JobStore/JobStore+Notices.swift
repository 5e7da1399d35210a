// Batches whose devices are to be told of new desired properties: marked by the statement that patched them.

package import JSON
package import JobModel
internal import Postgres
package import ServiceKit
internal import TwinModel

/// A marked batch that its worker has left behind.
package struct UnnotifiedBatch: Sendable {
    package let id: BatchID
    /// The desired part of the job's patch.
    package let desired: JSONObject
    let slot: Int64
    let firstSeq: Int64
    let lastSeq: Int64
}

package struct ChangedTwin: Sendable {
    package let deviceID: String
    package let desired: JSONObject
    package let version: Int64
}

extension JobStore {
    package func clearNotify(_ batches: [BatchID]) async throws(StoreError) {
        guard !batches.isEmpty else { return }
        _ = try await pool.run(
            Statements.clearNotify,
            [.integerArray(batches.map { $0.job }), .integerArray(batches.map { Int64($0.batch) })])
    }

    package func unnotifiedBatches(age: Duration, limit: Int) async throws(StoreError) -> [UnnotifiedBatch] {
        var batches: [UnnotifiedBatch] = []
        for row in try await pool.run(
            Statements.listUnnotified, [.integer(age.milliseconds), .integer(Int64(limit))])
        {
            let action: JSONValue = try row.get("action")
            batches.append(
                UnnotifiedBatch(
                    id: BatchID(job: try row.get("job"), batch: try row.get("batch")),
                    desired: TwinUpdate(stored: action.objectValue ?? JSONObject()).patch.desired ?? JSONObject(),
                    slot: try row.get("slot"), firstSeq: try row.get("first_seq"), lastSeq: try row.get("last_seq")))
        }
        return batches
    }

    package func changedTwins(of batch: UnnotifiedBatch) async throws(StoreError) -> [ChangedTwin] {
        var twins: [ChangedTwin] = []
        let rows = try await pool.run(
            Statements.readChangedTwins,
            [
                .integer(batch.slot), .integer(batch.id.job), .integer(Int64(batch.id.batch)),
                .integer(batch.firstSeq), .integer(batch.lastSeq),
            ])
        for row in rows {
            let desired: JSONValue = try row.get("desired")
            twins.append(
                ChangedTwin(
                    deviceID: try row.get("device_id"), desired: desired.objectValue ?? JSONObject(),
                    version: try row.get("desired_version")))
        }
        return twins
    }
}
