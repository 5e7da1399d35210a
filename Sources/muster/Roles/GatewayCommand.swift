// `muster gateway`: devices connect here, over MQTT.

import CommandLineKit
import Foundation
import Gateway
import JSON
import RouteStore
import ServiceKit
import Sockets

enum GatewayCommand {
    /// What MQTT takes beyond the stores; `muster dev` and `muster gateway` share it.
    static let options: [OptionSpec] = [
        OptionSpec(
            name: "listen-mqtt", environment: "MUSTER_LISTEN_MQTT", kind: .text(placeholder: "address"),
            default: "127.0.0.1:1883", section: "MQTT",
            help: "host:port, [IPv6]:port or unix:/path; the usual port with TLS is 8883"),
        OptionSpec(
            name: "allow-plain-mqtt", environment: "MUSTER_ALLOW_PLAIN_MQTT", kind: .flag, section: "MQTT",
            help: "listen without TLS on an address that is not loopback"),
        OptionSpec(
            name: "sessions", environment: "MUSTER_SESSIONS", kind: .integer(1...1_000_000), default: "10000",
            section: "MQTT", help: "devices that may be connected at the same time; each needs an open file"),
    ]

    static let spec = CommandSpec(
        name: "gateway", summary: "Let devices connect over MQTT",
        discussion: """
            Run as many as the fleet needs behind one address; a device's newest connection wins, wherever it is. SIGTERM
            closes the sessions in order, and their devices connect elsewhere. A second signal ends it at once.

            Where 8883 is blocked, devices use MQTT in a WebSocket on 443, the API's port. With --listen-websocket the
            gateway serves it; a proxy in front sends the path /$iothub/websocket there and all others to the coordinators.
            """,
        options: options + [
            OptionSpec(
                name: "listen-websocket", environment: "MUSTER_LISTEN_WEBSOCKET", kind: .text(placeholder: "address"),
                section: "MQTT", help: "also listen there for MQTT in WebSockets; TLS as for --listen-mqtt"),
            OptionSpec(
                name: "name", environment: "MUSTER_GATEWAY_NAME", kind: .text(placeholder: "word"), default: "gateway",
                help: "what logs and the stores call this gateway"),
            OptionSpec(
                name: "tls-cert", environment: "MUSTER_TLS_CERT", kind: .text(placeholder: "file"), section: "MQTT",
                help: "certificate chain in PEM; with it the gateway speaks TLS 1.2 and later"),
            OptionSpec(
                name: "tls-key", environment: "MUSTER_TLS_KEY", kind: .text(placeholder: "file"), section: "MQTT",
                help: "private key of the certificate in PEM"),
            OptionSpec(
                name: "host-name", kind: .text(placeholder: "name"), isRepeated: true, section: "MQTT",
                help: "name under which devices reach this hub; tokens for other hosts are refused (localhost always "
                    + "works)"),
            RoleOptions.database, RoleOptions.redis, RoleOptions.redisPrefix, RoleOptions.connections(default: 8),
            RoleOptions.prepared, RoleOptions.logLevel,
        ],
        examples: [
            "muster gateway",
            "muster gateway --listen-mqtt 0.0.0.0:8883 --tls-cert hub.pem --tls-key hub.key --host-name hub.example.org",
        ])

    static let run: Action = { command, context in
        let log = RoleOptions.log(command, role: "gateway")
        log.info("starting", command.settings.map { ($0.name, .string("\($0.value) (\($0.origin))")) })
        var given = try GatewayCommand.settings(command, name: command.text("name"))
        if let text = command.optionalText("listen-websocket") {
            given.listeners.append(try listener(command, text, option: "listen-websocket", carrier: .webSocket))
        }
        let settings = given
        let stores = try Stores(RoleOptions.storeSettings(command), log: log)
        try await stores.check()
        let signals = TerminationSignals { exit(TerminationSignals.secondSignalExitCode) }
        do {
            try await signals.run { try await ServiceRoles.runGateway(settings, stores: stores, ready: { _ in }) }
        } catch let error as GatewayError {
            await stores.close()
            throw StartError.gateway(error.description)
        }
        await stores.close()
        log.info("stopped")
        return .success
    }

    /// `muster dev` has the same options and a fixed name.
    static func settings(_ command: ParsedCommand, name: String) throws -> GatewaySettings {
        GatewaySettings(
            name: name,
            listeners: [
                try listener(command, command.text("listen-mqtt"), option: "listen-mqtt", carrier: .connection)
            ],
            hosts: ["localhost", "127.0.0.1", "[::1]"] + command.texts("host-name"),
            sessions: command.integer("sessions"))
    }

    private static func listener(
        _ command: ParsedCommand, _ text: String, option: String, carrier: GatewayListener.Carrier
    ) throws -> GatewayListener {
        let address = try RoleOptions.address(text, option: option)
        let tls = try RoleOptions.tls(command)
        if tls == nil, !command.flag("allow-plain-mqtt"), !RoleOptions.isLoopback(address) {
            throw StartError.plainTextNotAllowed(address.description, flag: "allow-plain-mqtt")
        }
        return GatewayListener(address: address, carrier: carrier, tls: tls)
    }
}

/// What stays the same when a gateway starts a new life.
struct GatewaySettings: Sendable {
    var name: String
    var listeners: [GatewayListener]
    var hosts: [String]
    var sessions: Int
}
