// Jobs in PostgreSQL: what the API accepts, shows, lists and cancels. Expansion, batches, leadership and recounts are
// extensions in files of their own. Each operation is one statement in Queries/ and so one snapshot.

internal import Crypto
internal import JSON
package import JobModel
package import Postgres
package import ServiceKit

package struct JobStore: Sendable {
    let pool: PostgresPool

    package init(pool: PostgresPool) { self.pool = pool }

    // MARK: Create

    package enum Creation: Sendable {
        case created(JobRecord)
        /// The same request under the same id: a repeated PUT, answered with the present state.
        case same(JobRecord)
        /// Another request has this id; nothing was changed.
        case conflict
    }

    package func create(_ definition: JobDefinition, actor: String) async throws(StoreError) -> Creation {
        let digest = Hashing.sha256(Array(definition.canonicalText.utf8))
        let inserted = try await pool.run(
            Statements.insertJob,
            [
                .text(definition.jobID.text), .text(definition.action.type.rawValue),
                .text(definition.queryCondition), .json(.object(definition.action.document)), .bytes(digest),
                definition.startTime.map { .integer($0) } ?? .null,
                .integer(definition.maxExecutionTimeInSeconds), .text(actor),
            ])
        if let row = inserted.first { return .created(try JobRecord(row)) }
        guard let row = try await pool.run(Statements.readJob, [.text(definition.jobID.text)]).first else {
            throw StoreError(
                code: .fatal, effect: .unknown, operation: "insert_job", message: "the stored job cannot be read")
        }
        let record = try JobRecord(row)
        let stored: [UInt8] = try row.get("request_digest")
        return stored == digest ? .same(record) : .conflict
    }

    // MARK: Read

    package func get(_ jobID: JobID) async throws(StoreError) -> JobRecord? {
        guard let row = try await pool.run(Statements.readJob, [.text(jobID.text)]).first else { return nil }
        return try JobRecord(row)
    }

    /// Where a page ended: the next one goes on behind it, however many jobs are added meanwhile.
    package struct ListPosition: Sendable, Hashable {
        package let createdTime: Int64
        package let jobID: String

        package init(createdTime: Int64, jobID: String) {
            self.createdTime = createdTime
            self.jobID = jobID
        }
    }

    /// Up to `limit` jobs, newest first; `states` nil means all.
    package func list(
        type: JobType?, states: [JobState]?, after: ListPosition?, limit: Int
    ) async throws(StoreError) -> [JobRecord] {
        let rows = try await pool.run(
            Statements.listJobs,
            [
                type.map { .text($0.rawValue) } ?? .null,
                states.map { .textArray($0.map(\.rawValue)) } ?? .null,
                after.map { .integer($0.createdTime) } ?? .null,
                after.map { .text($0.jobID) } ?? .null,
                .integer(Int64(limit)),
            ])
        var records: [JobRecord] = []
        for row in rows { records.append(try JobRecord(row)) }
        return records
    }

    // MARK: Cancel

    package enum Cancellation: Sendable {
        /// Cancelled now, or already before.
        case cancelled(JobRecord)
        /// The job has ended otherwise, or runs and `strict` forbids it.
        case notAllowed(JobRecord)
        case unknownJob
    }

    /// `strict` refuses running jobs, as the service does whose contract this is.
    package func cancel(_ jobID: JobID, actor: String, strict: Bool) async throws(StoreError) -> Cancellation {
        let changed = try await pool.run(
            Statements.cancelJob, [.text(jobID.text), .text(actor), .bool(!strict)])
        guard let record = try await get(jobID) else { return .unknownJob }
        if !changed.isEmpty { return .cancelled(record) }
        switch record.state {
        case .cancelled, .cancelling: return strict ? .notAllowed(record) : .cancelled(record)
        case .scheduled, .queued, .running, .completed, .failed: return .notAllowed(record)
        }
    }
}

extension JobRecord {
    init(_ row: Row) throws(StoreError) {
        let type: String = try row.get("type")
        let state: String = try row.get("state")
        let action: JSONValue = try row.get("action")
        guard let jobType = JobType(rawValue: type), let jobState = JobState(rawValue: state),
            let document = action.objectValue
        else {
            throw StoreError(
                code: .fatal, effect: .none, operation: "read_job", message: "a job of type \(type) in state \(state)")
        }
        self.init(
            job: try row.get("job"), jobID: JobID(stored: try row.get("job_id")),
            action: JobAction(type: jobType, document: document), queryCondition: try row.get("query_condition"),
            state: jobState, reason: try row.get("reason"), createdTime: try row.get("created"),
            startTime: try row.get("start"), endTime: try row.get("ended"), deadline: try row.get("deadline"),
            maxExecutionTimeInSeconds: try row.get("max_execution_seconds"),
            statistics: JobStatistics(
                devices: try row.get("devices"), pending: try row.get("pending"), running: try row.get("running"),
                succeeded: try row.get("succeeded"), failed: try row.get("failed"),
                cancelled: try row.get("cancelled")))
    }
}
