// `muster worker`: leases batches of work items, executes them and records the results.

import CommandLineKit
import Foundation
import JSON
import JobModel
import ServiceKit
import Worker

enum WorkerCommand {
    static let concurrency = OptionSpec(
        name: "concurrent-batches", environment: "MUSTER_CONCURRENT_BATCHES", kind: .integer(1...64),
        default: String(Limits.concurrentBatches),
        help: "batches worked on at the same time; each uses a PostgreSQL connection")

    static let calls = OptionSpec(
        name: "calls-in-flight", environment: "MUSTER_CALLS_IN_FLIGHT",
        kind: .integer(Limits.callsInFlightAllowed), default: String(Limits.callsInFlight),
        help: "direct-method calls that one job may have in flight here; all jobs together twice as many")

    /// The longest response timeout of a call, so that a drain can wait for any.
    private static let drainSecondsMaximum = Int(Limits.responseTimeoutSeconds.upperBound)

    static let drain = OptionSpec(
        name: "drain-seconds", environment: "MUSTER_DRAIN_SECONDS", kind: .integer(0...drainSecondsMaximum),
        default: String(Limits.drainDuration.milliseconds / 1000),
        help: "how long SIGTERM waits for calls in flight before it hands them over; end the process later than that")

    static let spec = CommandSpec(
        name: "worker", summary: "Execute work items",
        discussion: """
            Run as many as the load needs; they find one another through the stores. SIGTERM drains: nothing is begun,
            batches and calls in work are finished for as long as --drain-seconds says, the rest goes back at once, and the
            exit code is 0. A second signal ends it at once; its work runs elsewhere within 10 s.
            """,
        options: [
            concurrency, calls, drain, RoleOptions.database, RoleOptions.redis, RoleOptions.redisPrefix,
            RoleOptions.connections(default: 6), RoleOptions.prepared, RoleOptions.logLevel,
        ],
        examples: ["muster worker", "muster worker --concurrent-batches 4 --database-connections 8"])

    static let run: Action = { command, context in
        let log = RoleOptions.log(command, role: "worker")
        log.info("starting", command.settings.map { ($0.name, .string("\($0.value) (\($0.origin))")) })
        let stores = try Stores(RoleOptions.storeSettings(command), log: log)
        try await stores.check()
        let configuration = Worker.Configuration(
            concurrentBatches: command.integer("concurrent-batches"), callsInFlight: command.integer("calls-in-flight"),
            drainDuration: .seconds(command.integer("drain-seconds")))
        let signals = TerminationSignals { exit(TerminationSignals.secondSignalExitCode) }
        try await signals.run { await ServiceRoles.runWorker(stores, configuration) }
        await stores.close()
        log.info("stopped")
        return .success
    }
}
