// `bench twin-patch`: a job over all twins from its creation to its end, expansion included, against the bare statement
// with the same effect on the twins at its best batch size and number of connections, and a shallow patch for scale.

package import JSON
internal import ServiceKit

package enum TwinPatchBench {
    /// Design: at least this share of the bare statement.
    static let wanted = 0.7
    /// Design: megabytes of a worker and of the coordinator, at a million items.
    private static let memoryWanted = 100.0
    static let sizeLimit = 32 * 1024
    static let url = "https://firmware.example.org/2/image.bin"
    static let interval: Int64 = 30
    /// The search for the best form runs over this many devices, so that it costs less than a round.
    private static let searchDevices = 200_000
    private static let searchConnections = [1, 2, 4]
    private static let searchBatches = [200, 500, 1000, 5000, 20_000]
    private static let searchFirstBatch = 2000

    /// The patch that `bare_patch.sql` applies: three levels, a removal, a new member.
    package static func patch(version: String) -> JSONObject {
        [
            "firmware": [
                "version": .string(version), "url": .string(url), "staged": .null,
                "retry": ["count": 3, "delay": 30],
            ],
            "telemetry": ["interval": .integer(interval)],
        ]
    }

    static func version(_ round: Int) -> String { "2.\(round).0" }

    static func job(round: Int, condition: String = "*") -> JSONObject {
        [
            "type": "scheduleUpdateTwin", "queryCondition": .string(condition), "maxExecutionTimeInSeconds": 86_400,
            "updateTwin": [
                "etag": "*", "properties": ["desired": .object(patch(version: version(round)))],
            ],
        ]
    }

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        let settings = cluster.settings
        try await cluster.fill(settings.devices)
        let form = try await bestForm(cluster)
        var product: [Run] = []
        var bare: [Run] = []
        var shallow: [Run] = []
        // One job that is not counted: it makes the log files that all rounds use again. Without it the first counted job,
        // and only that, would pay for them: 5 of its 31 µs a device.
        _ = try await runJob(cluster, 0)
        for round in 1...settings.repeats {
            product.append(try await runJob(cluster, round))
            bare.append(try await runBare(cluster, form, round))
            shallow.append(try await runShallow(cluster, form, round))
        }
        let bareName = "bare UPDATE, \(form.batch) a batch, \(form.connections) connections"
        var row = BenchRow(name: "twin job, end to end", runs: product)
        row.limit = BenchRow.Limit(name: bareName, runs: bare)
        row.wanted = [.ratio(wanted)]
        var bareRow = BenchRow(name: "bare UPDATE, same effect", runs: bare)
        bareRow.limit = BenchRow.Limit(name: "shallow UPDATE", runs: shallow)
        return [row, bareRow, BenchRow(name: "shallow UPDATE", runs: shallow)]
            + BenchRow.memory(product, of: ["coordinator", "worker"], atMost: memoryWanted)
    }

    private static func runJob(_ cluster: BenchCluster, _ round: Int) async throws -> Run {
        try await cluster.reset()
        try await cluster.startRoles(workers: cluster.settings.workers)
        let id = "patch-\(round)"
        let run = try await cluster.measured {
            try await cluster.put(id, job(round: round))
            let times = try await cluster.wait(for: id, "twin job \(round)") { $0.state == "completed" }
            guard times.succeeded == cluster.settings.devices else {
                throw BenchError.jobFailed("The job patched \(times.succeeded) of \(cluster.settings.devices) twins.")
            }
            return (times.succeeded, times.ended)
        }
        await cluster.stopRoles()
        return run
    }

    private static func runBare(_ cluster: BenchCluster, _ form: BareForm, _ round: Int) async throws -> Run {
        try await cluster.reset()
        cluster.context.progress("bare UPDATE \(round)")
        return try await patchBare(cluster, form, cluster.settings.devices, round)
    }

    private static func patchBare(
        _ cluster: BenchCluster, _ form: BareForm, _ devices: Int, _ round: Int
    ) async throws -> Run {
        let pool = cluster.pool
        return try await cluster.measured {
            let changed = try await form.run(cluster, devices: devices) { first, last in
                try await BarePatch.run(
                    pool, first: first, last: last, version: version(round), etag: nil, sizeLimit: sizeLimit)
            }
            guard changed == devices else {
                throw BenchError.jobFailed("The bare statement patched \(changed) of \(devices) twins.")
            }
            return (changed, nil)
        }
    }

    private static func runShallow(_ cluster: BenchCluster, _ form: BareForm, _ round: Int) async throws -> Run {
        try await cluster.reset()
        cluster.context.progress("shallow UPDATE \(round)")
        let pool = cluster.pool
        return try await cluster.measured {
            let changed = try await form.run(cluster, devices: cluster.settings.devices) { first, last in
                try await BarePatch.runShallow(pool, first: first, last: last, version: version(round))
            }
            return (changed, nil)
        }
    }

    // MARK: The best form

    /// First the number of connections at a middling batch, then the batch.
    private static func bestForm(_ cluster: BenchCluster) async throws -> BareForm {
        let settings = cluster.settings
        var best = BareForm(
            batch: settings.bareBatch ?? searchFirstBatch, connections: settings.bareConnections ?? searchConnections[0]
        )
        var rate = 0.0
        func attempt(_ form: BareForm) async throws {
            try await cluster.reset()
            let run = try await patchBare(cluster, form, min(settings.devices, searchDevices), 0)
            cluster.context.note(
                "bare UPDATE, \(form.batch) a batch, \(form.connections) connections: "
                    + "\(BenchReport.number(run.rate))/s")
            if run.rate > rate { (best, rate) = (form, run.rate) }
        }
        if settings.bareConnections == nil {
            for connections in searchConnections {
                try await attempt(BareForm(batch: best.batch, connections: connections))
            }
        }
        if settings.bareBatch == nil {
            for batch in searchBatches { try await attempt(BareForm(batch: batch, connections: best.connections)) }
        }
        return best
    }
}
