// Expansion: the condition's devices become items and batches, chunk by chunk, each chunk in a transaction that only
// inserts. The cursor is derived from the committed chunks, so a new leader goes on where the last one stopped, and an
// item is never written twice: the key (job, chunk) refuses it.

package import JSON
package import JobModel
internal import Postgres
package import ServiceKit
internal import StoreKit
package import TwinQuery

package struct ExpandingJob: Sendable, Hashable {
    package let job: Int64
    package let jobID: JobID
    package let type: JobType
    package let queryCondition: String
}

/// Where the expansion of a job stands, by its committed chunks.
package struct ExpansionState: Sendable, Hashable {
    package let nextChunk: Int64
    package let lastDevice: String?
    package let items: Int64
    package let batches: Int64
    package let isRunning: Bool
    package let epoch: Int64
    package let slot: Int64?

    /// Where it stands after one more chunk was committed.
    package func following(_ chunk: Chunk) -> ExpansionState {
        ExpansionState(
            nextChunk: nextChunk + 1, lastDevice: chunk.lastDevice, items: items + chunk.items,
            batches: batches + Int64(chunk.batches.count), isRunning: isRunning, epoch: epoch, slot: slot)
    }
}

package struct Chunk: Sendable, Hashable {
    package let items: Int64
    package let batches: [BatchID]
    package let lastDevice: String
}

/// A transaction's snapshot that the transactions of the chunks import.
package struct Snapshot: Sendable, Hashable {
    let name: String
}

extension JobStore {
    package func expandingJobs(limit: Int) async throws(StoreError) -> [ExpandingJob] {
        let rows = try await pool.run(Statements.listExpandingJobs, [.integer(Int64(limit))])
        var jobs: [ExpandingJob] = []
        for row in rows {
            let type: String = try row.get("type")
            guard let jobType = JobType(rawValue: type) else {
                throw StoreError(
                    code: .fatal, effect: .none, operation: "list_expanding_jobs", message: "a job of type \(type)")
            }
            jobs.append(
                ExpandingJob(
                    job: try row.get("job"), jobID: JobID(stored: try row.get("job_id")),
                    type: jobType,
                    queryCondition: try row.get("query_condition")))
        }
        return jobs
    }

    /// Nil when the job is unknown.
    package func expansion(of job: Int64) async throws(StoreError) -> ExpansionState? {
        guard let row = try await pool.run(Statements.readExpansion, [.integer(job)]).first else { return nil }
        let state: String = try row.get("state")
        return ExpansionState(
            nextChunk: try row.get("next_chunk"), lastDevice: try row.get("last_device"), items: try row.get("items"),
            batches: try row.get("batches"), isRunning: state == JobState.running.rawValue,
            epoch: try row.get("epoch"), slot: try row.get("slot"))
    }

    /// The first devices behind `after` that the condition selects, in device order.
    package func devices(
        matching condition: Condition, after: String?, limit: Int
    ) async throws(StoreError) -> [String] {
        let fragment = condition.sql(firstParameter: 3)
        let statement = Statements.selectDevices.filling([
            "sources": condition.sources.fromClause, "condition": fragment.text,
        ])
        let rows = try await pool.run(
            statement,
            [after.map { .text($0) } ?? .null, .integer(Int64(limit))] + fragment.parameters.map { Parameter($0) },
            timeout: Self.selectionTimeout)
        var devices: [String] = []
        for row in rows { devices.append(try row.get("device_id")) }
        return devices
    }

    /// Gives a job its partition, once; a large job gets one of its own. Returns the slot.
    package func assignSlot(job: Int64, isLarge: Bool) async throws(StoreError) -> Int64 {
        let own: Parameter = isLarge ? .integer(Self.firstOwnSlot + job) : .null
        guard let row = try await pool.run(Statements.assignSlot, [.integer(job), own]).first else {
            throw StoreError(code: .fatal, effect: .none, operation: "assign_slot", message: "the job is gone")
        }
        return try row.get("slot")
    }

    /// Slots below are days, written yyyymmdd.
    private static let firstOwnSlot: Int64 = 1_000_000_000

    /// Whether a slot belongs to one large job.
    package static func isOwn(slot: Int64) -> Bool { slot >= firstOwnSlot }

    /// A condition that no index serves reads every twin: minutes on tens of millions of them.
    private static let selectionTimeout: Duration = .seconds(600)

    package func analyze(slot: Int64) async throws(StoreError) {
        _ = try await pool.run(Statements.analyzeSlot, [.integer(slot)], timeout: Self.selectionTimeout)
    }

    /// Runs `body` with a snapshot that stays importable until it returns.
    package func withSnapshot<T: Sendable>(_ body: (Snapshot) async throws -> T) async throws -> T {
        try await pool.transaction(.repeatableRead(snapshot: nil)) { transaction in
            guard let row = try await transaction.run(Statements.exportSnapshot, []).first else {
                throw StoreError(code: .fatal, effect: .none, operation: "export_snapshot", message: "no row came back")
            }
            return try await body(Snapshot(name: try row.get("snapshot")))
        }
    }

    /// Writes a chunk from a list of devices in order; nil when the job no longer runs under that epoch.
    package func writeChunk(
        job: Int64, slot: Int64, state: ExpansionState, devices: [String], batchSize: Int, leadership: Leadership
    ) async throws(StoreError) -> Chunk? {
        let rows = try await pool.run(
            Statements.insertListedChunk,
            [
                .integer(job), .integer(slot), .integer(state.epoch), .integer(state.nextChunk),
                .integer(leadership.term), .textArray(devices.map { Optional($0) }), .integer(state.items),
                .integer(state.batches), .integer(Int64(batchSize)),
            ], timeout: Self.selectionTimeout)
        return try chunk(rows, job: job, state: state)
    }

    /// Writes a chunk straight from the query under a snapshot; nil when nothing is left, or the job no longer runs
    /// under that epoch.
    package func writeChunk(
        job: Int64, slot: Int64, state: ExpansionState, matching condition: Condition, limit: Int, batchSize: Int,
        snapshot: Snapshot, leadership: Leadership
    ) async throws -> Chunk? {
        let fragment = condition.sql(firstParameter: 11)
        let statement = Statements.insertSelectedChunk.filling([
            "sources": condition.sources.fromClause, "condition": fragment.text,
        ])
        let parameters: [Parameter] =
            [
                .integer(job), .integer(slot), .integer(state.epoch), .integer(state.nextChunk),
                .integer(leadership.term), .text(state.lastDevice ?? ""), .integer(state.items),
                .integer(state.batches), .integer(Int64(batchSize)), .integer(Int64(limit)),
            ] + fragment.parameters.map { Parameter($0) }
        return try await pool.transaction(.repeatableRead(snapshot: snapshot.name)) { transaction in
            try chunk(
                await transaction.run(statement, parameters, timeout: Self.selectionTimeout), job: job, state: state)
        }
    }

    private func chunk(_ rows: Rows, job: Int64, state: ExpansionState) throws(StoreError) -> Chunk? {
        guard let row = rows.first else { return nil }
        let count: Int64 = try row.get("batch_count")
        let batches = (0..<count).map { BatchID(job: job, batch: Int32(state.batches + $0)) }
        return Chunk(items: try row.get("item_count"), batches: batches, lastDevice: try row.get("last_device"))
    }

    /// Marks the device set as complete; false when the job was cancelled meanwhile or is marked already.
    package func completeExpansion(
        job: Int64, epoch: Int64, actor: String, detail: JSONObject
    ) async throws(StoreError) -> Bool {
        try await !pool.run(
            Statements.completeExpansion, [.integer(job), .integer(epoch), .text(actor), .json(.object(detail))]
        ).isEmpty
    }

    package func recordEvent(
        job: Int64, actor: String, kind: String, detail: JSONObject
    ) async throws(StoreError) {
        _ = try await pool.run(
            Statements.insertEvent, [.integer(job), .text(actor), .text(kind), .json(.object(detail))])
    }
}
