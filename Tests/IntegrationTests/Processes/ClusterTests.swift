// Goal: separate processes on one PostgreSQL and one Redis share a job, and killing some of them loses nothing and
// repeats nothing (I1, I2, I4, I6). Method: two coordinators and two workers of the real binary; kill -9 of the leader
// and of a worker, and an emptied Redis, in the middle; then SIGTERM, which must end in order.

import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import Redis
import ServiceKit
import TestKit
import Testing

@Suite struct ClusterTests {
    static let devices = 30_000

    @Test func processesShareAJobAndSurviveKills() async throws {
        try await withWorld { world in
            let store = JobStore(pool: world.pool)
            let leases = LeaseStore(redis: world.redis)
            try await fill(world)
            let first = try MusterProcess(["coordinator", "--listen", "127.0.0.1:0"], world: world)
            try await first.event("leadership_taken")
            let second = try MusterProcess(["coordinator", "--listen", "127.0.0.1:0"], world: world)
            try await second.event("listening")
            let workers = try [
                MusterProcess(["worker"], world: world), MusterProcess(["worker"], world: world),
            ]
            for worker in workers { try await worker.event("worker_started") }

            try await put("shared", 1, store, leases)
            try await wait("shared", store) { $0.state == .completed }
            let sharers = try await world.pool.run(
                Statement(name: "sharers", text: "SELECT count(DISTINCT worker) AS n FROM work_batches"))
            #expect(try #require(sharers.first).get("n", as: Int.self) == 2)

            try await put("broken", 2, store, leases)
            try await wait("broken", store) { $0.statistics.succeeded > 0 }
            let broken = world.clock.now
            workers[0].signal(9)
            first.signal(9)
            _ = try await world.redis.command(["FLUSHDB"])
            try await wait("broken", store) { $0.state == .completed }
            let took = world.clock.now - broken
            #expect(took < .seconds(60), "the job took \(took) after the kills")

            for drift in try await store.recount(nil) {
                #expect(drift.findings.isEmpty, "\(drift)")
                #expect(drift.recounted == JobStatistics(devices: Int64(Self.devices), succeeded: Int64(Self.devices)))
            }
            let once = try await world.pool.run(
                Statement(name: "once", text: "SELECT count(*) AS n FROM twins WHERE etag = 3"))
            #expect(try #require(once.first).get("n", as: Int.self) == Self.devices)

            for process in [second, workers[1]] {
                process.signal(15)
                #expect(try await process.exitCode() == 0, "\(process.log)")
            }
            #expect(workers[1].log.contains("worker_drained"))
        }
    }

    @Test func anOldSchemaIsRefusedWithTheCommandThatMendsIt() async throws {
        try await withWorld(isMigrated: false) { world in
            let worker = try MusterProcess(["worker"], world: world)
            #expect(try await worker.exitCode() == 6)
            #expect(worker.log.contains("muster migrate"))
            for expected in ["applied 0001", "The schema is current."] {
                let migrate = try MusterProcess(["migrate"], world: world)
                #expect(try await migrate.exitCode() == 0)
                #expect(migrate.log.contains(expected))
            }
        }
    }

    private func fill(_ world: TestWorld) async throws {
        _ = try await world.pool.run(
            Statement(
                name: "fill",
                text: """
                    WITH added AS (INSERT INTO devices (device_id, generation_id)
                                   SELECT 'd-' || lpad(n::text, 7, '0'), 'g' FROM generate_series(1, $1::integer) AS n
                                   RETURNING device_id)
                    INSERT INTO twins (device_id) SELECT device_id FROM added
                    """), [.integer(Int64(Self.devices))])
    }

    private func put(_ id: String, _ ring: Int64, _ store: JobStore, _ leases: LeaseStore) async throws {
        let definition = JobDefinition(
            jobID: try JobID(id), action: .updateTwin(["tags": ["ring": .integer(ring)]]), queryCondition: "*",
            startTime: nil, maxExecutionTimeInSeconds: 3600)
        _ = try await store.create(definition, actor: "test")
        try await leases.wake(.coordinators)
    }

    private func wait(_ id: String, _ store: JobStore, until condition: (JobRecord) -> Bool) async throws {
        try await eventually("\(id) as wanted", within: .seconds(120)) {
            condition(try #require(try await store.get(try JobID(id))))
        }
    }
}
