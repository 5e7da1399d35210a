// What a benchmark runs on: stores that keep every promise of durability, and the roles as processes of their own, so
// that what each of them uses can be read.

internal import Access
internal import DevCluster
internal import Foundation
internal import JSON
internal import Migrations
internal import OperatorClient
internal import Postgres
internal import Redis
internal import ServiceKit
internal import Synchronization
internal import TwinStore

final class BenchCluster: Sendable {
    private struct State {
        var roles: [RoleProcess] = []
        var client: OperatorClient?
        var connectionString = ""
        /// Each life of the roles has log files and keys in Redis of its own.
        var life = 0
    }

    /// Vacuums and fills of large tables.
    static let longTimeout: Duration = .seconds(3600)

    let context: BenchContext
    let settings: BenchSettings
    let pool: PostgresPool
    let redis: RedisClient
    private let environment: [String]
    private let servers: DevCluster?
    private let state = Mutex(State())

    private init(
        _ context: BenchContext, _ settings: BenchSettings, servers: DevCluster?, postgres: String, redisURL: String
    ) throws {
        self.context = context
        self.settings = settings
        self.servers = servers
        pool = PostgresPool(
            PostgresConfiguration(
                connectionString: Self.withoutJIT(postgres), maximumConnections: BareForm.connectionsMaximum + 2,
                statementTimeout: Self.longTimeout),
            clock: context.clock, random: context.random, log: .silent, metrics: Metrics())
        redis = try RedisClient(
            RedisConfiguration(url: redisURL), clock: context.clock, random: context.random, log: .silent,
            metrics: Metrics())
        let path = context.environment["PATH"] ?? "/usr/bin:/bin"
        environment = ["PATH=\(path)", "LC_ALL=C.UTF-8", "DATABASE_URL=\(postgres)", "REDIS_URL=\(redisURL)"]
    }

    /// The bare statements at their best: compiling one takes a second, and the planner misjudges when that pays. The
    /// product's connections are left as they are.
    private static func withoutJIT(_ text: String) -> String {
        guard text.contains("://") else { return text + " options='-c jit=off'" }
        return text + (text.contains("?") ? "&" : "?") + "options=-c%20jit%3Doff"
    }

    /// Gives `body` a cluster with a migrated, empty database, and takes everything away again.
    static func run<Value: Sendable>(
        _ settings: BenchSettings, _ context: BenchContext, _ body: (BenchCluster) async throws -> Value
    ) async throws -> Value {
        context.progress("starting PostgreSQL and Redis")
        let servers = settings.databaseURL == nil ? Self.servers(settings, context) : nil
        let cluster: BenchCluster
        if let servers {
            let addresses = try await servers.start()
            cluster = try BenchCluster(
                context, settings, servers: servers, postgres: addresses.postgres, redisURL: addresses.redis)
        } else {
            guard let database = settings.databaseURL, let redis = settings.redisURL else {
                throw BenchError.onlyOneStore
            }
            try FileManager.default.createDirectory(
                atPath: settings.directory, withIntermediateDirectories: true)
            cluster = try BenchCluster(context, settings, servers: nil, postgres: database, redisURL: redis)
        }
        do {
            _ = try await Migrator(cluster.pool).apply()
            guard try await cluster.isEmpty else { throw BenchError.databaseInUse }
            let value = try await body(cluster)
            if servers == nil { try await cluster.removeAll() }
            await cluster.close()
            return value
        } catch {
            await cluster.close()
            throw error
        }
    }

    private static func servers(_ settings: BenchSettings, _ context: BenchContext) -> DevCluster {
        // A quarter of the memory, as PostgreSQL's manual advises, and log for the largest round without a checkpoint. Log
        // files are kept for use again, as in a cluster that has run for a day: making a new one costs a sixth of a core.
        let memory = ProcessInfo.processInfo.physicalMemory / 4_000_000
        let options = DevCluster.Options(
            directory: settings.directory, isEphemeral: true,
            postgresSettings: [
                "shared_buffers": "\(min(memory, 16_384))MB", "max_wal_size": "16GB",
                "min_wal_size": "16GB",
            ])
        return DevCluster(options, environment: context.environment, clock: context.clock, random: context.random)
    }

    private func close() async {
        await stopRoles()
        await redis.close()
        await pool.close()
        await servers?.stop()
        do {
            try FileManager.default.removeItem(atPath: settings.directory)
        } catch {
            return  // The servers removed it, or it belongs to somebody else.
        }
    }

    /// Whether the servers' CPU time and memory can be read.
    var hasOwnServers: Bool { servers != nil }

    // MARK: Data

    private var isEmpty: Bool {
        get async throws {
            guard let row = try await pool.run(Statements.findRows).first else { return true }
            return try !row.get("in_use", as: Bool.self)
        }
    }

    private func removeAll() async throws {
        await stopRoles()
        try await pool.run(Statements.resetJobs)
        try await pool.run(Statements.dropBareItems)
        try await pool.run(Statements.removeDevices)
    }

    /// Devices 1 to `count`, after `existing`. `items`: of the largest round, when more than the devices.
    func fill(_ count: Int, after existing: Int = 0, items: Int = 0) async throws {
        if hasOwnServers, let free = Disk.free(at: settings.directory) {
            let needed = Disk.needed(twins: count, items: max(items, count))
            guard free > needed else { throw BenchError.diskTooSmall(needed: needed, free: free) }
        }
        let step = 100_000
        for first in stride(from: existing + 1, through: count, by: step) {
            context.progress("making devices: \(first - 1) of \(count)")
            try await pool.run(
                Statements.fillDevices,
                [
                    .integer(Int64(first)), .integer(Int64(min(first + step - 1, count))),
                    .integer(Int64(truncatingIfNeeded: settings.seed)),
                ])
        }
        try await settle()
    }

    /// Stops the roles and takes jobs, dead rows and dirty pages away: each round starts alike.
    func reset() async throws {
        await stopRoles()
        state.withLock { $0.life += 1 }
        try await pool.run(Statements.resetJobs)
        try await settle()
    }

    /// Takes dead rows and dirty pages away.
    func settle() async throws {
        try await pool.run(Statements.vacuumTwins)
        try await pool.run(Statements.checkpoint)
    }

    /// As `fill_devices.sql` names them.
    static let devicePrefix = "bench-"
    static let deviceOffset = 10_000_000
    static func deviceID(_ number: Int) -> String { devicePrefix + String(deviceOffset + number) }

    // MARK: Roles

    /// Starts a coordinator and workers, and waits until they are ready.
    /// `options`: of the workers.
    func startRoles(workers: Int, options more: [String] = []) async throws {
        let coordinator = try start("coordinator", roleArguments(["coordinator", "--listen", "127.0.0.1:0"]))
        let address = try await coordinator.event("listening")["address"]?.stringValue ?? ""
        _ = try await coordinator.event("leadership_taken")
        let port = address.split(separator: ":").last ?? ""
        let connectionString = try await connectionString(port: String(port))
        let endpoint = try ServiceEndpoint(connectionString: connectionString, isPlain: true)
        let client = OperatorClient(
            OperatorClient.Configuration(endpoint: endpoint), clock: context.clock, random: context.random)
        state.withLock { ($0.client, $0.connectionString) = (client, connectionString) }
        for number in 0..<workers { try await startWorker(number + 1, options: more) }
    }

    @discardableResult
    func startWorker(_ number: Int, options: [String] = []) async throws -> RoleProcess {
        var arguments = ["worker"] + options
        if let batches = settings.concurrentBatches {
            arguments += ["--concurrent-batches", "\(batches)", "--database-connections", "\(batches + 4)"]
        }
        let worker = try start("worker \(number)", roleArguments(arguments))
        _ = try await worker.event("worker_started")
        return worker
    }

    /// Starts a gateway for so many devices; returns its address.
    func startGateway(number: Int = 1, devices: Int) async throws -> String {
        let gateway = try start(
            number == 1 ? "gateway" : "gateway \(number)",
            roleArguments([
                "gateway", "--listen-mqtt", "127.0.0.1:0", "--name", "bench-\(number)", "--sessions",
                "\(devices + Self.spareSessions)",
            ]))
        let event = try await gateway.event("listening_mqtt")
        guard let address = event["address"]?.stringValue else {
            throw BenchError.roleFailed(name: gateway.name, log: event.text)
        }
        return address
    }

    /// Devices that come back while the gateway still holds their old session.
    private static let spareSessions = 100

    /// Connects devices `first` and following, and waits until all are subscribed.
    func startFleet(
        _ name: String, devices: Int, after first: Int = 0, gateway: String, options: [String] = []
    ) async throws {
        let connectionString = state.withLock { $0.connectionString }
        let fleet = try start(
            name,
            [
                "simulate", "--devices", "\(devices)", "--prefix", Self.devicePrefix, "--first",
                "\(Self.deviceOffset + first + 1)", "--mqtt", gateway, "--plain", "--json", "--seed",
                "\(settings.seed)", "--connection-string", connectionString,
            ] + options)
        context.progress("connecting \(devices) devices")
        _ = try await fleet.event("ready", within: Self.connectPatience)
    }

    /// Connecting is not what is measured; a machine under load takes its time.
    private static let connectPatience: Duration = .seconds(300)

    private func roleArguments(_ arguments: [String]) -> [String] {
        arguments + ["--redis-prefix", "bench-\(state.withLock { $0.life })"]
    }

    func role(_ name: String) throws -> RoleProcess {
        guard let role = state.withLock({ $0.roles.first { $0.name == name } }) else {
            throw BenchError.roleFailed(name: name, log: "it was not started")
        }
        return role
    }

    /// Starts this binary with `arguments` and counts what it uses under `name`.
    func start(_ name: String, _ arguments: [String]) throws -> RoleProcess {
        let file = "\(settings.directory)/\(state.withLock { $0.life })-\(name.replacing(" ", with: "-")).log"
        let process = try RoleProcess(
            name: name, arguments: arguments, environment: environment, log: file, clock: context.clock)
        state.withLock { $0.roles.append(process) }
        return process
    }

    func stopRoles() async {
        let (roles, client) = state.withLock { state in
            defer { (state.roles, state.client) = ([], nil) }
            return (state.roles, state.client)
        }
        client?.close()
        await withTaskGroup(of: Void.self) { group in
            for role in roles { group.addTask { await role.stop() } }
        }
    }

    /// The HTTP API of the coordinator that runs.
    var client: OperatorClient {
        get throws {
            guard let client = state.withLock({ $0.client }) else {
                throw BenchError.roleFailed(name: "coordinator", log: "it was not started")
            }
            return client
        }
    }

    private func connectionString(port: String) async throws -> String {
        guard let owner = try await TwinStore(pool).policies().first(where: { $0.name == "iothubowner" }) else {
            throw BenchError.jobFailed("The database has no policy iothubowner.")
        }
        return ConnectionString.service(hostName: "localhost:\(port)", policyName: owner.name, key: owner.primaryKey)
    }

    // MARK: What they use

    struct Usage: Sendable {
        fileprivate let groups: [(name: String, cpu: Double, peak: Int)]

        func processes(since earlier: Usage) -> [ProcessUse] {
            groups.map { group in
                let before = earlier.groups.first { $0.name == group.name }?.cpu ?? 0
                return ProcessUse(name: group.name, cpuSeconds: max(0, group.cpu - before), peakBytes: group.peak)
            }
        }
    }

    /// Resident memory of a role now.
    func residentBytes(_ name: String) throws -> Int {
        ProcessTable().residentBytes(try role(name).process.processID)
    }

    static let ownName = "bench"

    /// Of the roles, the servers if they are ours, and this process.
    var usage: Usage {
        let table = ProcessTable()
        var groups: [(name: String, cpu: Double, peak: Int)] = []
        func add(_ name: String, _ pid: Int32, withDescendants: Bool = true) {
            groups.append(
                (
                    name, table.cpuSeconds(pid, withDescendants: withDescendants),
                    table.peakBytes(pid, withDescendants: withDescendants)
                ))
        }
        for role in state.withLock({ $0.roles }) { add(role.name, role.process.processID) }
        if let pid = servers?.processID(.postgres) { add("postgres", pid) }
        if let pid = servers?.processID(.redis) { add("redis", pid) }
        add(Self.ownName, ProcessInfo.processInfo.processIdentifier, withDescendants: false)
        return Usage(groups: groups)
    }

    /// Runs `body`, which returns the number of items and the seconds they took, or nil for the time of the body.
    func measured(_ body: () async throws -> (items: Int, seconds: Double?)) async throws -> Run {
        let before = usage
        let start = context.clock.now
        let (items, seconds) = try await body()
        let elapsed = (context.clock.now - start).inSeconds
        return Run(items: items, seconds: seconds ?? elapsed, processes: usage.processes(since: before))
    }
}
