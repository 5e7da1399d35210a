// Goal: a result and the end of its job, by cancel or by deadline, at the same moment: one of them wins for each item, and
// items, counters, batch and twin say the same (I1, I2, I3, I4).
// Method: one batch of three devices is claimed, and then a result statement and the statements of the end run on
// connections of their own, a drawn fraction of a millisecond apart; then everything is put back, thousands of times.

import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import ServiceKit
import TestKit
import Testing
import TwinModel

@Suite struct EndRaceTests {
    private static let rounds = 1000
    /// For each of the four races; a busy machine does fewer rounds.
    private static let duration: Duration = .seconds(20)
    private static let fewest = 200

    private enum Winner: String { case result, end }

    @Test(arguments: [JobType.updateTwin, .deviceMethod], [true, false])
    func resultsRaceTheEnd(_ type: JobType, isCancel: Bool) async throws {
        let seed: UInt64 = 6
        try await JobWorld.run { world in
            try await world.addDevices(3) { _ in [:] }
            try await start(world, type)
            let random = SeededRandom(seed: seed)
            let deadline = world.clock.now + Self.duration
            var winners: [Winner: Int] = [:]
            for round in 0..<Self.rounds {
                guard world.clock.now < deadline || round < Self.fewest else { break }
                let batch = try await claimAnew(world, round)
                // Both take about as long; either may be the first.
                let pause = Duration.microseconds(Int64(random.next() % 3000))
                let resultIsLate = random.next() % 2 == 0
                async let result = record(world, batch, type, round, after: resultIsLate ? pause : .zero)
                async let end: Void = end(world, batch.id.job, isCancel: isCancel, after: resultIsLate ? .zero : pause)
                let winner = try await result
                try await end
                try await judge(world, batch, type, isCancel, round, winner, seed)
                winners[winner, default: 0] += 1
            }
            print(
                "\(type.rawValue), \(isCancel ? "cancel" : "deadline"): races won by",
                winners.map { "\($0.rawValue): \($1)" }.sorted())
            #expect(winners.count == 2, "only one side ever won: \(winners)")
        }
    }

    private func start(_ world: JobWorld, _ type: JobType) async throws {
        let action: JobAction =
            switch type {
            case .updateTwin: .updateTwin(["tags": ["a": 1]])
            case .deviceMethod:
                .deviceMethod([
                    "methodName": "m", "payload": nil, "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 0,
                ])
            }
        let definition = JobDefinition(
            jobID: try JobID("race"), action: action, queryCondition: "*", startTime: nil,
            maxExecutionTimeInSeconds: 3600)
        _ = try await world.store.create(definition, actor: "test")
        let coordinator = try await world.startCoordinator()
        try await world.leases.wake(.coordinators)
        try await eventually("the expansion", within: JobWorld.patience) {
            try await world.query("SELECT count(expanded_at) AS n FROM jobs") == 1
        }
        // The test ends the job itself, statement by statement.
        await world.stop(coordinator)
    }

    /// As if the job had just been expanded, and its batch claimed.
    private func claimAnew(_ world: JobWorld, _ round: Int) async throws -> ClaimedBatch {
        _ = try await world.pool.transaction { transaction in
            try await transaction.runScript(
                """
                UPDATE jobs SET state = 'running', expired_at = NULL, ended_at = NULL, reason = NULL,
                    deadline = clock_timestamp() + interval '1 hour';
                UPDATE work_batches SET state = 'ready', open = 3;
                UPDATE work_items SET state = 'pending', error_code = NULL, error_text = NULL, response = NULL;
                UPDATE twins SET tags = '{}';
                DELETE FROM job_counters;
                DELETE FROM job_events
                """)
        }
        let id = try #require(try await world.store.readyBatches(after: nil, limit: 1).first)
        return try #require(try await world.store.claim([id], worker: WorkerID("w")).first)
    }

    private func record(
        _ world: JobWorld, _ batch: ClaimedBatch, _ type: JobType, _ round: Int, after pause: Duration
    ) async throws -> Winner {
        if pause > .zero { try await world.clock.sleep(for: pause) }
        let execution: JobStore.Execution
        switch type {
        case .updateTwin:
            let patch = JobStore.BatchPatch(TwinUpdate(stored: ["tags": ["a": 1]]))
            execution = try await world.store.patch(
                batch, seqs: batch.firstSeq...batch.lastSeq, with: patch, shard: 1)
        case .deviceMethod:
            let results = (batch.firstSeq...batch.lastSeq).map {
                ItemResult(seq: $0, response: #"{"status":200,"payload":1}"#)
            }
            execution = try await world.store.record(results, of: batch, shard: 1)
        }
        switch execution {
        case .leaseLost: return .end
        case .recorded(let succeeded, let failed, let open, _):
            #expect(succeeded == 3 && failed == 0 && open == 0, "round \(round)")
            return .result
        }
    }

    private func end(_ world: JobWorld, _ job: Int64, isCancel: Bool, after pause: Duration) async throws {
        if pause > .zero { try await world.clock.sleep(for: pause) }
        if isCancel {
            _ = try await world.store.cancel(try JobID("race"), actor: "test", strict: false)
            // What a worker whose calls are not in flight does with a batch of a cancelled job.
            try await world.execute(
                "UPDATE work_batches SET state = 'ready', fence = fence + 1 WHERE state = 'claimed'")
        } else {
            try await world.execute("UPDATE jobs SET deadline = clock_timestamp()")
            _ = try await world.store.expireJobs(actor: "test")
        }
        while try await world.store.endBatches(job: job, isCancelled: isCancel).batches > 0 {}
        _ = try await world.store.finish(job: job, actor: "test")
    }

    private func judge(
        _ world: JobWorld, _ batch: ClaimedBatch, _ type: JobType, _ isCancel: Bool, _ round: Int, _ winner: Winner,
        _ seed: UInt64
    ) async throws {
        let place: Testing.Comment = "seed \(seed), round \(round), \(winner)"
        let job = try #require(try await world.store.get(try JobID("race")))
        let expected =
            switch (winner, isCancel) {
            case (.result, _): JobStatistics(devices: 3, succeeded: 3)
            case (.end, true): JobStatistics(devices: 3, cancelled: 3)
            case (.end, false): JobStatistics(devices: 3, failed: 3)
            }
        #expect(job.statistics == expected, place)
        #expect(job.state == (isCancel ? .cancelled : .completed), place)
        for drift in try await world.store.recount(try JobID("race")) {
            #expect(drift.findings.isEmpty && drift.counted == drift.recounted, place)
        }
        let reasons = try await world.query(
            """
            SELECT count(*) AS n FROM work_items
            WHERE error_code = '\(isCancel ? "JobCancelled" : "JobRunPreconditionFailed")' AND error_text IS NOT NULL
            """)
        #expect(reasons == (winner == .end ? 3 : 0), place)
        if type == .updateTwin {
            let patched = try await world.query("SELECT count(*) AS n FROM twins WHERE tags ? 'a'")
            #expect(patched == (winner == .result ? 3 : 0), place)
        }
        // A second result changes nothing.
        #expect(try await record(world, batch, type, round, after: .zero) == .end, place)
    }
}
