// What a benchmark is told: sizes, repeats, and where the stores are when it does not start its own.

package import ServiceKit

package struct BenchSettings: Sendable {
    package var devices: Int
    package var workers = 1
    /// Batches that each worker works on at the same time; nil leaves the worker's default.
    package var concurrentBatches: Int?
    package var seed: UInt64 = 1
    package var repeats = 3
    /// Where private stores, logs of the roles and sockets live; removed at the end.
    package var directory: String
    /// Of the devices' subscriptions and answers, one after the other.
    package var qos = [1, 0]
    /// Devices that are called and never answer.
    package var silentDevices = 0
    /// Twins in the table, when more than the devices of the jobs.
    package var twins = 0
    /// How long an idle cluster is watched.
    package var idleSeconds = 60
    /// Stores to use instead of private ones. The database must be empty.
    package var databaseURL: String?
    package var redisURL: String?
    /// Skip the search for the bare statement's best form.
    package var bareBatch: Int?
    package var bareConnections: Int?

    package init(devices: Int, directory: String) {
        self.devices = devices
        self.directory = directory
    }
}

/// The outside world of a benchmark.
package struct BenchContext: Sendable {
    package let clock: any ServiceClock
    package let random: any RandomSource
    package let environment: [String: String]
    /// Progress for people; each text replaces the one before.
    package let progress: @Sendable (String) -> Void
    /// What stays on the screen, such as a curve that a choice was made by.
    package let note: @Sendable (String) -> Void

    package init(
        clock: any ServiceClock, random: any RandomSource, environment: [String: String],
        progress: @escaping @Sendable (String) -> Void, note: @escaping @Sendable (String) -> Void
    ) {
        self.clock = clock
        self.random = random
        self.environment = environment
        self.progress = progress
        self.note = note
    }
}

package enum BenchError: Error, CustomStringConvertible {
    case databaseInUse
    case onlyOneStore
    case roleFailed(name: String, log: String)
    case jobFailed(String)
    case noBinary
    case diskTooSmall(needed: Int, free: Int)

    package var description: String {
        switch self {
        case .databaseInUse:
            "The database holds devices or jobs. Benchmarks remove both; give them an empty database of their own."
        case .onlyOneStore: "Give both --database-url and --redis-url, or none."
        case .roleFailed(let name, let log): "The \(name) ended or did not start in time. The end of its log:\n\(log)"
        case .jobFailed(let text): text
        case .diskTooSmall(let needed, let free):
            """
            The benchmark needs about \(needed / 1_000_000_000) GB on disk, and \(free / 1_000_000_000) GB are free. Ask for \
            fewer devices, or give another --directory.
            """
        case .noBinary: "The path of this program cannot be read from /proc/self/exe."
        }
    }
}
