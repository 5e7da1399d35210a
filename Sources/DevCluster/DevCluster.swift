// A private PostgreSQL and Redis in a directory of their own, for `muster dev`, tests and benchmarks.
//
// Both listen on a Unix socket in that directory and on a free port of 127.0.0.1, and nowhere else. PostgreSQL keeps
// every promise of durability, as in production. Neither outlives this process (see SupervisedProcess).

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

    package enum Server: Sendable {
        case postgres
        case redis
    }

    /// What all starts of a server share.
    struct Site: Sendable {
        let installation: Installation
        let directory: DevDirectory
        let serversLock: Int32
        let ports: DevDirectory.Ports
    }

    private struct State {
        var site: Site?
        var servers: [Server: SupervisedProcess] = [:]
        var initdb: SupervisedProcess?
        var isStopped = false
    }

    /// How long a server may take to end in order.
    private static let stopGrace: Duration = .seconds(20)

    let options: Options
    let clock: any ServiceClock
    let random: any RandomSource
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
            // What failed because `stop` took it away meanwhile is no failure of its own.
            let wasStopped = state.withLock { $0.isStopped }
            await stop()
            throw wasStopped ? DevClusterError.stopped : error
        }
    }

    /// Stops what runs; also while `start` is under way, which then throws. May be called again.
    package func stop() async {
        let (processes, site) = state.withLock { state in
            state.isStopped = true
            defer { state.site = nil }
            return (Array(state.servers.values) + [state.initdb].compactMap { $0 }, state.site)
        }
        let clock = clock
        await withTaskGroup(of: Void.self) { group in
            for process in processes {
                group.addTask { await process.stop(grace: Self.stopGrace, clock: clock) }
            }
        }
        if options.isEphemeral { site?.directory.remove() }
        site?.directory.unlock()
    }

    /// The parent of a server's processes, for reading what they use; nil while it does not run.
    package func processID(_ server: Server) -> Int32? { state.withLock { $0.servers[server]?.processID } }

    // MARK: single servers, for tests of failures

    /// Ends one server: in order, or as a power cut would (`SIGKILL`).
    package func end(_ server: Server, inOrder: Bool = true) async {
        guard let process = state.withLock({ $0.servers.removeValue(forKey: server) }) else { return }
        if !inOrder { process.kill() }
        await process.stop(grace: Self.stopGrace, clock: clock)
    }

    /// Starts a server that was ended, at its old address, and waits until it answers.
    package func restart(_ server: Server) async throws {
        guard let site = state.withLock({ $0.site }) else { throw DevClusterError.stopped }
        try await run(server, site)
    }

    // MARK: starting

    private func startBoth() async throws -> Addresses {
        let installation = try Installation.find(environment: environment)
        let directory = try DevDirectory(options.directory, user: installation.user, random: random)
        let lock = try await directory.lockServers(within: Self.stopGrace, clock: clock)
        let site = Site(
            installation: installation, directory: directory, serversLock: lock, ports: try directory.ports())
        state.withLock { $0.site = site }
        if !directory.hasPostgresData { try await initialize(site) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in [Server.postgres, .redis] {
                group.addTask { try await self.run(server, site) }
            }
            try await group.waitForAll()
        }
        return addresses(site)
    }

    private func initialize(_ site: Site) async throws {
        let passwordFile = try site.directory.writeInitialPassword(for: site.installation.user)
        defer { site.directory.remove(passwordFile) }
        let log = site.directory.postgresLog
        let initdb = try launch(
            initdbCommand(site, passwordFile: passwordFile), site, log, endSignal: "TERM", data: "")
        let isStopped = state.withLock { state in
            state.initdb = initdb
            return state.isStopped
        }
        if isStopped { await initdb.stop(grace: Self.stopGrace, clock: clock) }
        let status = await initdb.ended()
        if state.withLock({ $0.isStopped }) { throw DevClusterError.stopped }
        guard status == 0 else {
            throw DevClusterError.programFailed(
                name: "initdb", status: status, log: log, tail: DevDirectory.tail(log))
        }
    }

    /// Launches a server and waits until it answers. The backends of a killed postmaster take a moment to go, and hold its
    /// shared memory until then, so a server that ends at once is tried again.
    private func run(_ server: Server, _ site: Site) async throws {
        let patience = clock.now + .seconds(10)
        while true {
            let process =
                switch server {
                case .postgres:
                    try launch(
                        postgresCommand(site), site, site.directory.postgresLog, endSignal: "INT",
                        data: site.directory.postgresData)
                case .redis:
                    try launch(
                        redisCommand(site), site, site.directory.redisLog, endSignal: "TERM",
                        data: site.directory.redisData)
                }
            let isStopped = state.withLock { state in
                state.servers[server] = process
                return state.isStopped
            }
            if isStopped {
                await process.stop(grace: Self.stopGrace, clock: clock)
                throw DevClusterError.stopped
            }
            do {
                return try await ready(server, process, site)
            } catch DevClusterError.programFailed where clock.now < patience && site.directory.hasLeftovers(server) {
                try await clock.sleep(for: .milliseconds(300))
            }
        }
    }

    private func launch(_ command: [String], _ site: Site, _ log: String, endSignal: String, data: String)
        throws(DevClusterError) -> SupervisedProcess
    {
        if state.withLock({ $0.isStopped }) { throw .stopped }
        // Nothing that a user's own PostgreSQL needs (PGDATA, PGHOST …) may reach these servers.
        return try SupervisedProcess(
            command: command, log: log, endSignal: endSignal, removing: options.isEphemeral ? data : "",
            holding: site.serversLock,
            environment: ["PATH=\(environment["PATH"] ?? "/usr/bin:/bin")", "LC_ALL=C.UTF-8"])
    }

    /// Waits until the server answers, but no longer than its process lives.
    private func ready(_ server: Server, _ process: SupervisedProcess, _ site: Site) async throws {
        let log = server == .postgres ? site.directory.postgresLog : site.directory.redisLog
        let addresses = addresses(site)
        let failure: (any Error)? = await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                do {
                    switch server {
                    case .postgres: try await self.awaitPostgres(addresses)
                    case .redis: try await self.awaitRedis(addresses)
                    }
                    return nil
                } catch let error as StoreError where error.isTransient {
                    return DevClusterError.notReady(server, log: log, tail: DevDirectory.tail(log))
                } catch {
                    return error
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    if let status = process.endStatus {
                        return DevClusterError.programFailed(
                            name: server.name, status: status, log: log, tail: DevDirectory.tail(log))
                    }
                    do {
                        try await self.clock.sleep(for: .milliseconds(50))
                    } catch {
                        break  // The server answers.
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
}

extension DevCluster.Server {
    var name: String {
        switch self {
        case .postgres: "PostgreSQL"
        case .redis: "Redis"
        }
    }
}
