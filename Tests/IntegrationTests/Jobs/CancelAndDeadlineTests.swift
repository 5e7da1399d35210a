// Goal: a job can be stopped, by a person or by its time, and every item says how it ended (I1, I2, I3).
// Method: real stores; results race against the end, and a result under an older epoch changes nothing.

import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import ServiceKit
import TestKit
import Testing
import TwinModel

@Suite struct CancelAndDeadlineTests {
    @Test func runningJobIsCancelledAndItsItemsEnd() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1500) { _ in [:] }
            try await world.startCoordinator()
            _ = try await world.put("stop", patch: ["tags": ["a": 1]], condition: "*")
            let running = try await world.wait(for: "stop") { $0.statistics.devices == 1500 }
            let batch = try #require(try await world.store.readyBatches(after: nil, limit: 10).first)
            let claimed = try #require(try await world.store.claim([batch], worker: WorkerID("late")).first)
            guard
                case .cancelled(let cancelled) = try await world.store.cancel(
                    running.jobID, actor: "test", strict: false)
            else { Issue.record("not cancelled"); return }
            #expect(cancelled.state.wireStatus == "cancelled")
            // A result that was claimed before the cancel is refused.
            let patch = JobStore.BatchPatch(TwinUpdate(stored: ["tags": ["a": 1]]))
            let late = try await world.store.patch(
                claimed, seqs: claimed.firstSeq...claimed.lastSeq, with: patch, shard: 0)
            #expect(late == .leaseLost)
            try await world.leases.wake(.coordinators)
            let done = try await world.wait(for: "stop", until: \.state.isEnded)
            #expect(done.state == .cancelled)
            #expect(done.statistics == JobStatistics(devices: 1500, cancelled: 1500))
            #expect(try await world.query("SELECT count(*) AS n FROM twins WHERE tags ? 'a'") == 0)
            guard case .cancelled = try await world.store.cancel(running.jobID, actor: "test", strict: false)
            else { Issue.record("a second cancel must succeed"); return }
        }
    }

    /// It is acknowledged all the same, and what becomes of the batch is counted.
    @Test func aCancelDoesNotWaitForAStatementThatBeganBefore() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(20) { _ in [:] }
            try await world.startCoordinator()
            _ = try await world.put("waits", patch: ["tags": ["a": 1]], condition: "*")
            let running = try await world.wait(for: "waits") { $0.statistics.devices == 20 }
            let batch = try #require(try await world.store.readyBatches(after: nil, limit: 1).first)
            let claimed = try #require(try await world.store.claim([batch], worker: WorkerID("w")).first)
            let store = world.store
            let execution = try await world.pool.transaction { transaction in
                try await transaction.runScript("UPDATE twins SET etag = etag WHERE device_id = 'd-0000003'")
                let patch = JobStore.BatchPatch(TwinUpdate(stored: ["tags": ["a": 1]]))
                let task = Task {
                    try await store.patch(claimed, seqs: claimed.firstSeq...claimed.lastSeq, with: patch, shard: 0)
                }
                try await eventually("a patch that waits", within: JobWorld.patience) {
                    try await world.query(
                        """
                        SELECT count(*)::int AS n FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'
                        """) == 1
                }
                guard case .cancelled = try await store.cancel(running.jobID, actor: "test", strict: false)
                else { Issue.record("not cancelled"); return task }
                return task
            }.value
            #expect(execution == .recorded(succeeded: 20, failed: 0, open: 0, changed: []))
            try await world.leases.wake(.coordinators)
            let done = try await world.wait(for: "waits", until: \.state.isEnded)
            #expect(done.state == .cancelled)
            #expect(done.statistics == JobStatistics(devices: 20, succeeded: 20))
            #expect(try await world.query("SELECT count(*) AS n FROM twins WHERE tags ? 'a'") == 20)
        }
    }

    @Test func strictModeRefusesARunningJob() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(5) { _ in [:] }
            try await world.startCoordinator()
            _ = try await world.put("strict", patch: ["tags": ["a": 1]], condition: "*")
            let running = try await world.wait(for: "strict") { $0.statistics.devices == 5 }
            guard case .notAllowed = try await world.store.cancel(running.jobID, actor: "test", strict: true)
            else { Issue.record("strict mode must refuse"); return }
            #expect(try await world.store.get(running.jobID)?.state == .running)
            guard case .unknownJob = try await world.store.cancel(try JobID("none"), actor: "test", strict: false)
            else { Issue.record("an unknown job"); return }
        }
    }

    @Test func scheduledJobIsCancelledAtOnce() async throws {
        try await JobWorld.run { world in
            _ = try await world.put("far", patch: ["tags": ["a": 1]], condition: "*", start: 4_000_000_000_000_000)
            guard case .cancelled(let job) = try await world.store.cancel(try JobID("far"), actor: "test", strict: true)
            else { Issue.record("not cancelled"); return }
            #expect(job.state == .cancelled)
            #expect(job.endTime != nil)
        }
    }

    @Test func deadlineFailsWhatHadNoTurn() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(700) { _ in [:] }
            try await world.startCoordinator()
            _ = try await world.put("short", patch: ["tags": ["a": 1]], condition: "*", seconds: 1)
            let done = try await world.wait(for: "short", until: \.state.isEnded)
            #expect(done.state == .completed)
            #expect(done.statistics == JobStatistics(devices: 700, failed: 700))
            #expect(
                try await world.query(
                    "SELECT count(*) AS n FROM work_items WHERE error_code = 'JobRunPreconditionFailed'") == 700)
            #expect(try await world.query("SELECT count(*) AS n FROM jobs WHERE expired_at < deadline") == 0)
        }
    }

    /// Cancels while workers are busy, again and again with another delay from a seed: counters always agree.
    @Test func cancelRacesWithResults() async throws {
        let seed: UInt64 = 43
        try await JobWorld.run { world in
            let random = SeededRandom(seed: seed)
            try await world.addDevices(3000) { _ in [:] }
            try await world.startCoordinator()
            try await world.startWorker()
            try await world.startWorker()
            for round in 0..<12 {
                let id = "race-\(round)"
                _ = try await world.put(id, patch: ["tags": ["r": .integer(Int64(round))]], condition: "*")
                let wanted = Int64(random.next() % 2500)
                _ = try await world.wait(for: id) { $0.statistics.succeeded >= wanted || $0.state.isEnded }
                _ = try await world.store.cancel(try JobID(id), actor: "test", strict: false)
                try await world.leases.wake(.coordinators)
                let done = try await world.wait(for: id, until: \.state.isEnded)
                let patched = try await world.query("SELECT count(*) AS n FROM twins WHERE tags ->> 'r' = '\(round)'")
                #expect(Int64(patched) == done.statistics.succeeded, "seed \(seed), round \(round)")
                // A cancel during the expansion ends with the chunks that are there.
                let ended = done.statistics.succeeded + done.statistics.cancelled
                #expect(ended == done.statistics.devices && ended <= 3000, "seed \(seed), round \(round)")
            }
        }
    }
}
