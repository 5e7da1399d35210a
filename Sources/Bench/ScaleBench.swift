// `bench scale`: what an item costs as jobs grow, as workers and jobs become many, and after other jobs have left their
// dead rows behind. Each row is compared with the one before it in its series: no curve may bend upwards by more than a
// quarter.

internal import ServiceKit

enum ScaleBench {
    /// Design: cost per item compared with the row before.
    private static let wanted = BenchRow.Wanted.ratioAtMost(1.25)
    private static let sizes = [10_000, 100_000, 1_000_000, 5_000_000]
    private static let workers = [1, 2, 4]
    /// Jobs at the same time over the same number of devices.
    private static let jobs = [1, 50]
    /// Devices of the rows that vary something else: large enough for a partition of its own and many batches.
    private static let middleSize = 200_000
    /// Jobs that leave their dead rows before the one that is measured.
    private static let earlierJobs = 10

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        let settings = cluster.settings
        try await cluster.fill(max(settings.devices, settings.twins))
        let middle = min(middleSize, settings.devices)
        var rows: [BenchRow] = []
        var sizes = Self.sizes.filter { $0 < settings.devices }
        sizes.append(settings.devices)
        rows += try await series(cluster, sizes.map { ("\($0) devices", Shape(devices: $0)) })
        rows += try await series(
            cluster, workers.map { ("\($0) workers, \(middle) devices", Shape(devices: middle, workers: $0)) })
        rows += try await series(
            cluster, jobs.map { ("\($0) jobs at once, \(middle) devices", Shape(devices: middle, jobs: $0)) })
        rows += try await series(
            cluster,
            [0, earlierJobs].map { ("after \($0) jobs, \(middle) devices", Shape(devices: middle, earlier: $0)) })
        return rows
    }

    private struct Shape: Sendable {
        var devices: Int
        var workers: Int?
        var jobs = 1
        /// Jobs over the same devices before, without a vacuum in between.
        var earlier = 0
    }

    /// The rounds go through all shapes, so that a change of the machine's mood meets all of them.
    private static func series(_ cluster: BenchCluster, _ shapes: [(String, Shape)]) async throws -> [BenchRow] {
        var runs: [[Run]] = shapes.map { _ in [] }
        for round in 1...cluster.settings.repeats {
            for (index, (label, shape)) in shapes.enumerated() {
                runs[index].append(try await run(cluster, shape, "\(label), round \(round)"))
            }
        }
        var rows: [BenchRow] = []
        for (index, (label, _)) in shapes.enumerated() {
            let isOurs = cluster.hasOwnServers
            var cost = BenchRow(
                name: label, unit: isOurs ? "µs CPU an item" : "µs an item", series: cost(runs[index], isOurs))
            if index > 0 {
                cost.limit = BenchRow.Limit(name: shapes[index - 1].0, series: Self.cost(runs[index - 1], isOurs))
                cost.wanted = [wanted]
            }
            cost.processes = BenchRow.processes(runs[index])
            rows.append(cost)
            rows.append(BenchRow(name: label, unit: "items/s", series: Series(runs[index].map(\.rate))))
        }
        return rows
    }

    /// CPU of all processes but this one; it varies less than the time on a machine that does other things too. The time
    /// where the servers' CPU cannot be read.
    private static func cost(_ runs: [Run], _ isOurs: Bool) -> Series {
        Series(runs.map { isOurs ? $0.cpu : $0.seconds / Double($0.items) * 1e6 })
    }

    private static func run(_ cluster: BenchCluster, _ shape: Shape, _ label: String) async throws -> Run {
        try await cluster.reset()
        try await cluster.startRoles(workers: shape.workers ?? cluster.settings.workers)
        for number in 0..<shape.earlier {
            _ = try await runJobs(cluster, shape, "earlier-\(number)", "\(label): job before \(number + 1)")
        }
        return try await runJobs(cluster, shape, "measured", label)
    }

    private static func runJobs(
        _ cluster: BenchCluster, _ shape: Shape, _ prefix: String, _ label: String
    ) async throws -> Run {
        try await cluster.measured {
            var ids: [String] = []
            for number in 0..<shape.jobs {
                let first = BenchCluster.deviceID(shape.devices * number / shape.jobs + 1)
                let last = BenchCluster.deviceID(shape.devices * (number + 1) / shape.jobs)
                let id = "\(prefix)-\(number)"
                try await cluster.put(
                    id, TwinPatchBench.job(round: number, condition: "deviceId >= '\(first)' AND deviceId <= '\(last)'")
                )
                ids.append(id)
            }
            var succeeded = 0
            for id in ids {
                succeeded += try await cluster.wait(for: id, label) { $0.state == "completed" }.succeeded
            }
            guard succeeded == shape.devices else {
                throw BenchError.jobFailed("The jobs patched \(succeeded) of \(shape.devices) twins.")
            }
            return (succeeded, try await cluster.seconds(ids))
        }
    }
}
