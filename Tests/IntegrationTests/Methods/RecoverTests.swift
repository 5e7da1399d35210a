// Goal: after a restore nothing is lost and nothing happens twice (I1, I2, I4, I5, the last sentence of I6).
// Method: the database is copied, as a crash would leave it, while jobs of both types run; work goes on in the old one;
// then the roles move to the copy after a recovery. Devices count their calls in both lives.

import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import Redis
import RouteStore
import ServiceKit
import TestKit
import Testing
import TwinStore

@Suite struct RecoverTests {
    private static func name(_ number: Int) -> String {
        "d-" + String(repeating: "0", count: 7 - String(number).count) + String(number)
    }
    private static func names(_ range: Range<Int>) -> [String] { range.map(name) }

    // What each device is for.
    private static let answering = 0..<10, silent = 10..<20, parked = 20..<40, patched = 40..<100, late = 100..<110

    private func put(_ world: JobWorld, _ id: String, kind: String, start: Int64? = nil) async throws {
        let definition = JobDefinition(
            jobID: try JobID(id),
            action: .deviceMethod([
                "methodName": "m", "payload": nil, "responseTimeoutInSeconds": 60, "connectTimeoutInSeconds": 0,
            ]), queryCondition: "tags.kind = '\(kind)'", startTime: start, maxExecutionTimeInSeconds: 3600)
        _ = try await world.store.create(definition, actor: "test")
        try await world.leases.wake(.coordinators)
    }

    /// Fills a world and brings it to the cut: ten devices have answered, ten are silent, twenty are not connected, and a
    /// twin batch is held up by a lock. Returns the copy.
    private func workUntilTheCut(_ world: JobWorld, _ gateway: DeviceDouble) async throws -> String {
        try await world.addDevices(110) { number in
            ["kind": Self.patched.contains(number) ? "patched" : Self.late.contains(number) ? "late" : "called"]
        }
        try await world.execute(
            """
            INSERT INTO device_sessions (device_id, gateway, incarnation, session, connected)
            VALUES ('d-0000000', '\(gateway.id.name)', '\(gateway.id.incarnation)', 7, true)
            """)
        try await gateway.start()
        try await gateway.connect(Self.names(0..<20) + Self.names(Self.late))
        try await world.startCoordinator()
        try await world.startWorker()
        try await put(world, "m", kind: "called")
        try await put(world, "late", kind: "late", start: 4_000_000_000_000_000)
        try await put(world, "future", kind: "late", start: 4_000_000_000_000_000)
        try await eventually("the calls", within: JobWorld.patience) {
            let job = try #require(try await world.store.get(try JobID("m")))
            let parked = try await world.query("SELECT count(*) AS n FROM waiting")
            return job.statistics.succeeded == 10 && gateway.calls.count == 20 && parked == 20
        }
        var copy = ""
        do {
            try await world.pool.transaction { transaction in
                try await transaction.runScript("SELECT FROM twins WHERE device_id = 'd-0000099' FOR UPDATE")
                _ = try await world.put("t", patch: Self.patch(1), condition: "tags.kind = 'patched'")
                _ = try await world.wait(for: "t") { $0.statistics.succeeded == 40 && $0.statistics.running > 0 }
                copy = try await TestCluster.copyDatabase(#require(world.stores).database)
            }
            Issue.record("the copy ends all connections, and so the lock")
        } catch let error as StoreError {
            #expect(error.code == .unavailable, "\(error)")
        }
        return copy
    }

    private static func patch(_ value: Int64) -> JSONObject {
        ["properties": ["desired": ["value": .integer(value)]]]
    }

    private func summary(_ world: JobWorld) async throws -> [String] {
        try await world.texts(
            """
            SELECT concat_ws(' ', j.job_id, j.state, j.epoch, s.devices, s.pending, s.running, s.succeeded, s.failed,
                             (SELECT sum(fence) FROM work_batches b WHERE b.job = j.job),
                             (SELECT count(*) FROM dispatches d WHERE d.job = j.job),
                             (SELECT count(*) FROM waiting w WHERE w.job = j.job),
                             (SELECT count(*) FROM job_events e WHERE e.job = j.job)) AS text
            FROM jobs j JOIN job_statistics s USING (job) ORDER BY job
            """)
    }

    @Test(arguments: [true, false]) func nothingHappensTwiceAfterARestore(isRedisEmptied: Bool) async throws {
        try await JobWorld.run { world in
            let gateway = DeviceDouble("g", world) { device, _ in
                Self.names(Self.silent).contains(device) ? .silence : .answers(status: 200, payload: "1")
            }
            let copy = try await workUntilTheCut(world, gateway)

            // What the copy does not know: silent devices answer, parked ones are called, a job starts and runs, and a
            // further job raises desired versions.
            for device in Self.names(Self.silent) { gateway.answerNow(device, status: 200) }
            try await gateway.connect(Self.names(20..<30))
            try await world.execute("UPDATE jobs SET start_at = clock_timestamp() WHERE job_id = 'late'")
            try await world.leases.wake(.coordinators)
            _ = try await world.wait(for: "m") { $0.statistics.succeeded == 30 }
            _ = try await world.wait(for: "late") { $0.state == .completed }
            _ = try await world.wait(for: "t") { $0.state == .completed }
            _ = try await world.put("t2", patch: Self.patch(2), condition: "tags.kind = 'patched'")
            _ = try await world.wait(for: "t2") { $0.state == .completed }
            let called = gateway.calls
            #expect(called.count == 40 && called.values.allSatisfy { $0 == 1 })
            let highest = (
                fence: try await world.query("SELECT max(fence) AS n FROM work_batches"),
                version: try await world.query("SELECT max(desired_version) AS n FROM twins"),
                job: try await world.query("SELECT max(job) AS n FROM jobs")
            )
            #expect(highest.version == 3)
            await world.stopAll()
            await gateway.die()
            if isRedisEmptied { try await world.flushRedis() }

            try await JobWorld.run(copy: copy, redis: world.stores?.redisURL) { world in
                try await world.execute("UPDATE jobs SET start_at = clock_timestamp() WHERE job_id = 'late'")
                try await recover(world)
                #expect(
                    try await world.query("SELECT min(fence) AS n FROM work_batches WHERE state <> 'closed'")
                        > highest.fence)
                #expect(try await world.query("SELECT min(desired_version) AS n FROM twins") > highest.version)
                try await workAfterwards(world, called: called, highestJob: highest.job)
            }
        }
    }

    /// Recovers three times: to see what would be done, in earnest, and again.
    private func recover(_ world: JobWorld) async throws {
        let before = try await summary(world)
        let tried = try await world.store.recover(resumesCalls: false, isDryRun: true)
        #expect(try await summary(world) == before)
        _ = try await TwinStore(world.pool).raiseVersions(by: Limits.recoveryJump)
        let recovery = try await world.store.recover(resumesCalls: false, isDryRun: false)
        #expect(tried.unknown == recovery.unknown && tried.items.count == recovery.items.count)
        #expect(recovery.unknown == 30 && recovery.workers == 1 && recovery.gateways == 1 && recovery.sessions == 1)
        #expect(
            recovery.items.map { "\($0.jobID) \($0.seq) \($0.deviceID) \($0.wasDispatched)" }
                == (10..<40).map { "m \($0) \(Self.name($0)) \($0 < 20)" })
        #expect(
            recovery.jobs.map { "\($0.jobID) \($0.state) \($0.unknown) \($0.dispatched)" } == [
                "m running 30 10", "late failed 0 0", "future scheduled 0 0", "t running 0 0",
            ])
        let t = try #require(recovery.jobs.last)
        #expect(t.batchesTakenBack == 1)
        #expect(
            try await world.query("SELECT count(*) AS n FROM device_sessions WHERE session = 1000007 AND NOT connected")
                == 1)
        #expect(
            try await world.texts(
                """
                SELECT concat_ws(' ', job_id, detail ->> 'unknown', detail ->> 'dispatched', actor) AS text
                FROM job_events JOIN jobs USING (job) WHERE kind = 'recovered' ORDER BY job
                """) == ["m 30 10 recover", "late 0 0 recover", "future 0 0 recover", "t 0 0 recover"])
        let again = try await world.store.recover(resumesCalls: false, isDryRun: false)
        #expect(again.unknown == 0 && again.items.isEmpty && again.workers == 0 && again.gateways == 0)
        #expect(again.jobs.map(\.jobID.text) == ["m", "future", "t"])
        for drift in try await world.store.recount(nil) { #expect(drift.findings.isEmpty, "\(drift)") }
    }

    private func workAfterwards(_ world: JobWorld, called: [String: Int], highestJob: Int) async throws {
        let gateway = DeviceDouble("h", world) { _, _ in .answers(status: 200, payload: "1") }
        try await gateway.start()
        try await gateway.connect(Self.names(0..<110), session: 2 + Limits.recoveryJump)
        try await world.startCoordinator()
        try await world.startWorker()
        let m = try await world.wait(for: "m") { $0.state == .completed }
        #expect(m.statistics == JobStatistics(devices: 40, succeeded: 10, failed: 30))
        let t = try await world.wait(for: "t") { $0.state == .completed }
        #expect(t.statistics == JobStatistics(devices: 60, succeeded: 60))
        #expect(
            try await world.query(
                """
                SELECT count(*) AS n FROM twins
                WHERE desired = '{"value": 1}' AND desired_version = 1000002 AND etag = 1000002
                """) == 60)
        let late = try await world.wait(for: "late") { $0.state == .failed }
        #expect(late.reason?.contains("restored") == true)
        // A new job gets a number that no lost job had, and works.
        try await put(world, "after", kind: "late")
        let after = try await world.wait(for: "after") { $0.state == .completed }
        #expect(after.statistics == JobStatistics(devices: 10, succeeded: 10))
        #expect(after.job > Int64(highestJob))
        // Devices of 'late' were called by a job that the copy has forgotten, and once by the new one.
        for device in Self.names(0..<40) {
            #expect((called[device] ?? 0) + (gateway.calls[device] ?? 0) <= 1, "\(device) was called twice")
        }
        #expect(gateway.calls == Dictionary(uniqueKeysWithValues: Self.names(Self.late).map { ($0, 1) }))
        await gateway.die()
    }

    @Test func whereNothingIsLostTheRestIsCalled() async throws {
        try await JobWorld.run { world in
            let gateway = DeviceDouble("g", world) { device, _ in
                Self.names(Self.silent).contains(device) ? .silence : .answers(status: 200, payload: "1")
            }
            let copy = try await workUntilTheCut(world, gateway)
            await gateway.die()
            await world.stopAll()
            try await world.flushRedis()
            try await JobWorld.run(copy: copy, redis: world.stores?.redisURL) { world in
                let recovery = try await world.store.recover(resumesCalls: true, isDryRun: false)
                #expect(recovery.items.map(\.deviceID) == Self.names(Self.silent))
                #expect(recovery.items.allSatisfy { $0.wasDispatched })
                let other = DeviceDouble("h", world) { _, _ in .answers(status: 200, payload: "1") }
                try await other.start()
                try await other.connect(Self.names(0..<40), session: 2)
                try await world.startCoordinator()
                try await world.startWorker()
                let job = try await world.wait(for: "m") { $0.state == .completed }
                #expect(job.statistics == JobStatistics(devices: 40, succeeded: 30, failed: 10))
                #expect(other.calls == Dictionary(uniqueKeysWithValues: Self.names(Self.parked).map { ($0, 1) }))
                await other.die()
            }
            // The old world's calls have no outcome: its gateway is dead and its roles have stopped.
        }
    }

    /// The command itself: what it refuses, what it prints, and that it ends a leadership of before.
    @Test func theCommandRefusesWhileProcessesLive() async throws {
        try await withWorld { world in
            let coordinator = try MusterProcess(["coordinator", "--listen", "127.0.0.1:0"], world: world)
            try await coordinator.event("leadership_taken")
            let refused = try MusterProcess(["recover"], world: world)
            #expect(try await refused.exitCode() == 1)
            #expect(refused.log.contains("Stop every role first") && refused.log.contains("leader"))
            coordinator.signal(9)
            // The row of the dead leader looks fresh, and does not move.
            for _ in 0..<2 {
                let recover = try MusterProcess(["recover", "--json"], world: world)
                #expect(try await recover.exitCode() == 0, "\(recover.log)")
                #expect(recover.log.contains("\"twinsRaised\" : 0") || recover.log.contains("\"twinsRaised\": 0"))
            }
            let next = try MusterProcess(["coordinator", "--listen", "127.0.0.1:0"], world: world)
            try await next.event("leadership_taken")
            let forced = try MusterProcess(["recover", "--force"], world: world)
            #expect(try await forced.exitCode() == 0, "\(forced.log)")
            #expect(forced.log.contains("0 jobs, 0 items unknown"))
        }
    }
}
