// A private PostgreSQL and Redis in a directory of their own, for `muster dev`, tests and benchmarks.
//
// Both listen on a Unix socket in that directory and on a free port of 127.0.0.1, and nowhere else. PostgreSQL keeps
// every promise of durability, as in production. Neither outlives this process (see SupervisedProcess).

private import Foundation
private import Glibc
import Postgres
import Redis
package import ServiceKit
private import Synchronization

package final class DevCluster: Sendable {
    package struct Options: Sendable {
        /// Where everything lives; created if need be. The path must be shorter than 80 bytes.
        package var directory: String
        /// Remove the directory when the cluster stops or this process ends.
        package var isEphemeral: Bool
        /// PostgreSQL settings besides our own, such as `["fsync": "off"]` in tests.
        package var postgresSettings: [String: String]
        /// For both servers together to answer.
        package var startTimeout: Duration

        package init(
            directory: String, isEphemeral: Bool = false, postgresSettings: [String: String] = [:],
            startTimeout: Duration = .seconds(60)
        ) {
            self.directory = directory
            self.isEphemeral = isEphemeral
            self.postgresSettings = postgresSettings
            self.startTimeout = startTimeout
        }
    }

    /// Where the servers answer. The texts contain the password, which is worth something on this machine alone.
    package struct Addresses: Sendable {
        /// conninfo over the Unix socket; database `muster`, user `muster` (superuser).
        package let postgres: String
        /// The same over 127.0.0.1, as a URL.
        package let postgresTCP: String
        package let redis: String
        package let redisTCP: String
        package let postgresPort: Int
        package let redisPort: Int
        package let socketDirectory: String
        package let password: String
    }

    private struct State {
        var processes: [SupervisedProcess] = []
        var directory: DevDirectory?
        var isStopped = false
    }

    /// How long a server may take to end in order.
    private static let stopGrace: Duration = .seconds(20)

    private let options: Options
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let environment: [String: String]
    private let state = Mutex(State())

    package init(
        _ options: Options, environment: [String: String], clock: any ServiceClock = SystemClock(),
        random: any RandomSource = SystemRandom()
    ) {
        self.options = options
        self.environment = environment
        self.clock = clock
        self.random = random
    }

    /// Starts both servers and waits until they answer. On a throw everything that was started is stopped again.
    package func start() async throws -> Addresses {
        do {
            return try await startBoth()
        } catch {
            await stop()
            throw error
        }
    }

    /// Stops what runs; also while `start` is under way, which then throws. May be called again.
    package func stop() async {
        let (processes, directory) = state.withLock { state in
            state.isStopped = true
            defer { state.directory = nil }
            return (state.processes, state.directory)
        }
        let clock = clock
        await withTaskGroup(of: Void.self) { group in
            for process in processes {
                group.addTask { await process.stop(grace: Self.stopGrace, clock: clock) }
            }
        }
        if options.isEphemeral { directory?.remove() }
        directory?.unlock()
    }

    // MARK: starting

    private func startBoth() async throws -> Addresses {
        let installation = try Installation.find(environment: environment)
        let directory = try DevDirectory(options.directory, user: installation.user, random: random)
        state.withLock { $0.directory = directory }
        let ports = try Self.freePorts()
        let redis = try launch(
            installation.command(redisCommand(installation, directory, port: ports.1)), log: directory.redisLog,
            endSignal: "TERM", data: directory.redisData)
        if !directory.hasPostgresData { try await initialize(installation, directory) }
        let postgres = try launch(
            installation.command(postgresCommand(installation, directory, port: ports.0)),
            log: directory.postgresLog, endSignal: "INT", data: directory.postgresData)
        let addresses = addresses(directory, ports)
        try await ready("PostgreSQL", postgres, log: directory.postgresLog) {
            try await self.awaitPostgres(addresses)
        }
        try await ready("Redis", redis, log: directory.redisLog) { try await self.awaitRedis(addresses) }
        if state.withLock({ $0.isStopped }) { throw DevClusterError.stopped }
        return addresses
    }

    private func initialize(_ installation: Installation, _ directory: DevDirectory) async throws {
        let passwordFile = "\(directory.sockets)/initial-password"
        guard
            FileManager.default.createFile(
                atPath: passwordFile, contents: Data(directory.password.utf8), attributes: [.posixPermissions: 0o600])
        else { throw DevClusterError.directoryUnusable(path: passwordFile, reason: "it cannot be written") }
        if let user = installation.user { _ = chown(passwordFile, user.id, user.group) }
        defer { unlink(passwordFile) }
        // Whoever can enter the socket directory is the owner; over loopback anybody can come, so a password.
        let initdb = try launch(
            installation.command(
                [
                    installation.initdb, "--pgdata=\(directory.postgresData)", "--username=muster",
                    "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256",
                    "--pwfile=\(passwordFile)",
                ] + (options.isEphemeral ? ["--no-sync"] : [])),
            log: directory.postgresLog, endSignal: "TERM", data: "")
        let status = await initdb.ended()
        if state.withLock({ $0.isStopped }) { throw DevClusterError.stopped }
        guard status == 0 else {
            throw DevClusterError.programFailed(
                name: "initdb", status: status, log: directory.postgresLog,
                tail: DevDirectory.tail(directory.postgresLog))
        }
    }

    private func launch(_ command: [String], log: String, endSignal: String, data: String)
        throws(DevClusterError) -> SupervisedProcess
    {
        // Nothing that a user's own PostgreSQL needs (PGDATA, PGHOST …) may reach these servers.
        let environment = ["PATH=\(environment["PATH"] ?? "/usr/bin:/bin")", "LC_ALL=C.UTF-8"]
        let result: Result<SupervisedProcess, DevClusterError> = state.withLock { state in
            guard !state.isStopped else { return .failure(.stopped) }
            do throws(DevClusterError) {
                let process = try SupervisedProcess(
                    command: command, log: log, endSignal: endSignal, removing: options.isEphemeral ? data : "",
                    environment: environment)
                state.processes.append(process)
                return .success(process)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func postgresCommand(_ installation: Installation, _ directory: DevDirectory, port: Int) -> [String] {
        var settings = [
            "checkpoint_timeout": "15min", "fsync": "on", "listen_addresses": "127.0.0.1", "log_timezone": "UTC",
            "max_connections": "200", "max_wal_size": "4GB", "port": "\(port)", "shared_buffers": "256MB",
            "synchronous_commit": "on", "timezone": "UTC", "unix_socket_directories": directory.sockets,
            "unix_socket_permissions": "0700",
        ]
        settings.merge(options.postgresSettings) { $1 }
        let arguments = settings.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
        return [installation.postgres, "-D", directory.postgresData] + arguments
    }

    private func redisCommand(_ installation: Installation, _ directory: DevDirectory, port: Int) -> [String] {
        [
            installation.redis, "--bind", "127.0.0.1", "--port", "\(port)", "--dir", directory.redisData,
            "--unixsocket", "\(directory.sockets)/redis", "--unixsocketperm", "700", "--requirepass",
            directory.password, "--appendonly", "no", "--maxmemory-policy", "noeviction", "--daemonize", "no",
            // A clean stop writes what is there, so that a restart finds it; a crash loses it, which is allowed.
            "--save", options.isEphemeral ? "" : "3600 1",
            // One for each test of a run; an unused database costs some hundred bytes.
            "--databases", "1000",
        ]
    }

    private func addresses(_ directory: DevDirectory, _ ports: (Int, Int)) -> Addresses {
        Addresses(
            postgres: "host=\(directory.sockets) port=\(ports.0) user=muster dbname=muster",
            postgresTCP: "postgresql://muster:\(directory.password)@127.0.0.1:\(ports.0)/muster",
            redis: "unix://:\(directory.password)@\(directory.sockets)/redis",
            redisTCP: "redis://:\(directory.password)@127.0.0.1:\(ports.1)/0",
            postgresPort: ports.0, redisPort: ports.1, socketDirectory: directory.sockets,
            password: directory.password)
    }

    /// Waits for `check`, but no longer than the process lives.
    private func ready(
        _ name: String, _ process: SupervisedProcess, log: String, _ check: @escaping @Sendable () async throws -> Void
    ) async throws {
        let failure: (any Error)? = await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                do {
                    try await check()
                    return nil
                } catch let error as StoreError where error.isTransient {
                    return DevClusterError.notReady(name: name, log: log, tail: DevDirectory.tail(log))
                } catch {
                    return error
                }
            }
            group.addTask {
                // Ends at the latest when the check is over: cancellation is seen between two looks.
                while !Task.isCancelled {
                    if let status = process.endStatus {
                        return DevClusterError.programFailed(
                            name: name, status: status, log: log, tail: DevDirectory.tail(log))
                    }
                    do {
                        try await self.clock.sleep(for: .milliseconds(50))
                    } catch {
                        break
                    }
                }
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        if state.withLock({ $0.isStopped }) { throw DevClusterError.stopped }
        if let failure { throw failure }
    }

    private func awaitPostgres(_ addresses: Addresses) async throws {
        let pool = PostgresPool(
            PostgresConfiguration(
                connectionString: addresses.postgres.replacingOccurrences(of: "dbname=muster", with: "dbname=postgres"),
                maximumConnections: 1, statementTimeout: options.startTimeout),
            clock: clock, random: random, log: .silent, metrics: Metrics())
        do {
            try await Self.createDatabase(pool)
        } catch {
            await pool.close()
            throw error
        }
        await pool.close()
    }

    private static func createDatabase(_ pool: PostgresPool) async throws {
        let find = Statement("find_database", PackageResources.find_database_sql)
        let create = Statement("create_database", PackageResources.create_database_sql)
        guard try await pool.run(find).isEmpty else { return }
        try await pool.run(create)
    }

    private func awaitRedis(_ addresses: Addresses) async throws {
        let client = try RedisClient(
            RedisConfiguration(url: addresses.redis, commandTimeout: options.startTimeout), clock: clock,
            random: random, log: .silent, metrics: Metrics())
        do {
            _ = try await client.command(["PING"])
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    /// Two ports that are free now. Somebody else may take one before the server does; then the start fails and says so.
    private static func freePorts() throws(DevClusterError) -> (Int, Int) {
        var sockets: [Int32] = []
        defer { for socket in sockets { close(socket) } }
        var ports: [Int] = []
        for _ in 0..<2 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            sockets.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let result = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
                }
            }
            guard result else {
                throw .directoryUnusable(path: "127.0.0.1", reason: "no free port, error \(errno)")
            }
            ports.append(Int(UInt16(bigEndian: address.sin_port)))
        }
        return (ports[0], ports[1])
    }
}
