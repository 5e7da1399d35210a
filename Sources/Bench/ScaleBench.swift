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
        let middle = min(middleSize, settings.devices)
        try await cluster.fill(
            max(settings.devices, settings.twins), items: max(settings.devices, middle * (earlierJobs + 1)))
        let sizes = Self.sizes.filter { $0 < settings.devices } + [settings.devices]
        let all = [
            sizes.map { Shape(label: "\($0) devices", devices: $0) },
            workers.map { Shape(label: "\($0) workers, \(middle) devices", devices: middle, workers: $0) },
            jobs.map { Shape(label: "\($0) jobs at once, \(middle) devices", devices: middle, jobs: $0) },
            [0, earlierJobs].map {
                Shape(label: "after \($0) jobs, \(middle) devices", devices: middle, earlier: $0)
            },
        ]
        var rest = Rest(all.joined().reduce(0) { $0 + $1.weight } * settings.repeats, cluster)
        var rows: [BenchRow] = []
        for shapes in all { rows += try await series(cluster, shapes, &rest) }
        return rows
    }

    /// How long the rest takes, from what was done so far.
    private struct Rest {
        private let weight: Int
        private var done = 0
        private let cluster: BenchCluster
        private let start: Instant

        init(_ weight: Int, _ cluster: BenchCluster) {
            (self.weight, self.cluster, start) = (weight, cluster, cluster.context.clock.now)
        }

        mutating func tell(_ shape: Shape, _ round: Int, _ run: Run) {
            done += shape.weight
            let elapsed = (cluster.context.clock.now - start).inSeconds
            let minutes = elapsed / Double(done) * Double(weight - done) / 60
            cluster.context.note(
                "\(shape.label), round \(round): \(BenchReport.number(run.rate)) items/s, "
                    + "\(BenchReport.number(run.cpu)) µs CPU an item; about \(BenchReport.number(minutes)) min left")
        }
    }

    private struct Shape: Sendable {
        let label: String
        var devices: Int
        var workers: Int?
        var jobs = 1
        /// Jobs over the same devices before, without a vacuum in between.
        var earlier = 0

        /// What it costs to run, in items: starting and tidying up costs about as much as so many.
        var weight: Int { 100_000 + devices * (earlier + 1) }
    }

    /// The rounds go through all shapes, so that a change of the machine's mood meets all of them.
    private static func series(
        _ cluster: BenchCluster, _ shapes: [Shape], _ rest: inout Rest
    ) async throws -> [BenchRow] {
        var runs: [[Run]] = shapes.map { _ in [] }
        for round in 1...cluster.settings.repeats {
            for (index, shape) in shapes.enumerated() {
                let run = try await run(cluster, shape, "\(shape.label), round \(round)")
                runs[index].append(run)
                rest.tell(shape, round, run)
            }
        }
        var rows: [BenchRow] = []
        for (index, shape) in shapes.enumerated() {
            let isOurs = cluster.hasOwnServers
            var cost = BenchRow(
                name: shape.label, unit: isOurs ? "µs CPU an item" : "µs an item", series: cost(runs[index], isOurs))
            if index > 0 {
                cost.limit = BenchRow.Limit(name: shapes[index - 1].label, series: Self.cost(runs[index - 1], isOurs))
                cost.wanted = [wanted]
            }
            cost.processes = BenchRow.processes(runs[index])
            rows.append(cost)
            rows.append(BenchRow(name: shape.label, unit: "items/s", series: Series(runs[index].map(\.rate))))
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
