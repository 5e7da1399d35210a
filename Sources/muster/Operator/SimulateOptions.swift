// The options of `muster simulate`, and what they make.

import Access
import CommandLineKit
import JSON
import OperatorClient
import Simulator
import Sockets

enum SimulateOptions {
    private static let behaviour = "Behaviour of the devices"
    private static let mqtt = "MQTT"

    static let all: [OptionSpec] = fleet + devices + connection + [ServiceOptions.json] + ServiceOptions.all

    private static let fleet: [OptionSpec] = [
        OptionSpec(
            name: "devices", kind: .integer(1...SimulatorLimits.devices), isRequired: true,
            help: "how many devices to simulate"),
        OptionSpec(
            name: "prefix", kind: .text(placeholder: "text"), default: "sim-",
            help: "devices are named by this and their number: sim-0, sim-1, …"),
        OptionSpec(
            name: "first", kind: .integer(0...1_000_000_000), default: "0",
            help: "number of the first device; lets several processes simulate one fleet"),
        OptionSpec(
            name: "create", kind: .flag,
            help: "register devices that do not exist, with the tags site (s0 to s9) and ring (0 to 3)"),
        OptionSpec(
            name: "tags", kind: .text(placeholder: "json"),
            help: "further tags of the devices that --create registers (\(JSONInput.help))"),
        OptionSpec(
            name: "duration", kind: .duration(.milliseconds(100) ... .seconds(86_400 * 30)),
            help: "end after this time (default: at Ctrl-C)"),
        OptionSpec(
            name: "report-file", kind: .text(placeholder: "file"),
            help: "write what each device saw, one line of JSON a device, at the end"),
        OptionSpec(name: "progress", kind: .flag, help: "show how many devices are connected, and the calls so far"),
    ]

    private static let devices: [OptionSpec] = [
        OptionSpec(
            name: "seed", kind: .integer(0...Int.max), default: "1", section: behaviour,
            help: "the same seed makes every device behave the same again"),
        OptionSpec(
            name: "latency", kind: .text(placeholder: "time"), default: "0", section: behaviour,
            help: "time until a call is answered: \(Latency.forms)"),
        OptionSpec(
            name: "failure-rate", kind: .text(placeholder: "share"), default: "0", section: behaviour,
            help: "share of the calls that are answered with status 500: 0.02 or 2%"),
        OptionSpec(
            name: "silent-share", kind: .text(placeholder: "share"), default: "0", section: behaviour,
            help: "share of the devices that never answer"),
        OptionSpec(
            name: "offline", kind: .text(placeholder: "share"), default: "0", section: behaviour,
            help: "share of the devices that never connect"),
        OptionSpec(
            name: "flapping", kind: .text(placeholder: "share"), default: "0", section: behaviour,
            help: "share of the devices that leave and come back again and again"),
        OptionSpec(
            name: "flap-interval", kind: .duration(.milliseconds(100) ... .seconds(86_400)), default: "30s",
            section: behaviour, help: "how long these stay and stay away, half to one and a half of it"),
        OptionSpec(
            name: "method", kind: .text(placeholder: "name=status[:json]"), isRepeated: true, section: behaviour,
            help: """
                answer to a method; name=none for no answer, * for all other methods (default: any method is answered with \
                200 and {"device": id})
                """),
        OptionSpec(
            name: "report", kind: .text(placeholder: "json"), section: behaviour,
            help: "reported properties that each device sends when it is connected first (\(JSONInput.help))"),
        OptionSpec(
            name: "reported-interval", kind: .duration(.milliseconds(100) ... .seconds(86_400)), section: behaviour,
            help: "send reported properties again and again, with a running number as 'sequence'"),
    ]

    private static let connection: [OptionSpec] = [
        OptionSpec(
            name: "mqtt", kind: .text(placeholder: "host:port"), isRequired: true, section: mqtt,
            help: "the gateway to connect to"),
        OptionSpec(
            name: "tls-ca", kind: .text(placeholder: "file"), section: mqtt,
            help: "certificates to trust for MQTT, in PEM (default: those of --ca-file, or the system's)"),
        OptionSpec(
            name: "plain", kind: .flag, section: mqtt,
            help: "speak MQTT without TLS; for a gateway on this machine, because the tokens travel in the open"),
        OptionSpec(
            name: "device-policy", environment: "MUSTER_DEVICE_POLICY", kind: .text(placeholder: "text"),
            isSecret: true,
            section: mqtt,
            help: "connection string whose policy signs the devices' tokens (default: --connection-string)"),
        OptionSpec(
            name: "token-lifetime", kind: .duration(.seconds(1) ... .seconds(86_400 * 365)), default: "1h",
            section: mqtt,
            help: "of the devices' tokens; they end within the last fifth of it"),
        OptionSpec(
            name: "ramp-up", kind: .integer(1...1_000_000), default: "5000", section: mqtt,
            help: "connections opened a second"),
        OptionSpec(
            name: "keep-alive", kind: .duration(.seconds(1) ... .seconds(1767)), default: "120s", section: mqtt,
            help: "a device that sent nothing for so long pings"),
        OptionSpec(
            name: "qos", kind: .integer(0...1), default: "1", section: mqtt, help: "of subscriptions and answers"),
    ]

    static func settings(_ command: ParsedCommand) throws -> FleetSettings {
        var settings = FleetSettings(count: command.integer("devices"), credentials: try credentials(command))
        settings.prefix = command.text("prefix")
        settings.first = command.integer("first")
        settings.seed = UInt64(command.integer("seed"))
        settings.rampUp = command.integer("ramp-up")
        settings.shares = DeviceTraits.Shares(
            offline: try share(command, "offline"), silent: try share(command, "silent-share"),
            flapping: try share(command, "flapping"))
        settings.flapInterval = command.duration("flap-interval")
        settings.failureRate = try share(command, "failure-rate")
        guard let latency = Latency(command.text("latency")) else {
            throw command.mistake(
                "latency", "must be \(Latency.forms); it is '\(command.text("latency").prefix(100))'.")
        }
        settings.latency = latency
        var handlers: [MethodHandler] = []
        for text in command.texts("method") {
            do {
                handlers.append(try MethodHandler(text))
            } catch {
                throw command.mistake("method", "\(error); it is '\(text.prefix(100))'.")
            }
        }
        settings.handlers = MethodHandlers(handlers)
        settings.report = try JSONInput.object(command, "report")
        settings.reportInterval = command.optionalDuration("reported-interval")
        settings.keepAlive = command.duration("keep-alive")
        settings.qos = UInt8(command.integer("qos"))
        return settings
    }

    private static func share(_ command: ParsedCommand, _ name: String) throws -> Double {
        guard let share = Share.parse(command.text(name)) else {
            throw command.mistake(
                name, "must be a share from 0 to 1, such as 0.25 or 25%; it is '\(command.text(name).prefix(100))'.")
        }
        return share
    }

    private static func credentials(_ command: ParsedCommand) throws -> DeviceCredentials {
        let name = command.optionalText("device-policy") == nil ? "connection-string" : "device-policy"
        let string: ConnectionString
        do {
            string = try ConnectionString(command.text(name))
        } catch {
            throw command.mistake(name, "is wrong: \(error).")
        }
        guard let policy = string.policyName, let key = string.key else {
            throw command.mistake(
                name, "needs SharedAccessKeyName and SharedAccessKey, because every device signs a token of its own.")
        }
        var credentials = DeviceCredentials(
            hostName: HostName.withoutPort(string.hostName), policyName: policy, key: key)
        credentials.lifetime = command.duration("token-lifetime")
        return credentials
    }

    static func target(_ command: ParsedCommand, _ settings: FleetSettings) async throws -> FleetTarget {
        let address: SocketAddress?
        do {
            address = try RoleOptions.address(command.text("mqtt"))
        } catch {
            address = nil
        }
        guard case .host(let host, let port) = address, port > 0 else {
            throw command.mistake(
                "mqtt", "must be host:port or [IPv6]:port; it is '\(command.text("mqtt").prefix(100))'.")
        }
        if command.flag("plain"), command.optionalText("tls-ca") != nil {
            throw command.mistake("--plain and --tls-ca contradict each other.")
        }
        let trusted = command.optionalText("tls-ca") ?? command.optionalText("ca-file")
        do {
            let tls = command.flag("plain") ? nil : try TLSContext(client: TLSConfiguration.Client(trustFile: trusted))
            let addresses = try await ResolvedAddress.resolve(.host(host, port: port))
            return FleetTarget(addresses: addresses, tls: tls, serverName: host, devices: settings.count)
        } catch {
            if error.code == .configuration { throw command.mistake("tls-ca", "is wrong: \(error).") }
            throw OperatorError(.unavailable, "\(error)")
        }
    }
}
