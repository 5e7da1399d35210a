// `muster coordinator`: the HTTP API, and on the elected leader the loops that start, expand, sweep and end jobs.

import API
import CommandLineKit
import Foundation
import HTTP
import JSON
import JobModel
import ServiceKit
import Sockets

enum CoordinatorCommand {
    static let spec = CommandSpec(
        name: "coordinator", summary: "Serve the HTTP API and, when elected, lead the jobs",
        discussion: """
            Run two or more on one PostgreSQL and one Redis: all serve the API, one leads. SIGTERM ends it in order:
            requests in work are answered and the leadership is resigned. A second signal ends it at once.
            """,
        options: RoleOptions.api + [
            RoleOptions.database, RoleOptions.redis, RoleOptions.redisPrefix, RoleOptions.connections(default: 16),
            RoleOptions.prepared, RoleOptions.logLevel,
        ],
        examples: [
            "muster coordinator --listen 127.0.0.1:8080",
            "muster coordinator --listen 0.0.0.0:443 --tls-cert hub.pem --tls-key hub.key --host-name hub.example.org",
        ])

    static let run: Action = { command, context in
        let log = RoleOptions.log(command, role: "coordinator")
        log.info("starting", command.settings.map { ($0.name, .string("\($0.value) (\($0.origin))")) })
        let configuration = try apiConfiguration(command)
        var settings = RoleOptions.storeSettings(command)
        let apiStores = try Stores(settings, log: log)
        settings.connections = Limits.leaderConnections
        let leaderStores = try Stores(settings, log: log, metrics: apiStores.metrics)
        try await apiStores.check()
        let signals = TerminationSignals { exit(TerminationSignals.secondSignalExitCode) }
        try await signals.run {
            try await ServiceRoles.runCoordinator(
                api: configuration, apiStores: apiStores, leaderStores: leaderStores, ready: { _ in })
        }
        await leaderStores.close()
        await apiStores.close()
        log.info("stopped")
        return .success
    }

    static func apiConfiguration(_ command: ParsedCommand) throws -> APIConfiguration {
        let address = try RoleOptions.address(command.text("listen"))
        let tls = try RoleOptions.tls(command)
        if tls == nil, !command.flag("allow-plain-http"), !RoleOptions.isLoopback(address) {
            throw StartError.plainTextNotAllowed(address.description, flag: "allow-plain-http")
        }
        var configuration = APIConfiguration(
            http: HTTPServer.Configuration(address: address, tls: tls), hostNames: command.texts("host-name"))
        configuration.isStrictHub = command.flag("strict-hub")
        return configuration
    }
}
