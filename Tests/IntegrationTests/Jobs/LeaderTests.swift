// Goal: one leader at a time, a chunk is written once whoever leads, and a recount finds what is wrong.
// Method: two elections on one row, one chunk written twice, and records that the test itself falsifies.

import Coordinator
import JSON
import JobModel
import JobStore
import LeaseStore
import ServiceKit
import Testing
import TwinQuery

@Suite struct LeaderTests {
    @Test func leadershipHasOneHolderAndRisingTerms() async throws {
        try await JobWorld.run { world in
            let first = try #require(try await world.store.acquireLeadership(role: "r", holder: "a"))
            #expect(try await world.store.acquireLeadership(role: "r", holder: "b") == nil)
            #expect(try await world.store.acquireLeadership(role: "r", holder: "a") == first)
            #expect(try await world.store.isCurrent(first))
            try await world.store.resign(first)
            #expect(try await !world.store.isCurrent(first))
            let second = try #require(try await world.store.acquireLeadership(role: "r", holder: "b"))
            #expect(second.term == first.term + 1)
            #expect(try await world.store.acquireLeadership(role: "r", holder: "a") == nil)
        }
    }

    @Test func anotherCoordinatorTakesOverWhenTheLeaderStops() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(5) { _ in [:] }
            let first = try await world.startCoordinator()
            try await world.startCoordinator()
            try await world.startWorker()
            _ = try await world.put("one", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "one", until: \.state.isEnded)
            await world.stop(first)
            _ = try await world.put("two", patch: ["tags": ["a": 2]], condition: "*")
            let done = try await world.wait(for: "two", until: \.state.isEnded)
            #expect(done.statistics.succeeded == 5)
        }
    }

    @Test func aChunkIsWrittenOnce() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(30) { _ in [:] }
            _ = try await world.put("chunk", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.store.startDueJobs(actor: "test")
            let job = try #require(try await world.store.expandingJobs(limit: 1).first)
            let leader = try #require(try await world.store.acquireLeadership(role: "r", holder: "a"))
            let state = try #require(try await world.store.expansion(of: job.job))
            let slot = try await world.store.assignSlot(job: job.job, isLarge: false)
            let devices = try await world.store.devices(matching: try parseCondition("*"), after: nil, limit: 20)
            let write = {
                try await world.store.writeChunk(
                    job: job.job, slot: slot, state: state, devices: devices, batchSize: 7, leadership: leader)
            }
            let chunk = try #require(try await write())
            #expect(chunk.items == 20)
            #expect(chunk.batches.count == 3)
            let error = await #expect(throws: StoreError.self) { try await write() }
            #expect(error?.code == .conflict)
            #expect(try await world.query("SELECT count(*) AS n FROM work_items") == 20)
            // The next leader goes on behind the last device.
            let expander = Expander(
                store: world.store, leases: world.leases, clock: world.clock, random: SystemRandom(), log: .silent,
                metrics: Metrics())
            #expect(try await expander.expand(job, under: leader) == .complete)
            #expect(try await world.query("SELECT count(DISTINCT device_id) AS n FROM work_items") == 30)
            #expect(try await world.query("SELECT sum(item_count) AS n FROM expansions") == 30)
            #expect(try await world.query("SELECT count(*) AS n FROM job_events WHERE kind = 'expansionResumed'") == 1)
        }
    }

    @Test func aConditionThatNoLongerCompilesFailsTheJob() async throws {
        try await JobWorld.run { world in
            _ = try await world.put("broken", patch: ["tags": ["a": 1]], condition: "*")
            try await world.execute("UPDATE jobs SET query_condition = 'deviceId = ''a'")
            try await world.startCoordinator()
            let done = try await world.wait(for: "broken", until: \.state.isEnded)
            #expect(done.state == .failed)
            #expect(done.reason?.contains("query condition") == true)
        }
    }

    /// The check itself must be able to fail.
    @Test(arguments: [
        ("UPDATE job_counters SET succeeded = succeeded - 1", "counters and items differ"),
        ("UPDATE work_items SET state = 'pending' WHERE seq = 3", "no outcome"),
        ("UPDATE work_items SET device_id = 'd-0000001' WHERE seq = 3", "repeat a device"),
        ("UPDATE work_batches SET open = 1", "miscount"),
        ("UPDATE expansions SET chunk = 5", "chunk"),
    ])
    func recountFindsWhatIsWrong(_ sabotage: String, _ finding: String) async throws {
        try await JobWorld.run(recounting: false) { world in
            try await world.addDevices(10) { _ in [:] }
            try await world.startCoordinator()
            let worker = try await world.startWorker()
            _ = try await world.put("audit", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "audit", until: \.state.isEnded)
            await world.stop(worker)
            #expect(try await world.store.recount(nil).flatMap(\.findings).isEmpty)
            try await world.execute(sabotage)
            let findings = try await world.store.recount(try JobID("audit")).flatMap(\.findings)
            #expect(findings.contains { $0.contains(finding) }, "\(findings)")
        }
    }
}
