// Goal: no statement of the job machinery costs more because of what earlier jobs left behind (issue 5, growth): each
// looks at a bounded number of pages.
// Method: ten jobs over the same twins, ten large ones made by SQL, two thousand small ones and long rows of beats leave
// dead rows, and nobody vacuums; then EXPLAIN (ANALYZE, BUFFERS) counts pages, with custom and generic plans, without
// statistics and with them. A statement may run a few times before it is judged: a plain index scan marks the entries of
// dead rows, so that they cost the next one nothing. What a statement may look at stands in a table, and is no time.

import Foundation
import JSON
import JobModel
import LeaseStore
import Postgres
import ServiceKit
import StoreKit
import TestKit
import Testing

@testable import JobStore

@Suite(.serialized) struct BloatedPlanTests {
    private static let devices = 6000
    private static let earlierJobs = 10
    private static let batchSize = Limits.batchItems
    private static let settling: Duration = .seconds(20)
    /// For who sets the limits.
    private static let isPrinting = ProcessInfo.processInfo.environment["MUSTER_TEST_PRINT_PLANS"] != nil

    private struct Hot {
        let statement: Statement
        let parameters: [Parameter]
        /// Rows that it has to pass on at least, or it did nothing.
        var rows = 0
        /// Pages that it may look at.
        let buffers: Double
    }

    @Test func whatEarlierJobsLeftCostsNothing() async throws {
        try await CostWorld.run { world in
            try await world.addDevices(Self.devices) { ["n": .integer(Int64($0))] }
            var coordinator = try await world.startCoordinator()
            let worker = try await world.startWorker()
            for number in 0..<Self.earlierJobs {
                _ = try await world.put(
                    "earlier-\(number)", patch: ["tags": ["job": .integer(Int64(number))]], condition: "*")
                _ = try await world.wait(for: "earlier-\(number)", until: \.state.isEnded)
            }
            await world.stop(worker)
            await world.stop(coordinator)
            try await world.leavePast()
            coordinator = try await world.startCoordinator()
            let live = try await makeLiveJobs(world, coordinator)
            let hot = try await statements(world, live)
            // As autovacuum finds them; the day's partition may be older than its newest jobs' statistics, or have none.
            try await world.execute(
                "ANALYZE jobs, work_batches, dispatches, waiting, expansions, job_counters, workers, gateways, twins")
            try await expectBounded(hot, world, "partition without statistics")
            try await world.execute("ANALYZE")
            try await expectBounded(hot, world, "with statistics")
        }
    }

    private func expectBounded(_ hot: [Hot], _ world: JobWorld, _ comment: String) async throws {
        for kind in StatementPlan.kinds {
            // What is not prepared never has a generic plan.
            for one in hot where one.statement.isPrepared || kind == StatementPlan.custom {
                let plan = try await settledPlan(one, kind, world)
                if Self.isPrinting {
                    print("\(one.statement.name), \(kind), \(comment): \(plan.buffers) of \(one.buffers) pages")
                }
                #expect(plan.rows >= Double(one.rows), "\(one.statement.name) did nothing, \(kind), \(comment)")
                #expect(plan.buffers <= one.buffers, "\(one.statement.name), \(kind), \(comment): \(plan.text)")
            }
        }
    }

    /// A scan marks the entries of dead rows once nobody can see them any more: a connection that was just given up may be
    /// looking for a while.
    private func settledPlan(_ one: Hot, _ kind: String, _ world: JobWorld) async throws -> StatementPlan {
        var plan = try await StatementPlan.run(one.statement, one.parameters, kind, world.pool, isKept: false)
        do {
            try await eventually("\(one.statement.name) is cheap", within: Self.settling, every: .milliseconds(200)) {
                if plan.buffers <= one.buffers { return true }
                plan = try await StatementPlan.run(one.statement, one.parameters, kind, world.pool, isKept: false)
                return plan.buffers <= one.buffers
            }
        } catch is NotInTime {
            return plan  // It is judged by what it costs now.
        }
        return plan
    }

    // MARK: Live jobs

    private struct Live {
        /// Of method jobs over all devices: claimed, untouched and claimed batches, and one that is being ended.
        let claimed: ClaimedBatch
        let ready: [BatchID]
        let ending: Int64
        let done: Int64
        let running: Int64
    }

    private func methodJob(_ id: String, _ condition: String, _ world: JobWorld) async throws -> Int64 {
        let action = JobAction.deviceMethod([
            "methodName": "m", "payload": nil, "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 0,
        ])
        _ = try await world.store.create(
            JobDefinition(
                jobID: try JobID(id), action: action, queryCondition: condition, startTime: nil,
                maxExecutionTimeInSeconds: 3600), actor: "test")
        try await world.leases.wake(.coordinators)
        try await eventually("\(id) is expanded", within: JobWorld.patience) {
            try await world.query("SELECT count(expanded_at) AS n FROM jobs WHERE job_id = '\(id)'") == 1
        }
        return Int64(try await world.query("SELECT job AS n FROM jobs WHERE job_id = '\(id)'"))
    }

    private func makeLiveJobs(_ world: JobWorld, _ coordinator: Int) async throws -> Live {
        let running = try await methodJob("running", "*", world)
        let ending = try await methodJob("ending", "*", world)
        let done = try await methodJob("done", "deviceId = 'd-0000001'", world)
        // Its sweep would take back what is claimed here without a lease, and its rounds would end what is to be ended.
        await world.stop(coordinator)
        try await world.execute("UPDATE work_batches SET state = 'closed', open = 0 WHERE job = \(done)")
        try await world.execute("UPDATE jobs SET state = 'cancelling' WHERE job = \(ending)")
        let ids = try await world.store.readyBatches(after: nil, limit: 1000).filter { $0.job == running }
        let claimed = try await world.store.claim(Array(ids.prefix(2)), worker: WorkerID("planner"))
        let batch = try #require(claimed.first)
        // One has dispatches, and both have items that wait for their devices.
        let part = JobStore.DispatchPart(
            gateway: "g", incarnation: "1", seqs: Array(batch.firstSeq...batch.lastSeq))
        let living = try await world.store.dispatch([part], of: batch, sendBefore: 0, response: .seconds(30))
        #expect(living == ["g~1"])
        let other = try #require(claimed.last)
        _ = try await world.store.park(Array(other.firstSeq..<other.firstSeq + 100), of: other)
        return Live(claimed: batch, ready: Array(ids.dropFirst(2)), ending: ending, done: done, running: running)
    }

    // MARK: What may be looked at

    private func statements(_ world: JobWorld, _ live: Live) async throws -> [Hot] {
        try await leadersStatements(world, live) + workersStatements(live) + expansionsStatements(world, live)
    }

    /// Each second, whatever the jobs are.
    private func leadersStatements(_ world: JobWorld, _ live: Live) async throws -> [Hot] {
        let start: [Parameter] = [0, -1, .integer(Int64(Limits.sweepBatches))]
        return [
            Hot(statement: Statements.acquireLeadership, parameters: ["coordinator", "planner", 6000], buffers: 20),
            Hot(statement: Statements.checkTerm, parameters: ["coordinator", "planner", 1], buffers: 20),
            Hot(statement: Statements.startJobs, parameters: [1000, "planner"], buffers: 60),
            Hot(statement: Statements.queueJobs, parameters: [], buffers: 20),
            Hot(statement: Statements.expireJobs, parameters: ["planner"], buffers: 40),
            Hot(statement: Statements.listEndingJobs, parameters: [1000], rows: 1, buffers: 20),
            Hot(statement: Statements.listExpandingJobs, parameters: [1000], buffers: 20),
            Hot(statement: Statements.listFinishableJobs, parameters: [1000], rows: 1, buffers: 80),
            Hot(statement: Statements.readNextStart, parameters: [], buffers: 20),
            Hot(
                statement: Statements.listReadyBatches, parameters: start + [.integer(.max)], rows: live.ready.count,
                buffers: 150),
            Hot(statement: Statements.listClaimedBatches, parameters: start, rows: 2, buffers: 60),
            Hot(statement: Statements.listUnnotified, parameters: [5000, 1000], buffers: 250),
            Hot(statement: Statements.listWaiting, parameters: ["", 1000], rows: 100, buffers: 300),
            Hot(statement: Statements.listGateways, parameters: [], rows: 1, buffers: 100),
            Hot(statement: Statements.listBeats, parameters: [], rows: 1, buffers: 100),
            Hot(
                statement: Statements.endBatches,
                parameters: [.integer(live.ending), 2, "cancelled", "JobCancelled", "text", "OutcomeUnknown", "text"],
                rows: 2 * Self.batchSize, buffers: 16_000),
            Hot(
                statement: Statements.endWaiting,
                parameters: [.integer(live.ending), 100, "cancelled", "JobCancelled", "text"], buffers: 60),
            Hot(statement: Statements.finishJob, parameters: [.integer(live.done), "planner"], rows: 1, buffers: 120),
        ]
    }

    private func workersStatements(_ live: Live) throws -> [Hot] {
        let batch = live.claimed
        let key: [Parameter] = [
            .integer(batch.id.job), .integer(Int64(batch.id.batch)), .integer(batch.fence.value),
        ]
        let seqs = Array(batch.firstSeq...batch.lastSeq)
        let results = seqs.map { ItemResult(seq: $0, response: "{}") }
        let (recording, outcomes) = JobStore.recording(results, of: batch, shard: 0)
        let ready = try #require(live.ready.first)
        let pair: [Parameter] = [.integerArray([ready.job]), .integerArray([Int64(ready.batch)])]
        let own: [Parameter] = [
            .integerArray([batch.id.job]), .integerArray([Int64(batch.id.batch)]), .integerArray([batch.fence.value]),
        ]
        return [
            Hot(statement: Statements.recordHeartbeat, parameters: ["planner", .bool(false), 1], buffers: 40),
            Hot(statement: Statements.readJobWork, parameters: [.integer(live.running)], rows: 1, buffers: 20),
            Hot(statement: Statements.claimBatches, parameters: pair + ["planner", 2000], rows: 1, buffers: 30),
            Hot(statement: Statements.listHeldBatches, parameters: own, rows: 1, buffers: 20),
            Hot(statement: Statements.listDispatches, parameters: [key[0], key[1], 99], rows: 1, buffers: 20),
            Hot(
                statement: JobStore.listing(of: batch), parameters: key + [.integer(batch.slot)], rows: Self.batchSize,
                buffers: 100),
            Hot(
                statement: Statements.insertDispatches,
                parameters: key + [
                    .textArray(["g"]), .textArray(["1"]),
                    .textArray(["{\(seqs.map(String.init).joined(separator: ","))}"]), 0, 30_000, 2000,
                ], rows: 1, buffers: 100),
            Hot(statement: recording, parameters: outcomes, rows: Self.batchSize, buffers: 5000),
            Hot(
                statement: Statements.parkItems,
                parameters: key + [.integer(batch.slot), .integerArray(Array(seqs.prefix(100)))], rows: 100,
                buffers: 5000),
            Hot(statement: Statements.settleDispatches, parameters: key, rows: 1, buffers: 60),
            Hot(statement: Statements.returnBatches, parameters: own, rows: 1, buffers: 60),
        ]
    }

    private func expansionsStatements(_ world: JobWorld, _ live: Live) async throws -> [Hot] {
        let devices = try await world.texts("SELECT device_id AS text FROM waiting ORDER BY device_id LIMIT 100")
        let names = (0..<1000).map { Optional("e-\($0 + 1_000_000)") }
        let chunk: [Parameter] = [.integer(live.running), .integer(live.claimed.slot), 1, 99, 1]
        let cut: [Parameter] = [1_000_000, 1_000_000, 500]
        return [
            Hot(
                statement: Statements.unparkDevices, parameters: [.textArray(devices.map { Optional($0) }), 500],
                rows: 100, buffers: 6000),
            Hot(statement: Statements.readExpansion, parameters: [.integer(live.running)], rows: 1, buffers: 30),
            Hot(
                statement: Statements.insertListedChunk, parameters: chunk + [.textArray(names)] + cut, rows: 1000,
                buffers: 16_000),
            Hot(
                statement: Statements.insertSelectedChunk, parameters: chunk + ["d-0001000"] + cut + [1000],
                rows: 1000, buffers: 16_000),
        ]
    }
}
