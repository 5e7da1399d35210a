// `muster policy list|show|create` and `muster token`: who may use the service API.
//
// They work on the database itself, because without a policy nobody could use the API to make one.

import Access
import CommandLineKit
import Crypto
import JSON
import ServiceKit
import TwinStore

enum PolicyCommands {
    private static let stores = [RoleOptions.database, RoleOptions.prepared, RoleOptions.logLevel]
    private static let hostName = OptionSpec(
        name: "host-name", environment: "MUSTER_HOST_NAME", kind: .text(placeholder: "host[:port]"),
        default: "localhost", help: "the HostName of the connection string")
    private static let json = OptionSpec(name: "json", kind: .flag, help: "print JSON")

    static let listSpec = CommandSpec(
        name: "policy list", summary: "List shared access policies, without their keys", options: [json] + stores)
    static let showSpec = CommandSpec(
        name: "policy show", summary: "Show a policy's keys and connection string",
        arguments: [ArgumentSpec(name: "name", help: "such as iothubowner or service")],
        options: [json, hostName] + stores,
        examples: ["muster policy show service --host-name hub.example.org"],
        exitCodes: [.success, .usage, .notFound, .unavailable])
    static let createSpec = CommandSpec(
        name: "policy create", summary: "Create a policy with new random keys",
        arguments: [ArgumentSpec(name: "name", help: "1 to 64 letters, digits, '-', '.' or '_'")],
        options: [
            OptionSpec(
                name: "permission", kind: .choice(Permission.allCases.map(\.rawValue)), isRepeated: true,
                help: "what it allows; may be given several times"),
            json, hostName,
        ] + stores,
        examples: ["muster policy create ci --permission ServiceConnect --permission RegistryRead"],
        exitCodes: [.success, .usage, .conflict, .unavailable])
    static let tokenSpec = CommandSpec(
        name: "token", summary: "Make a shared access signature of a policy",
        arguments: [ArgumentSpec(name: "policy", help: "the policy that signs")],
        options: [
            OptionSpec(
                name: "valid-for", kind: .duration(.seconds(1) ... .seconds(31_536_000)), default: "1h",
                help: "until the token expires"),
            OptionSpec(
                name: "resource", kind: .text(placeholder: "uri"),
                help: "what the token is for, such as localhost/devices/d1; without it the whole hub"),
            hostName,
        ] + stores,
        examples: [
            "curl -H \"Authorization: $(muster token service)\" http://localhost:8080/statistics/service?api-version=2021-04-12"
        ],
        exitCodes: [.success, .usage, .notFound, .unavailable])

    static let list: Action = { command, context in
        let policies = try await withStores(command) { try await $0.twins.policies() }
        if command.flag("json") {
            context.console.json(.array(policies.map { .object($0.summary) }))
        } else {
            for policy in policies { context.console.line("\(policy.name)  \(policy.permissionText)") }
        }
        return .success
    }

    static let show: Action = { command, context in
        guard let policy = try await find(command.argument("name"), command) else {
            return notFound(command.argument("name"), context)
        }
        print(policy, command, context)
        return .success
    }

    static let create: Action = { command, context in
        let name = command.argument("name")
        guard Policy.isValid(name: name) else {
            throw command.mistake("name: '\(name)' must be 1 to 64 letters, digits, '-', '.' or '_'.")
        }
        let permissions = Set(command.texts("permission").compactMap(Permission.init(rawValue:)))
        guard !permissions.isEmpty else { throw command.mistake("--permission is missing.") }
        let policy = Policy(
            name: name, permissions: permissions, primaryKey: SecureRandom.bytes(32),
            secondaryKey: SecureRandom.bytes(32))
        switch try await withStores(command, { try await $0.twins.createPolicy(policy) }) {
        case .created:
            print(policy, command, context)
            return .success
        case .exists:
            context.console.note("There is a policy '\(name)' already.")
            return .conflict
        case .full:
            context.console.note("A hub has at most \(Policy.countMaximum) policies.")
            return .conflict
        }
    }

    static let token: Action = { command, context in
        guard let policy = try await find(command.argument("policy"), command) else {
            return notFound(command.argument("policy"), context)
        }
        let resource = command.optionalText("resource") ?? command.text("host-name")
        let expiry = Int64(context.clock.unixTime + command.duration("valid-for").inSeconds)
        context.console.line(
            SASToken.text(resource: resource, key: policy.primaryKey, policyName: policy.name, expiry: expiry))
        return .success
    }

    private static func withStores<T: Sendable>(
        _ command: ParsedCommand, _ body: (Stores) async throws -> T
    ) async throws -> T {
        let stores = try Stores(
            StoreSettings(
                databaseURL: RoleOptions.databaseURL(command), redisURL: "redis://127.0.0.1", connections: 2,
                preparedStatements: !command.flag("no-prepared-statements")),
            log: RoleOptions.log(command, role: "policy"))
        do {
            let value = try await body(stores)
            await stores.close()
            return value
        } catch {
            await stores.close()
            throw error
        }
    }

    private static func find(_ name: String, _ command: ParsedCommand) async throws -> Policy? {
        try await withStores(command) { try await $0.twins.policies() }.first { $0.name == name }
    }

    private static func notFound(_ name: String, _ context: CommandContext) -> ExitCode {
        context.console.note("There is no policy '\(name)'; 'muster policy list' names them.")
        return .notFound
    }

    private static func print(_ policy: Policy, _ command: ParsedCommand, _ context: CommandContext) {
        let connection = ConnectionString.service(
            hostName: command.text("host-name"), policyName: policy.name, key: policy.primaryKey)
        if command.flag("json") {
            var document = policy.summary
            document["primaryKey"] = .string(Base64.encode(policy.primaryKey))
            document["secondaryKey"] = .string(Base64.encode(policy.secondaryKey))
            document["connectionString"] = .string(connection)
            context.console.json(.object(document))
        } else {
            context.console.line("policy         \(policy.name)  \(policy.permissionText)")
            context.console.line("primary key    \(Base64.encode(policy.primaryKey))")
            context.console.line("secondary key  \(Base64.encode(policy.secondaryKey))")
            context.console.line(connection)
        }
    }
}

extension Policy {
    fileprivate var permissionText: String { permissions.map(\.rawValue).sorted().joined(separator: ",") }

    fileprivate var summary: JSONObject {
        [
            "name": .string(name),
            "permissions": .array(permissions.map(\.rawValue).sorted().map { .string($0) }),
        ]
    }
}
