// `muster bench echo-server` and `echo-client`: the two processes of the plain echo that `bench methods` calls its limit.

import Bench
import CommandLineKit
import Glibc
import JSON

enum EchoCommands {
    private static let options: [OptionSpec] = [
        OptionSpec(name: "devices", kind: .integer(1...1_000_000), default: "10000", help: "connections"),
        OptionSpec(name: "qos", kind: .integer(0...1), default: "1", help: "of the answers; 1 has them acknowledged"),
        OptionSpec(name: "stay", kind: .flag, help: "do not end before a signal comes: CPU time can still be read"),
        OptionSpec(
            name: "threads", kind: .integer(1...64), default: "1", help: "threads, each with an epoll of its own"),
    ]

    static let serverSpec = CommandSpec(
        name: "bench echo-server", summary: "Call the connections of an echo-client again and again",
        discussion: """
            Listens on a port of 127.0.0.1 that it prints, waits for all connections, and then has one call under way on
            each of them. Knows sockets and epoll and nothing else of Muster.
            """,
        options: options + [
            OptionSpec(
                name: "rounds", kind: .flag,
                help: "call a connection again only when all have answered (default: as soon as it has)"),
            OptionSpec(name: "seconds", kind: .integer(1...3600), default: "5", help: "how long to count round trips"),
        ], examples: ["muster bench echo-server --devices 10000"], exitCodes: [.success, .usage, .internalError])

    static let clientSpec = CommandSpec(
        name: "bench echo-client", summary: "Answer the calls of an echo-server",
        discussion: "Opens all connections, answers each call at once, and ends when the server does.",
        options: options + [
            OptionSpec(name: "port", kind: .integer(1...65_535), isRequired: true, help: "of the echo-server")
        ], examples: ["muster bench echo-client --devices 10000 --port 40123"],
        exitCodes: [.success, .usage, .internalError])

    static let server: Action = { command, context in
        let (roundTrips, seconds) = try Echo.serve(
            devices: command.integer("devices"), seconds: Double(command.integer("seconds")),
            qos: command.integer("qos"), pace: command.flag("rounds") ? .rounds : .steady,
            threads: command.integer("threads")
        ) { port in
            let event: JSONValue = ["event": "echo_listening", "port": .integer(Int64(port))]
            context.console.line(event.text)
        } connected: {
            let event: JSONValue = ["event": "echo_connected"]
            context.console.line(event.text)
        }
        let event: JSONValue = [
            "event": "echo_done", "roundTrips": .integer(Int64(roundTrips)), "seconds": .number(seconds),
        ]
        context.console.line(event.text)
        if command.flag("stay") { while true { pause() } }
        return .success
    }

    static let client: Action = { command, _ in
        try Echo.answer(
            devices: command.integer("devices"), port: command.integer("port"), qos: command.integer("qos"),
            threads: command.integer("threads"))
        if command.flag("stay") { while true { pause() } }
        return .success
    }
}
