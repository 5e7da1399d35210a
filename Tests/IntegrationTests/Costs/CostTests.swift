// Goal: statements and round trips per batch and bytes per item stay what they were (issue 5, regressions). Method: one job
// of each kind on servers of its own, whose counters are read before and after; the limits stand in CostLimits.swift.

import JSON
import JobModel
import JobStore
import LeaseStore
import ServiceKit
import TestKit
import Testing

@Suite(.serialized) struct CostTests {
    /// More than shares a day's partition, so that the job is expanded in chunks as large jobs are.
    private static let devices = 20_000
    private static let batches = devices / Limits.batchItems
    /// 1,000, 5,000 and what is left.
    private static let chunks = 3

    @Test func expansionAndTwinPatch() async throws {
        try await CostWorld.run { world in
            try await world.addDevices(Self.devices) { ["n": .integer(Int64($0))] }
            try await world.startCoordinator()
            // What a coordinator does once is no part of an expansion.
            try await eventually("the coordinator leads", within: JobWorld.patience) {
                try await world.query("SELECT count(*) AS n FROM leaders") == 1
            }
            let emptyRedis = try await world.redisBytes()
            let expansion = try await world.cost {
                _ = try await world.put(
                    "job", patch: ["properties": ["desired": ["firmware": ["version": "2.0", "count": 1]]]],
                    condition: "*")
                _ = try await world.wait(for: "job") { $0.statistics.devices == Self.devices }
            }
            let redisBytes = try await world.redisBytes() - emptyRedis
            // A job that gets no answers leaves no room for them.
            let tight = "FROM pg_class WHERE relname ~ '^work_items_' AND reloptions = '{fillfactor=50}'"
            #expect(try await world.query("SELECT count(*) AS n \(tight)") == 1)
            expect(
                "expansion",
                [
                    ("statements", expansion.statements, Self.chunks, CostLimits.Expansion.statementsPerChunk),
                    ("WAL bytes", expansion.walBytes, Self.devices, CostLimits.Expansion.walBytesPerItem),
                    ("bytes in Redis", redisBytes, Self.devices, CostLimits.Expansion.redisBytesPerItem),
                ], expansion.seconds)
            let patch = try await world.cost {
                try await world.startWorker()
                _ = try await world.wait(for: "job") { $0.state == .completed }
            }
            expect(
                "twin patch",
                [
                    ("statements", patch.statements, Self.batches, CostLimits.TwinPatch.statementsPerBatch),
                    ("reads of Redis", patch.redisReads, Self.batches, CostLimits.TwinPatch.redisReadsPerBatch),
                    (
                        "bytes to and from Redis", patch.redisNetworkBytes, Self.devices,
                        CostLimits.TwinPatch.redisNetworkBytesPerItem
                    ),
                    ("WAL bytes", patch.walBytes, Self.devices, CostLimits.TwinPatch.walBytesPerItem),
                ], patch.seconds)
        }
    }

    @Test func directMethod() async throws {
        try await CostWorld.run { world in
            try await world.addDevices(Self.devices) { ["n": .integer(Int64($0))] }
            let gateway = DeviceDouble("g", world) { _, _ in .answers(status: 200, payload: #"{"done":true}"#) }
            try await gateway.start()
            try await gateway.connect(try await world.texts("SELECT device_id AS text FROM devices"))
            try await world.startCoordinator()
            let definition = JobDefinition(
                jobID: try JobID("job"), action: .deviceMethod(["methodName": "reboot", "payload": ["delay": 30]]),
                queryCondition: "*", startTime: nil, maxExecutionTimeInSeconds: 3600)
            _ = try await world.store.create(definition, actor: "test")
            try await world.leases.wake(.coordinators)
            _ = try await world.wait(for: "job") { $0.statistics.devices == Self.devices }
            let method = try await world.cost {
                try await world.startWorker()
                _ = try await world.wait(for: "job") { $0.state == .completed }
            }
            #expect(gateway.calls.count == Self.devices)
            try await expectNoNewIndexEntries(world)
            expect(
                "direct method",
                [
                    ("statements", method.statements, Self.batches, CostLimits.Method.statementsPerBatch),
                    ("reads of Redis", method.redisReads, Self.batches, CostLimits.Method.redisReadsPerBatch),
                    (
                        "bytes to and from Redis", method.redisNetworkBytes, Self.devices,
                        CostLimits.Method.redisNetworkBytesPerItem
                    ),
                    ("WAL bytes", method.walBytes, Self.devices, CostLimits.Method.walBytesPerItem),
                ], method.seconds)
            await gateway.die()
        }
    }

    /// The pages of a method job's items have room for the answers (`create_slot`): each result is a HOT update.
    private func expectNoNewIndexEntries(_ world: JobWorld) async throws {
        let updated =
            "SELECT coalesce(sum(n_tup_upd), 0)::bigint AS n FROM pg_stat_user_tables WHERE relname ~ '^work_items_'"
        try await eventually("the results are counted", within: JobWorld.patience) {
            try await world.query(updated) == Self.devices
        }
        #expect(try await world.query(updated.replacing("n_tup_upd", with: "n_tup_hot_upd")) == Self.devices)
    }

    private func expect(
        _ work: String, _ costs: [(name: String, cost: Int, count: Int, limit: CostLimit)], _ seconds: Double
    ) {
        for (name, cost, count, limit) in costs {
            let each = (Double(cost) / Double(count) * 100).rounded() / 100
            #expect(
                limit.allows(cost, of: count, seconds: seconds),
                "\(work): \(cost) \(name) for \(count), \(each) each; at most \(limit.each) and \(limit.perSecond) a second, in \(seconds) s"
            )
        }
    }
}
