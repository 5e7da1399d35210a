// One world per test: a migrated database, a Redis prefix, coordinators and workers in this process.

import Coordinator
import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import Redis
import RouteStore
import ServiceKit
import Synchronization
import TestKit
import Testing
import TwinStore
import Worker

final class JobWorld: Sendable {
    let pool: PostgresPool
    let store: JobStore
    let leases: LeaseStore
    let routes: RouteStore
    let redis: RedisClient
    let clock = SystemClock()
    private let tasks = Mutex<[Int: Task<Void, Never>]>([:])

    /// How long a test waits for anything; generous, because the machine may be busy.
    static let patience: Duration = .seconds(60)

    /// The database and Redis behind it, where the world has them from the test cluster.
    let stores: TestWorld?

    /// On stores of the caller's; whoever makes a world so also stops it.
    init(pool: PostgresPool, redis: RedisClient, stores: TestWorld? = nil) {
        self.pool = pool
        self.redis = redis
        self.stores = stores
        store = JobStore(pool: pool)
        leases = LeaseStore(redis: redis)
        routes = RouteStore(redis: redis)
    }

    /// Gives `body` a world of its own, stops what it started, and recounts every job (I1, I2) unless told otherwise.
    /// With `copy` it is the world of a copied database, on the Redis of the world that it was copied from.
    static func run(
        recounting: Bool = true, copy: String? = nil, redis: String? = nil, _ body: (JobWorld) async throws -> Void
    ) async throws {
        try await withWorld(copy: copy, redis: redis, maximumConnections: 12) { stores in
            let world = JobWorld(pool: stores.pool, redis: stores.redis, stores: stores)
            do {
                try await body(world)
            } catch {
                await world.stopAll()
                throw error
            }
            await world.stopAll()
            guard recounting else { return }
            for drift in try await world.store.recount(nil) {
                #expect(drift.findings.isEmpty, "\(drift)")
                #expect(drift.counted == drift.recounted)
            }
        }
    }

    // MARK: Fleet

    /// Devices d-0000000 … with the tags that `tags` gives for their number.
    func addDevices(_ count: Int, tags: (Int) -> JSONObject) async throws {
        let documents = (0..<count).map { JSONValue.object(tags($0)) }
        let list = JSONValue.array(documents)
        _ = try await pool.run(
            Statement(
                name: "add_devices",
                text: """
                    WITH input AS (SELECT 'd-' || lpad((n - 1)::text, 7, '0') AS id, tags
                                   FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e (tags, n)),
                         added AS (INSERT INTO devices (device_id, generation_id) SELECT id, 'g' FROM input)
                    INSERT INTO twins (device_id, tags) SELECT id, tags FROM input
                    """), [.json(list)])
    }

    func execute(_ text: String) async throws {
        _ = try await pool.run(Statement(name: "execute", text: text))
    }

    /// The integer column `n` of the only row.
    func query(_ text: String) async throws -> Int {
        let row = try #require(try await pool.run(Statement(name: "query", text: text)).first)
        return try row.get("n")
    }

    /// The column `text` of all rows.
    func texts(_ text: String) async throws -> [String] {
        try await pool.run(Statement(name: "texts", text: text)).map { try $0.get("text") }
    }

    func flushRedis() async throws {
        _ = try await redis.command(["FLUSHDB"])
    }

    // MARK: Roles

    @discardableResult
    func startCoordinator(log: Log = .silent, metrics: Metrics = Metrics()) async throws -> Int {
        let holder = "c-" + String(SystemRandom().next(), radix: 16)
        let coordinator = Coordinator(
            store: store, leases: leases, routes: routes, twins: TwinStore(pool), holder: holder, clock: clock,
            random: SystemRandom(),
            log: log,
            metrics: metrics)
        return start { await coordinator.run() }
    }

    @discardableResult
    func startWorker(
        clock: any ServiceClock = SystemClock(), log: Log = .silent, metrics: Metrics = Metrics()
    ) async throws -> Int {
        let worker = Worker(
            id: WorkerID("w-" + String(SystemRandom().next(), radix: 16)), configuration: .init(), store: store,
            leases: leases, routes: routes, clock: clock, random: SystemRandom(), log: log, metrics: metrics)
        return start { await worker.run() }
    }

    private func start(_ body: @escaping @Sendable () async -> Void) -> Int {
        tasks.withLock { tasks in
            let id = (tasks.keys.max() ?? 0) + 1
            tasks[id] = Task { await body() }
            return id
        }
    }

    /// Asks a role to stop, as SIGTERM does, and waits until it has.
    func stop(_ id: Int) async {
        let task = tasks.withLock { $0.removeValue(forKey: id) }
        task?.cancel()
        await task?.value
    }

    func stopAll() async {
        for id in tasks.withLock({ Array($0.keys) }) { await stop(id) }
    }

    // MARK: Jobs

    func definition(
        _ id: String, patch: JSONObject, condition: String, start: Int64? = nil, seconds: Int64 = 3600
    ) throws -> JobDefinition {
        JobDefinition(
            jobID: try JobID(id), action: .updateTwin(patch), queryCondition: condition, startTime: start,
            maxExecutionTimeInSeconds: seconds)
    }

    /// Creates a job and wakes the coordinators, as the API does.
    func put(
        _ id: String, patch: JSONObject, condition: String, start: Int64? = nil, seconds: Int64 = 3600
    ) async throws -> JobRecord {
        let creation = try await store.create(
            try definition(id, patch: patch, condition: condition, start: start, seconds: seconds), actor: "test")
        try await leases.wake(.coordinators)
        guard case .created(let record) = creation else {
            throw StoreError(code: .conflict, effect: .none, operation: "put", message: "\(creation)")
        }
        return record
    }

    /// Polls the job until the condition holds; fails after `patience`.
    func wait(for id: String, until condition: (JobRecord) -> Bool) async throws -> JobRecord {
        var last: JobRecord?
        try await eventually("\(id) as wanted", within: Self.patience) {
            let record = try #require(try await store.get(try JobID(id)))
            last = record
            return condition(record)
        }
        return try #require(last)
    }

    /// Takes one batch as soon as the coordinator has offered it.
    func takeWhenOffered(_ worker: WorkerID) async throws -> [BatchID] {
        var taken: [BatchID] = []
        try await eventually("a batch on offer", within: Self.patience) {
            taken = try await leases.take(worker: worker, count: 1, passing: []).batches
            return !taken.isEmpty
        }
        return taken
    }
}
