// `muster bench …`: measures the product beside its limits. What is measured and how stands in the module Bench.

import Bench
import CommandLineKit
import DevCluster
import Foundation
import JSON
import ServiceKit
import Synchronization

enum BenchCommands {
    /// Between lines of progress where they are not drawn over each other.
    private static let linePause: Duration = .seconds(5)

    static let expandSpec = spec(
        .expand, "Measure expansion against a bare INSERT … SELECT",
        """
        From a job's creation to its last item, without a worker; beside it one INSERT … SELECT of the same rows into a
        table with the same keys and indexes.
        """, devices: 1_000_000)

    static let idleSpec = spec(
        .idle, "Measure what an idle cluster uses of a core",
        "CPU time of all processes together, servers included, after a job has run.", devices: 10_000,
        options: [
            OptionSpec(
                name: "seconds", kind: .integer(1...3600), default: "60", help: "how long to watch, in each round")
        ])

    static let latencySpec = spec(
        .latency, "Measure how soon small jobs start and end, alone and beside large ones",
        """
        On an idle cluster; while a job over --devices twins runs; and while --silent-devices devices were called that
        never answer. A process may not open enough files for these, so there are several gateways.
        """, devices: 1_000_000,
        options: [
            OptionSpec(
                name: "silent-devices", kind: .integer(0...1_000_000), default: "100000",
                help: "devices that are called and never answer; 0 leaves that row out")
        ])

    static let sessionsSpec = spec(
        .sessions, "Measure a gateway's memory per idle session",
        "Resident memory between a third of the sessions and all of them.", devices: 15_000)

    static let methodsSpec = spec(
        .methods, "Measure a direct-method job against a plain epoll echo of the same packets",
        """
        A job that calls every simulated device once, over real MQTT through a gateway; beside it the same packets between
        two processes that only know sockets and epoll.
        """, devices: 10_000,
        options: [
            OptionSpec(
                name: "qos", kind: .integer(0...1), default: "1", help: "of the devices' subscriptions and answers")
        ])

    static let twinPatchSpec = spec(
        .twinPatch, "Measure a twin job end to end against a bare UPDATE of the same effect",
        """
        A job over all twins, expansion included; beside it a bare statement that has the same effect on the twins, at its
        best batch size and number of connections, and a shallow patch without metadata, versions and checks.
        """, devices: 1_000_000,
        options: [
            OptionSpec(
                name: "bare-batch", kind: .integer(1...1_000_000),
                help: "twins per bare statement (default: the best of several)"),
            OptionSpec(
                name: "bare-connections", kind: .integer(1...8),
                help: "connections of the bare statement (default: the best of several)"),
        ])

    static let expand: Action = { try await run(.expand, $0, $1) { _, _ in } }

    static let idle: Action = {
        try await run(.idle, $0, $1) { settings, command in settings.idleSeconds = command.integer("seconds") }
    }

    static let latency: Action = {
        try await run(.latency, $0, $1) { settings, command in
            settings.silentDevices = command.integer("silent-devices")
        }
    }

    static let sessions: Action = { try await run(.sessions, $0, $1) { _, _ in } }

    static let methods: Action = {
        try await run(.methods, $0, $1) { settings, command in settings.qos = command.integer("qos") }
    }

    static let twinPatch: Action = { command, context in
        try await run(.twinPatch, command, context) { settings, command in
            settings.bareBatch = command.optionalInteger("bare-batch")
            settings.bareConnections = command.optionalInteger("bare-connections")
        }
    }

    private static func spec(
        _ bench: Bench, _ summary: String, _ discussion: String, devices: Int, options: [OptionSpec] = []
    ) -> CommandSpec {
        CommandSpec(
            name: "bench \(bench.rawValue)", summary: summary,
            discussion: discussion + """
                \nStarts a private PostgreSQL, which keeps every promise of durability, and Redis in a directory of its own, \
                or uses the given ones; the roles run as processes of their own. Build with -c release: a debug build \
                measures nothing.
                """,
            options: [
                OptionSpec(
                    name: "devices", kind: .integer(1...50_000_000), default: "\(devices)", help: "devices of a round"),
                OptionSpec(name: "workers", kind: .integer(1...16), default: "1", help: "worker processes"),
                OptionSpec(
                    name: "concurrent-batches", kind: .integer(1...64),
                    help: "batches that each worker works on at the same time (default: the worker's)"),
                OptionSpec(
                    name: "seed", kind: .integer(0...Int.max), default: "1", help: "of the devices' differences"),
                OptionSpec(
                    name: "repeat", kind: .integer(1...100), default: "3",
                    help: "rounds; the report has median, least and most"),
                OptionSpec(
                    name: "directory", kind: .text(placeholder: "path"),
                    help: "for private stores and logs; removed at the end (default: under /tmp)"),
                OptionSpec(name: "json", kind: .flag, help: "print the report as JSON"),
                OptionSpec(
                    name: "database-url", kind: .text(placeholder: "url"), isSecret: true, section: "Stores",
                    help: "an empty PostgreSQL database to use instead; what the benchmark made is removed at the end"),
                OptionSpec(
                    name: "redis-url", kind: .text(placeholder: "url"), isSecret: true, section: "Stores",
                    help: "a Redis to use instead"),
            ] + options,
            examples: ["muster bench \(bench.rawValue)", "muster bench \(bench.rawValue) --repeat 5 --json"],
            exitCodes: [.success, .usage, .unavailable, .internalError])
    }

    private static func run(
        _ bench: Bench, _ command: ParsedCommand, _ context: CommandContext,
        _ adjust: (inout BenchSettings, ParsedCommand) -> Void
    ) async throws -> ExitCode {
        var settings = BenchSettings(
            devices: command.integer("devices"),
            directory: command.optionalText("directory")
                ?? "/tmp/muster-bench-\(String(context.random.next(), radix: 36))")
        settings.workers = command.integer("workers")
        settings.concurrentBatches = command.optionalInteger("concurrent-batches")
        settings.seed = UInt64(command.integer("seed"))
        settings.repeats = command.integer("repeat")
        settings.databaseURL = command.optionalText("database-url")
        settings.redisURL = command.optionalText("redis-url")
        if (settings.databaseURL == nil) != (settings.redisURL == nil) {
            throw command.mistake("Give both --database-url and --redis-url, or none.")
        }
        adjust(&settings, command)
        let final = settings
        let console = context.console
        let lastShown = Mutex<Instant?>(nil)
        let world = BenchContext(
            clock: context.clock, random: context.random, environment: ProcessInfo.processInfo.environment,
            progress: { text in
                let now = context.clock.now
                let isDue = lastShown.withLock { last in
                    if !console.isTerminal, let shown = last, now - shown < linePause { return false }
                    last = now
                    return true
                }
                if isDue { console.progress(text) }
            }, note: { console.note($0) })
        let report = Mutex<BenchReport?>(nil)
        // The servers and the roles end with this process whatever happens.
        let signals = TerminationSignals { exit(TerminationSignals.secondSignalExitCode) }
        try await signals.run {
            let result = try await bench.run(final, world)
            report.withLock { $0 = result }
        }
        guard let report = report.withLock({ $0 }) else { return .unavailable }
        if command.flag("json") { console.json(report.json) } else { console.write(report.text) }
        return .success
    }
}
