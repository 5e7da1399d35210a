// `muster bench`: what the product reaches, and beside each figure the limit measured in the same run.

/// The benchmarks by name.
package enum Bench: String, Sendable, CaseIterable {
    case expand
    case idle
    case inFlight = "in-flight"
    case latency
    case methods
    case scale
    case sessions
    case takeover
    case twinPatch = "twin-patch"

    /// What its figures are about, unless told otherwise.
    package var devicesDefault: Int {
        switch self {
        case .expand, .latency, .scale, .takeover, .twinPatch: 1_000_000
        case .idle, .methods: 10_000
        case .sessions: 15_000
        case .inFlight: 20_000
        }
    }

    package func run(_ settings: BenchSettings, _ context: BenchContext) async throws -> BenchReport {
        try await BenchCluster.run(settings, context) { cluster in
            let head = try await Machine.head(cluster, settings)
            let rows =
                switch self {
                case .expand: try await ExpandBench.rows(cluster)
                case .idle: try await IdleBench.rows(cluster)
                case .inFlight: try await InFlightBench.rows(cluster)
                case .latency: try await LatencyBench.rows(cluster)
                case .methods: try await MethodsBench.rows(cluster)
                case .scale: try await ScaleBench.rows(cluster)
                case .sessions: try await SessionsBench.rows(cluster)
                case .takeover: try await TakeoverBench.rows(cluster)
                case .twinPatch: try await TwinPatchBench.rows(cluster)
                }
            return BenchReport(name: rawValue, head: head, rows: rows)
        }
    }
}
