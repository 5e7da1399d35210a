// Goal: who slept past its lease or past `sendBefore` records nothing and sends nothing after it wakes, and each refusal
// is counted (I3, I5). Method: a worker whose clock stops while its statement waits for a table that the test has
// locked; a gateway whose inbox fills while nobody reads it.

import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import RouteStore
import ServiceKit
import TestKit
import Testing

@Suite struct ZombieTests {
    /// Sessions that wait for a lock in the statement that begins with these words.
    private func sleepers(_ world: JobWorld, _ statement: String) async throws -> Int {
        try await world.query(
            """
            SELECT count(*)::int AS n FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '-- \(statement)%'
            """)
    }

    /// Runs `start` while the table is locked, waits until a worker's statement waits for it, puts the worker to sleep,
    /// and lets the statement go on only when the sweep has taken all its batches.
    private func oversleep(
        _ world: JobWorld, clock: SleepyClock, table: String, statement: String, waiting: Int,
        start: () async throws -> Void
    ) async throws {
        try await world.pool.transaction { transaction in
            try await transaction.runScript("LOCK TABLE \(table) IN SHARE ROW EXCLUSIVE MODE")
            try await start()
            try await eventually("statements that wait", within: JobWorld.patience) {
                try await sleepers(world, statement) == waiting
            }
            clock.fallAsleep()
            try await eventually("the sweep took its batches", within: JobWorld.patience) {
                try await world.query("SELECT count(*)::int AS n FROM work_batches WHERE fence > 1") == waiting
            }
        }
    }

    @Test func aWorkerThatSleptRecordsNothing() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(60) { _ in [:] }
            let (metrics, log, clock) = (Metrics(), TestLog(), SleepyClock())
            try await world.startCoordinator()
            _ = try await world.put("late", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "late") { $0.statistics.devices == 60 }
            try await oversleep(
                world, clock: clock, table: "twins", statement: "Executes a twin patch",
                waiting: Limits.concurrentBatches
            ) {
                try await world.startWorker(clock: clock, log: log.log, metrics: metrics)
            }
            clock.wakeUp()
            // Both statements run now, under a fence that is no longer in force.
            try await eventually("the refusals", within: JobWorld.patience) {
                metrics.value("muster_writes_refused_total") == Double(Limits.concurrentBatches)
            }
            try await world.startWorker()
            let done = try await world.wait(for: "late", until: \.state.isEnded)
            #expect(done.statistics == JobStatistics(devices: 60, succeeded: 60))
            #expect(try await world.query("SELECT count(*) AS n FROM twins WHERE etag = 2") == 60)
            #expect(log.count("write_refused") == Limits.concurrentBatches)
            #expect(metrics.value("muster_writes_refused_total") == Double(Limits.concurrentBatches))
        }
    }

    @Test func aWorkerThatSleptSendsNothing() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let (metrics, log, clock) = (Metrics(), TestLog(), SleepyClock())
            let gateway = DeviceDouble("g", world) { _, _ in .answers(status: 200, payload: "1") }
            try await gateway.start()
            try await gateway.connect(["d-0000000"])
            try await world.startCoordinator()
            try await putCalls(world)
            try await eventually("a batch", within: JobWorld.patience) {
                try await world.query("SELECT count(*)::int AS n FROM work_batches") == 1
            }
            try await oversleep(
                world, clock: clock, table: "dispatches", statement: "Commits what a worker is about to hand",
                waiting: 1
            ) {
                try await world.startWorker(clock: clock, log: log.log, metrics: metrics)
            }
            clock.wakeUp()
            try await eventually("the refusal", within: JobWorld.patience) {
                metrics.value("muster_sends_refused_total", labels: [("by", "dispatch")]) ?? 0 >= 1
            }
            let done = try await world.wait(for: "calls", until: \.state.isEnded)
            #expect(done.statistics == JobStatistics(devices: 1, succeeded: 1))
            #expect(gateway.calls == ["d-0000000": 1])
            // A claim and a return each raise the fence by one, and the last claim did the work. Another lane of the sleeper
            // may have claimed the batch meanwhile, and was too late as well.
            let earlier = (try await world.query("SELECT fence::int AS n FROM work_batches") - 1) / 2
            let abandoned = Int(metrics.value("muster_batches_abandoned_total") ?? 0)
            #expect(log.count("send_refused") + abandoned == earlier)
            // Each has one part; a lease that ran out after the dispatch is found by the push.
            let refused = ["dispatch", "push"].map {
                metrics.value("muster_sends_refused_total", labels: [("by", $0)]) ?? 0
            }
            #expect(refused.reduce(0, +) == Double(log.count("send_refused")))
            await gateway.die()
        }
    }

    @Test func aGatewayThatSleptSendsNothing() async throws {
        try await JobWorld.run { world in
            let devices = 50
            try await world.addDevices(devices) { _ in [:] }
            let names = (0..<devices).map { "d-" + String(String($0 + 10_000_000).dropFirst()) }
            let gateway = DeviceDouble("g", world) { _, _ in .answers(status: 200, payload: "1") }
            try await gateway.start()
            try await gateway.connect(names)
            // It beats on, so that nobody takes it for dead, but what is sent to it waits.
            await gateway.stopInbox()
            try await world.startCoordinator()
            try await world.startWorker()
            try await putCalls(world)
            try await eventually("all is dispatched, and its time is over", within: JobWorld.patience) {
                let (_, now) = try await world.routes.find([names[0]])
                return try await world.query(
                    """
                    SELECT coalesce(sum(cardinality(seqs)), 0)::int AS n FROM dispatches WHERE send_before <= \(now)
                    """) == devices
            }
            gateway.startInbox()
            let done = try await world.wait(for: "calls", until: \.state.isEnded)
            #expect(done.statistics == JobStatistics(devices: Int64(devices), succeeded: Int64(devices)))
            let refused = gateway.metrics.value(
                "muster_gateway_calls_total", labels: [("event", "calls_refused_late")])
            #expect(refused == Double(devices))
            // Each was called once, later, by another part.
            #expect(gateway.calls == Dictionary(uniqueKeysWithValues: names.map { ($0, 1) }))
            await gateway.die()
        }
    }

    private func putCalls(_ world: JobWorld) async throws {
        let action = JobAction.deviceMethod([
            "methodName": "m", "payload": nil, "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 0,
        ])
        let definition = JobDefinition(
            jobID: try JobID("calls"), action: action, queryCondition: "*", startTime: nil,
            maxExecutionTimeInSeconds: 3600)
        _ = try await world.store.create(definition, actor: "test")
        try await world.leases.wake(.coordinators)
    }
}
