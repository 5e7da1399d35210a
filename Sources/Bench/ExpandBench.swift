// `bench expand`: from the job's creation to its last item, with no worker, against one bare INSERT … SELECT of the same
// rows with the same keys and indexes.

internal import JSON
internal import Postgres

enum ExpandBench {
    /// Design: at least this share of the bare statement.
    static let wanted = 0.7
    /// As the product cuts them.
    private static let batchItems: Int64 = 500

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        let settings = cluster.settings
        try await cluster.fill(settings.devices)
        var product: [Run] = []
        var bare: [Run] = []
        for round in 1...settings.repeats {
            product.append(try await expand(cluster, round))
            bare.append(try await insertBare(cluster, round))
        }
        var row = BenchRow(name: "expansion", runs: product)
        row.limit = BenchRow.Limit(name: "bare INSERT … SELECT", runs: bare)
        row.wanted = [.ratio(wanted)]
        return [row, BenchRow(name: "bare INSERT … SELECT", runs: bare)]
    }

    private static func expand(_ cluster: BenchCluster, _ round: Int) async throws -> Run {
        try await cluster.reset()
        try await cluster.startRoles(workers: 0)
        let id = "expand-\(round)"
        return try await cluster.measured {
            try await cluster.put(id, TwinPatchBench.job(round: round))
            let times = try await cluster.wait(for: id, "expansion \(round)") { $0.expanded != nil }
            return (times.devices, times.expanded)
        }
    }

    private static func insertBare(_ cluster: BenchCluster, _ round: Int) async throws -> Run {
        try await cluster.reset()
        try await cluster.pool.run(Statements.createBareItems)
        cluster.context.progress("bare INSERT … SELECT \(round)")
        let run = try await cluster.measured {
            (try await cluster.pool.run(Statements.bareExpand, [.integer(batchItems)]).affected, nil)
        }
        try await cluster.pool.run(Statements.dropBareItems)
        return run
    }
}
