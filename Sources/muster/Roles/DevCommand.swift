// `muster dev`: all roles in one process, on a private PostgreSQL and Redis that it starts itself.

import API
import Access
import CommandLineKit
import DevCluster
import Foundation
import Gateway
import HTTP
import JSON
import JobModel
import Migrations
import ServiceKit
import Sockets
import Synchronization
import TwinStore
import Worker

enum DevCommand {
    static let spec = CommandSpec(
        name: "dev", summary: "Run everything on this machine, with stores of its own",
        discussion: """
            Starts a private PostgreSQL and Redis in a directory, brings the schema up to date, and runs a coordinator,
            workers and a gateway in this process. Needs the server programs of both (Debian: postgresql, redis-server); as root
            they run as an unprivileged user. The data is there again at the next start, unless --ephemeral.
            Ctrl-C stops everything; a second Ctrl-C does so at once.
            """,
        options: [
            OptionSpec(
                name: "directory", environment: "MUSTER_DEV_DIRECTORY", kind: .text(placeholder: "path"),
                help: "where the stores live (default: ~/.muster, as root /var/lib/muster-dev)"),
            OptionSpec(name: "ephemeral", kind: .flag, help: "use a temporary directory and remove it at the end"),
            OptionSpec(name: "workers", kind: .integer(0...16), default: "1", help: "workers in this process"),
            OptionSpec(
                name: "json", kind: .flag, help: "print the addresses as one line of JSON when everything is ready"),
            WorkerCommand.concurrency,
        ] + RoleOptions.api + GatewayCommand.options + [
            OptionSpec(
                name: "log-level", environment: "MUSTER_LOG_LEVEL", kind: .choice(LogLevel.allCases.map(\.name)),
                default: "warning", help: "least level of the JSON lines on standard error")
        ],
        examples: ["muster dev", "muster dev --ephemeral --listen 127.0.0.1:0 --json"],
        exitCodes: [.success, .usage, .unavailable, .internalError])

    static let run: Action = { command, context in
        let door = WebSocketDoor()
        let api = try apiConfiguration(command, door)
        let gateway = try gatewaySettings(command)
        let isEphemeral = command.flag("ephemeral")
        let directory = command.optionalText("directory") ?? defaultDirectory(isEphemeral, context)
        let cluster = DevCluster(
            DevCluster.Options(directory: directory, isEphemeral: isEphemeral),
            environment: ProcessInfo.processInfo.environment)
        // The stores end with this process whatever happens, so a second signal may end it at once.
        let signals = TerminationSignals { exit(TerminationSignals.secondSignalExitCode) }
        let failure = Failure()
        try await signals.run {
            do {
                try await serve(command, context, api, gateway, door, cluster)
            } catch {
                // What a stop interrupted is no failure.
                if !Task.isCancelled { failure.set(error) }
            }
        }
        context.console.note("Stopping …")
        await cluster.stop()
        if let error = failure.error {
            context.console.note("muster: \(error)")
            return error is DevClusterError ? .unavailable : .internalError
        }
        return .success
    }

    /// Devices reach the gateway through the API's port too, as there is no proxy that would part them.
    private static func apiConfiguration(_ command: ParsedCommand, _ door: WebSocketDoor) throws -> APIConfiguration {
        var configuration = try CoordinatorCommand.apiConfiguration(command)
        configuration.http.upgrade = door.upgrade
        return configuration
    }

    private static func gatewaySettings(_ command: ParsedCommand) throws -> GatewaySettings {
        var settings = try GatewayCommand.settings(command, name: "dev")
        // A laptop's limit on open files is no reason to refuse: there are fewer sessions then.
        settings.sessions = min(settings.sessions, GatewayConfiguration.sessionsPossible)
        return settings
    }

    private static func serve(
        _ command: ParsedCommand, _ context: CommandContext, _ api: APIConfiguration, _ gateway: GatewaySettings,
        _ door: WebSocketDoor, _ cluster: DevCluster
    ) async throws {
        let log = RoleOptions.log(command, role: "dev")
        if !command.flag("json") { context.console.note("Starting PostgreSQL and Redis …") }
        let addresses = try await cluster.start()
        func stores(_ connections: Int) throws -> Stores {
            try Stores(
                StoreSettings(databaseURL: addresses.postgres, redisURL: addresses.redis, connections: connections),
                log: log)
        }
        let apiStores = try stores(16)
        try await Migrator(apiStores.pool).apply()
        try await apiStores.check()
        let leaderStores = try stores(Limits.leaderConnections)
        let concurrency = command.integer("concurrent-batches")
        let workers = try (0..<command.integer("workers")).map { _ in try stores(concurrency + 2) }
        let gatewayStores = try stores(8)
        let policies = try await apiStores.twins.policies()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in workers {
                group.addTask { await ServiceRoles.runWorker(worker, .init(concurrentBatches: concurrency)) }
            }
            let (devices, devicesListen) = AsyncStream.makeStream(of: [SocketAddress].self)
            group.addTask {
                try await ServiceRoles.runGateway(gateway, stores: gatewayStores, door: door) {
                    devicesListen.yield($0)
                }
            }
            group.addTask {
                let (service, serviceListens) = AsyncStream.makeStream(of: SocketAddress.self)
                try await withThrowingTaskGroup(of: Void.self) { roles in
                    roles.addTask {
                        try await ServiceRoles.runCoordinator(
                            api: api, apiStores: apiStores, leaderStores: leaderStores
                        ) { serviceListens.yield($0) }
                    }
                    // Ready means that both can be reached.
                    guard let http = await service.first(where: { _ in true }),
                        let mqtt = await devices.first(where: { _ in true })?.first
                    else { return }
                    announce(http, mqtt, addresses, policies, command, context)
                    for try await _ in roles {}
                }
            }
            // Not waitForAll, which would wait for the workers for ever when the API cannot start.
            for try await _ in group {}
        }
        for worker in workers { await worker.close() }
        await gatewayStores.close()
        await leaderStores.close()
        await apiStores.close()
    }

    private static func announce(
        _ address: SocketAddress, _ mqtt: SocketAddress, _ addresses: DevCluster.Addresses, _ policies: [Policy],
        _ command: ParsedCommand, _ context: CommandContext
    ) {
        let isTLS = command.optionalText("tls-cert") != nil
        let host = address.port.map { "localhost:\($0)" } ?? "localhost"
        let webSocket =
            "\(isTLS ? "wss" : "ws")://\(host)/\(WebSocketDoor.segments.joined(separator: "/"))"
        let owner = policies.first { $0.name == "iothubowner" }
        let connection =
            owner.map { ConnectionString.service(hostName: host, policyName: $0.name, key: $0.primaryKey) } ?? ""
        if command.flag("json") {
            let document: JSONValue = [
                "connectionString": .string(connection), "url": .string("\(isTLS ? "https" : "http")://\(host)"),
                "address": .string(address.description), "mqttAddress": .string(mqtt.description),
                "webSocketUrl": .string(webSocket),
                "databaseUrl": .string(addresses.postgresTCP),
                "redisUrl": .string(addresses.redisTCP),
            ]
            context.console.line(document.text)
            return
        }
        context.console.line(
            """
            Muster is running; Ctrl-C stops it.

              API         \(isTLS ? "https" : "http")://\(host)
              MQTT        \(mqtt)\(isTLS ? " (TLS)" : "")
                          \(webSocket)
              PostgreSQL  \(addresses.postgresTCP)
              Redis       \(addresses.redisTCP)

            For the command line, in another terminal:

              export MUSTER_CONNECTION_STRING='\(connection)'\(isTLS ? "" : "\n  export MUSTER_PLAIN_HTTP=1")
            """)
    }

    private static func defaultDirectory(_ isEphemeral: Bool, _ context: CommandContext) -> String {
        if isEphemeral {
            return "/tmp/muster-\(String(context.random.next(), radix: 36))"
        }
        // The stores of root run as another user, who cannot enter root's home.
        if getuid() == 0 { return "/var/lib/muster-dev" }
        return (ProcessInfo.processInfo.environment["HOME"] ?? "/tmp") + "/.muster"
    }
}

/// An error that crosses tasks.
private final class Failure: Sendable {
    private let stored = Mutex<(any Error)?>(nil)

    var error: (any Error)? { stored.withLock { $0 } }
    func set(_ error: any Error) { stored.withLock { $0 = error } }
}
