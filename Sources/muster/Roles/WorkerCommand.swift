// `muster worker`: leases batches of work items, executes them and records the results.

import CommandLineKit
import Foundation
import JSON
import JobModel
import ServiceKit

enum WorkerCommand {
    static let concurrency = OptionSpec(
        name: "concurrent-batches", environment: "MUSTER_CONCURRENT_BATCHES", kind: .integer(1...64),
        default: String(Limits.concurrentBatches),
        help: "batches worked on at the same time; each uses a PostgreSQL connection")

    static let spec = CommandSpec(
        name: "worker", summary: "Execute work items",
        discussion: """
            Run as many as the load needs; they find one another through the stores. SIGTERM drains: batches in work are
            finished, the rest goes back at once. A second signal ends it at once; its work runs elsewhere within 10 s.
            """,
        options: [
            concurrency, RoleOptions.database, RoleOptions.redis, RoleOptions.redisPrefix,
            RoleOptions.connections(default: 6), RoleOptions.prepared, RoleOptions.logLevel,
        ],
        examples: ["muster worker", "muster worker --concurrent-batches 4 --database-connections 8"])

    static let run: Action = { command, context in
        let log = RoleOptions.log(command, role: "worker")
        log.info("starting", command.settings.map { ($0.name, .string("\($0.value) (\($0.origin))")) })
        let stores = try Stores(RoleOptions.storeSettings(command), log: log)
        try await stores.check()
        let concurrency = command.integer("concurrent-batches")
        let signals = TerminationSignals { exit(TerminationSignals.secondSignalExitCode) }
        try await signals.run { await ServiceRoles.runWorker(stores, concurrentBatches: concurrency) }
        await stores.close()
        log.info("stopped")
        return .success
    }
}
