// Goal: what patches or records one batch costs no more than the batch, whatever the planner knows: a day's partition
// has no statistics when its first job runs, and none of a job that came after they were taken.
// Method: EXPLAIN ANALYZE of the statements with custom and generic plans; no node of a plan may touch more rows than a
// few times the batch. A loop over the job, or over the batch for each of its items, touches many times that.

import JSON
import JobModel
import Postgres
import ServiceKit
import StoreKit
import Testing
import TwinModel

@testable import JobStore

@Suite struct BatchPlanTests {
    /// Of each job; the fleet is larger, so that reading all of it shows too.
    private static let devices = 2000
    private static let fleet = 20_000
    private static let batchSize = devices / Limits.batchesSmallJob
    /// Each node reads, writes or passes on each item of the batch at most so many times.
    private static let touchesPerItem = 4

    @Test func aBatchCostsNoMoreThanTheBatch() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(Self.fleet) { ["part": .bool($0 < Self.devices)] }
            // The first job finds an empty partition; the second one a partition whose statistics do not know it.
            try await expectBoundedPlans("first", world)
            let slot = try await world.query("SELECT slot AS n FROM jobs WHERE job_id = 'first'")
            try await world.store.analyze(slot: Int64(slot))
            try await expectBoundedPlans("second", world)
        }
    }

    private func expectBoundedPlans(_ name: String, _ world: JobWorld) async throws {
        let update: JSONObject = ["tags": ["a": 1], "properties": ["desired": ["b": 2]]]
        _ = try await world.put(name, patch: update, condition: "tags.part = true")
        var coordinator = try await world.startCoordinator()
        _ = try await world.wait(for: name) { $0.statistics.devices == Self.devices }
        // Its sweep would take back what is claimed here without a lease.
        await world.stop(coordinator)
        let ids = try await world.store.readyBatches(after: nil, limit: Limits.batchesSmallJob)
        #expect(ids.count == Limits.batchesSmallJob)
        var batches = try await world.store.claim(ids, worker: WorkerID("planner"))
        for kind in StatementPlan.kinds {
            for etag in [nil, "AAAAAAAAAAA="] {
                let batch = try take(&batches)
                let (statement, parameters) = patch(TwinUpdate(stored: update), etag, batch)
                try await expectBounded(statement, parameters, kind, world.pool, "\(name), \(kind), \(etag ?? "any")")
            }
            let batch = try take(&batches)
            try await expectBounded(
                JobStore.listing(of: batch), key(batch) + [.integer(batch.slot)], kind, world.pool, "\(name), \(kind)")
            // The first and the last alone lie too far apart to be read as a range.
            let (ends, middle) = ([batch.firstSeq, batch.lastSeq], batch.firstSeq + 1..<batch.lastSeq)
            let (sparse, few) = record(ends, of: batch)
            let (dense, most) = record(middle, of: batch)
            #expect(sparse.text != dense.text)
            try await expectBounded(sparse, few, kind, world.pool, "\(name), \(kind)", writes: ends.count)
            try await expectBounded(dense, most, kind, world.pool, "\(name), \(kind)", writes: middle.count)
        }
        // All that was written is there: of each kind one batch succeeded, one failed, one has answers.
        let record = try #require(try await world.store.get(try JobID(name)))
        #expect(record.statistics.succeeded == Int64(2 * 2 * Self.batchSize))
        #expect(record.statistics.failed == Int64(2 * Self.batchSize))
        _ = try await world.store.giveBack(batches.map { ($0.id, $0.fence) })
        _ = try await world.store.cancel(try JobID(name), actor: "test", strict: false)
        coordinator = try await world.startCoordinator()
        _ = try await world.wait(for: name, until: \.state.isEnded)
        await world.stop(coordinator)
    }

    private func take(_ batches: inout [ClaimedBatch]) throws -> ClaimedBatch {
        let last = batches.popLast()
        return try #require(last)
    }

    private func patch(_ update: TwinUpdate, _ etag: String?, _ batch: ClaimedBatch) -> (Statement, [Parameter]) {
        let patch = JobStore.BatchPatch(update)
        let parameters: [Parameter] =
            key(batch) + [
                .integer(batch.slot), .integer(batch.firstSeq), .integer(batch.lastSeq), 0, Parameter(etag),
                .integer(Int64(TwinLimits.tagsSize)), .integer(Int64(TwinLimits.desiredSize)),
            ]
        return (patch.statement(slot: batch.slot), parameters + patch.parameters)
    }

    private func record(_ seqs: some Sequence<Int64>, of batch: ClaimedBatch) -> (Statement, [Parameter]) {
        let results = seqs.map { ItemResult(seq: $0, response: "{\"status\":200,\"payload\":\($0)}") }
        return JobStore.recording(results, of: batch, shard: 0)
    }

    private func key(_ batch: ClaimedBatch) -> [Parameter] {
        [.integer(batch.id.job), .integer(Int64(batch.id.batch)), .integer(batch.fence.value)]
    }

    // MARK: Plans

    /// Executes the statement as it is prepared on a connection, under a kind of plan, and looks at every node.
    private func expectBounded(
        _ statement: Statement, _ parameters: [Parameter], _ kind: String, _ pool: PostgresPool, _ comment: String,
        writes least: Int = batchSize
    ) async throws {
        let plan = try await StatementPlan.run(statement, parameters, kind, pool, isKept: true)
        var writes = 0.0
        for node in plan.nodes {
            let loops = StatementPlan.number(node, "Actual Loops")
            let removed =
                StatementPlan.number(node, "Rows Removed by Filter")
                + StatementPlan.number(node, "Rows Removed by Join Filter")
            let touched = (StatementPlan.number(node, "Actual Rows") + removed) * loops
            writes = max(writes, touched)
            #expect(
                touched <= Double(Self.touchesPerItem * Self.batchSize),
                "\(statement.name), \(comment): \(touched) rows in \(JSONValue.object(node).text)")
        }
        #expect(writes >= Double(least), "the statement did nothing: \(comment)")
    }
}
