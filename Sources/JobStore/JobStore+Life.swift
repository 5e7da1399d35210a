// What the leader does with jobs: leadership itself, start, end, deadline, finish, recount.

package import JobModel
internal import Postgres
package import ServiceKit

/// The leader's right to act: every chunk of an expansion names the term.
package struct Leadership: Sendable, Hashable {
    package let role: String
    package let holder: String
    package let term: Int64

    package init(role: String, holder: String, term: Int64) {
        self.role = role
        self.holder = holder
        self.term = term
    }

    /// Who acted, for `job_events`.
    package var actor: String { "leader:\(holder)" }
}

extension JobStore {
    // MARK: Leadership

    /// Takes or renews the leadership; nil while another holder leads.
    package func acquireLeadership(role: String, holder: String) async throws(StoreError) -> Leadership? {
        let rows = try await pool.run(
            Statements.acquireLeadership,
            [.text(role), .text(holder), .integer(Limits.leadershipDuration.milliseconds)],
            timeout: Limits.leadershipRenewalInterval)
        guard let row = rows.first else { return nil }
        return Leadership(role: role, holder: holder, term: try row.get("term"))
    }

    package func resign(_ leadership: Leadership) async throws(StoreError) {
        _ = try await pool.run(Statements.resignLeadership, [.text(leadership.role), .text(leadership.holder)])
    }

    /// Whether the leadership still holds, by PostgreSQL's clock.
    package func isCurrent(_ leadership: Leadership) async throws(StoreError) -> Bool {
        try await !pool.run(
            Statements.checkTerm,
            [.text(leadership.role), .text(leadership.holder), .integer(leadership.term)]
        ).isEmpty
    }

    // MARK: Start

    /// Starts due jobs while slots are free and marks the rest as queued; returns the started ones.
    package func startDueJobs(actor: String) async throws(StoreError) -> [Int64] {
        let started = try jobs(
            await pool.run(Statements.startJobs, [.integer(Int64(Limits.runningJobs)), .text(actor)]))
        _ = try await pool.run(Statements.queueJobs)
        return started
    }

    /// Time until the next start or deadline, by PostgreSQL's clock; nil when none is set.
    package func nextClockEvent() async throws(StoreError) -> Duration? {
        guard let row = try await pool.run(Statements.readNextStart).first else { return nil }
        let wait: Int64? = try row.get("wait")
        return wait.map { .milliseconds(max(0, $0)) }
    }

    // MARK: End

    /// Strikes deadlines; returns the jobs that expired.
    package func expireJobs(actor: String) async throws(StoreError) -> [Int64] {
        try jobs(await pool.run(Statements.expireJobs, [.text(actor)]))
    }

    /// Jobs whose open items have to be ended, and whether they were cancelled (else their deadline struck).
    package func endingJobs() async throws(StoreError) -> [(job: Int64, isCancelled: Bool)] {
        let rows = try await pool.run(Statements.listEndingJobs, [.integer(Int64(Limits.runningJobs))])
        var ending: [(Int64, Bool)] = []
        for row in rows {
            let state: String = try row.get("state")
            ending.append((try row.get("job"), state == JobState.cancelling.rawValue))
        }
        return ending
    }

    /// Ends the open items of some batches; returns how many batches and items it ended, 0 when none was left.
    package func endBatches(
        job: Int64, isCancelled: Bool
    ) async throws(StoreError) -> (batches: Int64, items: Int64) {
        let rows = try await pool.run(
            Statements.endBatches,
            [.integer(job), .integer(Int64(Limits.endChunkBatches))]
                + Self.endOutcome(isCancelled: isCancelled) + [
                    .text(ItemErrorCode.outcomeUnknown.rawValue),
                    .text("The call may have reached the device; nobody learnt its outcome before the job ended."),
                ])
        guard let row = rows.first else { return (0, 0) }
        return (try row.get("batches"), try row.get("items"))
    }

    /// State, error code and text of items that their job's end cuts off.
    static func endOutcome(isCancelled: Bool) -> [Parameter] {
        let (state, code, text): (ItemState, ItemErrorCode, String) =
            isCancelled
            ? (.cancelled, .jobCancelled, "the job was cancelled")
            : (
                .failed, .jobRunPreconditionFailed,
                "The job did not start within the permitted period: device offline or end time invalid."
            )
        return [.text(state.rawValue), .text(code.rawValue), .text(text)]
    }

    package func finishableJobs() async throws(StoreError) -> [Int64] {
        try jobs(await pool.run(Statements.listFinishableJobs, [.integer(Int64(Limits.runningJobs))]))
    }

    /// Ends a job whose batches are all closed; nil when something is still open.
    package func finish(job: Int64, actor: String) async throws(StoreError) -> (jobID: JobID, state: JobState)? {
        guard let row = try await pool.run(Statements.finishJob, [.integer(job), .text(actor)]).first else {
            return nil
        }
        let state: String = try row.get("state")
        return (JobID(stored: try row.get("job_id")), JobState(rawValue: state) ?? .completed)
    }

    /// Ends a running job that cannot run at all, before it has any item.
    package func fail(job: Int64, reason: String, actor: String) async throws(StoreError) -> Bool {
        try await !pool.run(Statements.failJob, [.integer(job), .text(reason), .text(actor)]).isEmpty
    }

    private func jobs(_ rows: Rows) throws(StoreError) -> [Int64] {
        var jobs: [Int64] = []
        for row in rows { jobs.append(try row.get("job")) }
        return jobs
    }

    // MARK: Recount

    /// Recounts one job, or all, from the items and compares with the counters (invariants I1 and I2). Reads every item.
    package func recount(_ jobID: JobID?, timeout: Duration = .seconds(600)) async throws -> [JobDrift] {
        try await pool.transaction(.repeatableRead(), timeout: timeout) { transaction in
            // The snapshot first: a statement is planned before it takes its own, so the partition of a job that begins
            // just then would be missing in the plan while its counters are in the snapshot.
            _ = try await transaction.run(Statements.exportSnapshot)
            let rows = try await transaction.run(Statements.recountJobs, [jobID.map { .text($0.text) } ?? .null])
            var drifts: [JobDrift] = []
            for row in rows { drifts.append(try JobDrift(row)) }
            return drifts
        }
    }
}

extension JobDrift {
    fileprivate init(_ row: Row) throws(StoreError) {
        let counted = JobStatistics(
            devices: try row.get("devices"), pending: try row.get("pending"), running: try row.get("running"),
            succeeded: try row.get("succeeded"), failed: try row.get("failed"), cancelled: try row.get("cancelled"))
        let recounted = JobStatistics(
            devices: try row.get("r_devices"), pending: try row.get("r_pending"),
            running: try row.get("r_running"), succeeded: try row.get("r_succeeded"),
            failed: try row.get("r_failed"), cancelled: try row.get("r_cancelled"))
        let state: String = try row.get("state")
        let ended: Bool = try row.get("ended")
        let orphans: Int64 = try row.get("orphans")
        let repeated: Int64 = try row.get("repeated")
        let miscounted: Int64 = try row.get("miscounted_batches")
        let missing: Bool = try row.get("missing_chunks")
        var findings: [String] = []
        if counted != recounted { findings.append("counters and items differ") }
        if ended, recounted.pending + recounted.running > 0 {
            findings.append("\(recounted.pending + recounted.running) items of the ended job have no outcome")
        }
        if orphans > 0 { findings.append("\(orphans) items belong to no live batch and have no outcome") }
        if repeated > 0 { findings.append("\(repeated) items repeat a device") }
        if miscounted > 0 { findings.append("\(miscounted) batches miscount their open items") }
        if missing { findings.append("a chunk of the expansion is missing") }
        self.init(
            jobID: JobID(stored: try row.get("job_id")), state: JobState(rawValue: state) ?? .failed,
            counted: counted, recounted: recounted, findings: findings)
    }
}
