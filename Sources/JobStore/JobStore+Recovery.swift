// After a restore or an asynchronous failover (invariant I6): the database is older than what processes, Redis and devices
// have seen. Nobody who held work before may write, and what may have been sent is not sent again.
//
// Everything about jobs and processes happens in one transaction. `Limits.recoveryJump` says why numbers rise by so much.

package import JobModel
internal import Postgres
package import ServiceKit

/// A process that says that it lives.
package struct Beat: Sendable, Hashable {
    /// `worker`, `gateway` or `leader`.
    package let kind: String
    package let name: String
    /// In microseconds since 1970 by PostgreSQL's clock.
    package let time: Int64
}

package struct Recovery: Sendable {
    package struct Job: Sendable {
        package let job: Int64
        package let jobID: JobID
        package let type: JobType
        /// `failed` when it ended here because its device set was not complete.
        package let state: JobState
        /// Items that ended as `OutcomeUnknown`, and how many of them had a dispatch.
        package let unknown: Int64
        package let dispatched: Int64
        package let batchesTakenBack: Int64
    }

    package struct Item: Sendable {
        package let jobID: JobID
        package let seq: Int64
        package let deviceID: String
        package let wasDispatched: Bool
    }

    /// All jobs that had not ended.
    package let jobs: [Job]
    /// The first `Limits.recoveryListing` items whose outcome is unknown.
    package let items: [Item]
    package let workers: Int64
    package let gateways: Int64
    package let sessions: Int64

    package var unknown: Int64 { jobs.reduce(0) { $0 + $1.unknown } }
}

extension JobStore {
    /// Processes that beat while we watch. Rows that came with the restored database may look fresh, so what counts is
    /// that a beat changes.
    package func livingProcesses(clock: any ServiceClock) async throws -> [Beat] {
        let (first, youngest) = try await beats()
        if first.isEmpty || youngest >= Limits.recoverySilence.milliseconds { return [] }
        try await clock.sleep(for: Limits.recoveryWatch)
        return try await beats().beats.filter { !first.contains($0) }
    }

    /// The beats, and the age of the youngest in milliseconds.
    private func beats() async throws(StoreError) -> (beats: [Beat], youngest: Int64) {
        var beats: [Beat] = []
        var youngest = Int64.max
        for row in try await pool.run(Statements.listBeats) {
            beats.append(Beat(kind: try row.get("kind"), name: try row.get("name"), time: try row.get("beat")))
            youngest = min(youngest, try row.get("age"))
        }
        return (beats, youngest)
    }

    /// Ends what may have been sent as unknown, takes all claimed work back, and forgets earlier lives. With `resumesCalls`
    /// items without a recorded dispatch are called again. A dry run changes nothing and says the same.
    package func recover(resumesCalls: Bool, isDryRun: Bool) async throws -> Recovery {
        if !isDryRun { try await pool.run(Statements.raiseSequences, [.integer(Limits.recoveryJump)]) }
        do {
            return try await pool.transaction(timeout: Limits.recoveryTimeout) { transaction in
                let jobs = try await Self.recoverJobs(transaction, resumesCalls: resumesCalls)
                let items = try await Self.recoveredItems(transaction, of: jobs)
                let lives = try await transaction.run(Statements.recoverLives, [.integer(Limits.recoveryJump)])
                guard let row = lives.first else {
                    throw StoreError(
                        code: .fatal, effect: .none, operation: "recover_lives", message: "no row was returned")
                }
                let recovery = Recovery(
                    jobs: jobs, items: items, workers: try row.get("workers"), gateways: try row.get("gateways"),
                    sessions: try row.get("sessions"))
                if isDryRun { throw DryRun(recovery: recovery) }
                return recovery
            }
        } catch let dryRun as DryRun {
            return dryRun.recovery
        }
    }

    /// Rolls the transaction back.
    private struct DryRun: Error {
        let recovery: Recovery
    }

    private static func recoverJobs(
        _ transaction: PostgresTransaction, resumesCalls: Bool
    ) async throws(StoreError) -> [Recovery.Job] {
        let rows = try await transaction.run(
            Statements.recoverJobs,
            [
                .bool(resumesCalls), .text(ItemErrorCode.outcomeUnknown.rawValue),
                .text(ItemErrorCode.goneGatewayText), .text(ItemErrorCode.lostCommitsText),
                .integer(Limits.recoveryJump), .integer(Limits.recoveryEpochJump), "recover",
                "The database was restored while the job's device set was not complete: it may have called devices that nobody knows of.",
            ])
        var jobs: [Recovery.Job] = []
        for row in rows {
            let type: String = try row.get("type")
            let state: String = try row.get("state")
            jobs.append(
                Recovery.Job(
                    job: try row.get("job"), jobID: JobID(stored: try row.get("job_id")),
                    type: JobType(rawValue: type) ?? .deviceMethod, state: JobState(rawValue: state) ?? .failed,
                    unknown: try row.get("unknown"), dispatched: try row.get("dispatched"),
                    batchesTakenBack: try row.get("batches")))
        }
        return jobs
    }

    private static func recoveredItems(
        _ transaction: PostgresTransaction, of jobs: [Recovery.Job]
    ) async throws(StoreError) -> [Recovery.Item] {
        let jobs = jobs.filter { $0.unknown > 0 }.map { Optional($0.job) }
        guard !jobs.isEmpty else { return [] }
        let rows = try await transaction.run(
            Statements.listRecoveredItems,
            [
                .integerArray(jobs), .text(ItemErrorCode.outcomeUnknown.rawValue),
                .text(ItemErrorCode.goneGatewayText), .integer(Int64(Limits.recoveryListing)),
            ])
        var items: [Recovery.Item] = []
        for row in rows {
            items.append(
                Recovery.Item(
                    jobID: JobID(stored: try row.get("job_id")), seq: try row.get("seq"),
                    deviceID: try row.get("device_id"), wasDispatched: try row.get("sent")))
        }
        return items
    }
}
