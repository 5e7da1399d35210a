// The options that several roles share.

import CommandLineKit
import JSON
import ServiceKit
import Sockets

enum RoleOptions {
    static let database = OptionSpec(
        name: "database-url", environment: "DATABASE_URL", kind: .text(placeholder: "url"), isSecret: true,
        section: "Stores",
        help: "PostgreSQL: a URL or a libpq connection string; without it libpq's own PG* variables")
    static let redis = OptionSpec(
        name: "redis-url", environment: "REDIS_URL", kind: .text(placeholder: "url"), default: "redis://127.0.0.1:6379",
        isSecret: true, section: "Stores", help: "Redis: redis://user:password@host:port/database or unix:///path")
    static let redisPrefix = OptionSpec(
        name: "redis-prefix", environment: "MUSTER_REDIS_PREFIX", kind: .text(placeholder: "word"), default: "muster",
        section: "Stores", help: "keeps several Musters on one Redis apart")
    static let prepared = OptionSpec(
        name: "no-prepared-statements", environment: "MUSTER_NO_PREPARED_STATEMENTS", kind: .flag, section: "Stores",
        help: "needed behind PgBouncer in transaction mode")
    static let logLevel = OptionSpec(
        name: "log-level", environment: "MUSTER_LOG_LEVEL", kind: .choice(LogLevel.allCases.map(\.name)),
        default: "info", help: "least level of the JSON lines on standard error")

    static func connections(default count: Int) -> OptionSpec {
        OptionSpec(
            name: "database-connections", environment: "MUSTER_DATABASE_CONNECTIONS", kind: .integer(2...500),
            default: String(count), section: "Stores", help: "PostgreSQL connections of this process, at most")
    }

    /// What the HTTP API takes; `muster dev` and `muster coordinator` share it.
    static let api: [OptionSpec] = [
        OptionSpec(
            name: "listen", environment: "MUSTER_LISTEN", kind: .text(placeholder: "address"),
            default: "127.0.0.1:8080", section: "HTTP API", help: "host:port, [IPv6]:port or unix:/path"),
        OptionSpec(
            name: "tls-cert", environment: "MUSTER_TLS_CERT", kind: .text(placeholder: "file"), section: "HTTP API",
            help: "certificate chain in PEM; with it the API speaks TLS 1.2 and later"),
        OptionSpec(
            name: "tls-key", environment: "MUSTER_TLS_KEY", kind: .text(placeholder: "file"), section: "HTTP API",
            help: "private key of the certificate in PEM"),
        OptionSpec(
            name: "allow-plain-http", environment: "MUSTER_ALLOW_PLAIN_HTTP", kind: .flag, section: "HTTP API",
            help: "listen without TLS on an address that is not loopback"),
        OptionSpec(
            name: "host-name", kind: .text(placeholder: "name"), isRepeated: true, section: "HTTP API",
            help: "name under which clients reach this hub; tokens for other hosts are refused (localhost always works)"
        ),
        OptionSpec(
            name: "strict-hub", environment: "MUSTER_STRICT_HUB", kind: .flag, section: "HTTP API",
            help: "refuse to cancel running jobs, as the compatible service does"),
    ]

    /// Empty without one: libpq then looks into its own environment.
    static func databaseURL(_ command: ParsedCommand) -> String { command.optionalText("database-url") ?? "" }

    static func storeSettings(_ command: ParsedCommand) -> StoreSettings {
        StoreSettings(
            databaseURL: RoleOptions.databaseURL(command), redisURL: command.text("redis-url"),
            redisPrefix: command.text("redis-prefix"), connections: command.integer("database-connections"),
            preparedStatements: !command.flag("no-prepared-statements"))
    }

    static func log(_ command: ParsedCommand, role: String) -> Log {
        let level = LogLevel.allCases.first { $0.name == command.text("log-level") } ?? .info
        return Log.standardError(minimum: level).with([("role", .string(role))])
    }

    /// Nil without a certificate.
    static func tls(_ command: ParsedCommand) throws -> TLSConfiguration? {
        switch (command.optionalText("tls-cert"), command.optionalText("tls-key")) {
        case (let certificate?, let key?): TLSConfiguration(certificateFile: certificate, keyFile: key)
        case (nil, nil): nil
        case (_?, nil), (nil, _?): throw StartError.keyWithoutCertificate
        }
    }

    static func isLoopback(_ address: SocketAddress) -> Bool {
        switch address {
        case .unix: true
        case .host(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.")
        }
    }

    static func address(_ text: String, option: String = "listen") throws -> SocketAddress {
        if text.hasPrefix("unix:") { return .unix(path: String(text.dropFirst("unix:".count))) }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { throw StartError.badAddress(text, option: option) }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { throw StartError.badAddress(text, option: option) }
        return .host(host, port: port)
    }
}
