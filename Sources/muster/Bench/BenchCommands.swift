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

    // MARK: Descriptions

    static let allSpec = spec(
        "all", "Run every benchmark, one after another",
        "Each with its own number of devices, and --devices for those that are about twin jobs.",
        devices: Bench.twinPatch.devicesDefault)

    static let expandSpec = spec(
        .expand, "Measure expansion against a bare INSERT … SELECT",
        """
        From a job's creation to its last item, without a worker; beside it one INSERT … SELECT of the same rows into a
        table with the same keys and indexes.
        """)

    static let idleSpec = spec(
        .idle, "Measure what an idle cluster uses of a core",
        "CPU time of all processes together, servers included, after a job has run.",
        options: [
            OptionSpec(
                name: "seconds", kind: .integer(1...3600), default: "60", help: "how long to watch, in each round")
        ])

    static let inFlightSpec = spec(
        .inFlight, "Measure what a second worker adds when devices take their time",
        """
        A method job whose devices answer after a second, with 1,000 calls in flight allowed per worker, by one worker and
        by two; and how many calls one worker keeps in flight with default limits.
        """)

    static let latencySpec = spec(
        .latency, "Measure how soon small jobs start and end, alone and beside large ones",
        """
        On an idle cluster; while a job over --devices twins runs; and while --silent-devices devices were called that
        never answer. A process may not open enough files for these, so there are several gateways.
        """,
        options: [
            OptionSpec(
                name: "silent-devices", kind: .integer(0...1_000_000), default: "\(silentDevices)",
                help: "devices that are called and never answer; 0 leaves that row out")
        ])

    static let methodsSpec = spec(
        .methods, "Measure a direct-method job against a plain epoll echo of the same packets",
        """
        A job that calls every simulated device once, over real MQTT through a gateway; beside it the same packets between
        two processes that only know sockets and epoll.
        """,
        options: [
            OptionSpec(
                name: "qos", kind: .integer(0...1),
                help: "of the devices' subscriptions and answers (default: 1, then 0)")
        ])

    static let scaleSpec = spec(
        .scale, "Measure what an item costs as jobs, workers and tables grow",
        """
        Twin jobs of 10,000, 100,000 … up to --devices devices; 1, 2 and 4 workers; 1 and 50 jobs at once; and a job after
        ten others, whose dead rows nobody removed. Each is compared with the one before it.
        """,
        options: [
            OptionSpec(
                name: "twins", kind: .integer(0...50_000_000), default: "0",
                help: "twins in the table, when more than --devices")
        ])

    static let sessionsSpec = spec(
        .sessions, "Measure a gateway's memory per idle session",
        "Resident memory between a third of the sessions and all of them.")

    static let takeoverSpec = spec(
        .takeover, "Measure how soon a dead worker's work runs elsewhere, and a cancelled job stops",
        """
        kill -9 of one of two workers in a twin job over --devices and in a method job, to the last claim of what it held by
        the other; and a cancel of such jobs, to the last twin patched and the last call dispatched.
        """)

    static let twinPatchSpec = spec(
        .twinPatch, "Measure a twin job end to end against a bare UPDATE of the same effect",
        """
        A job over all twins, expansion included; beside it a bare statement that has the same effect on the twins, at its
        best batch size and number of connections, and a shallow patch without metadata, versions and checks.
        """,
        options: [
            OptionSpec(
                name: "bare-batch", kind: .integer(1...1_000_000),
                help: "twins per bare statement (default: the best of several)"),
            OptionSpec(
                name: "bare-connections", kind: .integer(1...8),
                help: "connections of the bare statement (default: the best of several)"),
        ])

    /// The design's.
    private static let silentDevices = 100_000

    private static func spec(
        _ bench: Bench, _ summary: String, _ discussion: String, options: [OptionSpec] = []
    ) -> CommandSpec {
        spec(bench.rawValue, summary, discussion, devices: bench.devicesDefault, options: options)
    }

    private static func spec(
        _ name: String, _ summary: String, _ discussion: String, devices: Int, options: [OptionSpec] = []
    ) -> CommandSpec {
        CommandSpec(
            name: "bench \(name)", summary: summary,
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
            examples: ["muster bench \(name)", "muster bench \(name) --repeat 5 --json"],
            exitCodes: [.success, .usage, .unavailable, .internalError])
    }

    // MARK: Actions

    static let all: Action = { command, context in
        let devices = command.integer("devices")
        var reports: [BenchReport] = []
        for bench in Bench.allCases {
            var settings = try settings(command, context)
            settings.silentDevices = silentDevices
            if bench.devicesDefault != Bench.twinPatch.devicesDefault { settings.devices = bench.devicesDefault }
            guard let report = try await report(bench, settings, context) else { return .unavailable }
            reports.append(report)
            // As they come, because all together take long.
            if !command.flag("json") { context.console.write(report.text + "\n") }
        }
        if command.flag("json") { context.console.json(.array(reports.map(\.json))) }
        return .success
    }

    static let expand = action(.expand)
    static let idle = action(.idle) { $0.idleSeconds = $1.integer("seconds") }
    static let inFlight = action(.inFlight)
    static let latency = action(.latency) { $0.silentDevices = $1.integer("silent-devices") }
    static let methods = action(.methods) { settings, command in
        if let qos = command.optionalInteger("qos") { settings.qos = [qos] }
    }
    static let scale = action(.scale) { $0.twins = $1.integer("twins") }
    static let sessions = action(.sessions)
    static let takeover = action(.takeover)
    static let twinPatch = action(.twinPatch) { settings, command in
        settings.bareBatch = command.optionalInteger("bare-batch")
        settings.bareConnections = command.optionalInteger("bare-connections")
    }

    private static func action(
        _ bench: Bench, _ adjust: @escaping @Sendable (inout BenchSettings, ParsedCommand) -> Void = { _, _ in }
    ) -> Action {
        { command, context in
            var settings = try settings(command, context)
            adjust(&settings, command)
            guard let report = try await report(bench, settings, context) else { return .unavailable }
            if command.flag("json") { context.console.json(report.json) } else { context.console.write(report.text) }
            return .success
        }
    }

    private static func settings(_ command: ParsedCommand, _ context: CommandContext) throws -> BenchSettings {
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
        return settings
    }

    /// Nil when a signal ended it.
    private static func report(
        _ bench: Bench, _ settings: BenchSettings, _ context: CommandContext
    ) async throws -> BenchReport? {
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
            let result = try await bench.run(settings, world)
            report.withLock { $0 = result }
        }
        return report.withLock { $0 }
    }
}
