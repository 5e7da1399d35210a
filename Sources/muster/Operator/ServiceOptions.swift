// The options of every command that talks to a service, and the client they make.

import CommandLineKit
import Foundation
import OperatorClient

enum ServiceOptions {
    private static let section = "Service"

    static let all: [OptionSpec] = [
        OptionSpec(
            name: "connection-string", environment: "MUSTER_CONNECTION_STRING", kind: .text(placeholder: "text"),
            isRequired: true, isSecret: true, section: section,
            help: "HostName=<host[:port]>;SharedAccessKeyName=<policy>;SharedAccessKey=<key>"),
        OptionSpec(
            name: "ca-file", environment: "MUSTER_CA_FILE", kind: .text(placeholder: "file"), section: section,
            help: "certificates to trust instead of the system's, in PEM"),
        OptionSpec(
            name: "plain-http", environment: "MUSTER_PLAIN_HTTP", kind: .flag, section: section,
            help: "speak HTTP without TLS; for a service on this machine, because the token travels in the open"),
        OptionSpec(
            name: "timeout", environment: "MUSTER_TIMEOUT", kind: .duration(.milliseconds(100) ... .seconds(600)),
            default: "30s", section: section, help: "for one try of one request"),
    ]

    static let json = OptionSpec(name: "json", kind: .flag, help: "print JSON, for programs")

    static func limit(default text: String? = "100") -> OptionSpec {
        OptionSpec(
            name: "limit", kind: .integer(1...100_000_000), default: text,
            help: "print at most so many" + (text == nil ? " (default: all)" : ""))
    }

    static func client(
        _ command: ParsedCommand, _ context: CommandContext, connections: Int = 2, attempts: Int? = nil,
        timeout: Duration? = nil
    ) throws -> OperatorClient {
        let endpoint: ServiceEndpoint
        do {
            endpoint = try ServiceEndpoint(
                connectionString: command.text("connection-string"), isPlain: command.flag("plain-http"),
                trustFile: command.optionalText("ca-file"))
        } catch {
            throw command.mistake("connection-string", "is wrong: \(error).")
        }
        if let file = command.optionalText("ca-file"), access(file, R_OK) != 0 {
            throw command.mistake("ca-file", "cannot be read: \(file): \(String(cString: strerror(errno))).")
        }
        if endpoint.isPlain, !["127.0.0.1", "::1", "localhost"].contains(endpoint.host) {
            context.console.note("Warning: --plain-http sends the token unencrypted to \(endpoint.host).")
        }
        var configuration = OperatorClient.Configuration(endpoint: endpoint)
        configuration.timeout = max(command.duration("timeout"), timeout ?? .zero)
        configuration.connections = connections
        if let attempts { configuration.attempts = attempts }
        return OperatorClient(configuration, clock: context.clock, random: context.random)
    }
}

extension OperatorError {
    var exitCode: ExitCode {
        switch kind {
        case .invalid: .usage
        case .unauthorized: .unauthorized
        case .notFound: .notFound
        case .conflict: .conflict
        case .unavailable, .configuration: .unavailable
        case .failed: .internalError
        }
    }
}
