// What was measured, as values: series of repeats, the limit beside them, and what each process used.

/// The same figure from several rounds.
package struct Series: Sendable, Hashable {
    package let values: [Double]

    package init(_ values: [Double]) {
        precondition(!values.isEmpty, "a series has at least one value")
        self.values = values
    }

    package var median: Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
    package var least: Double { values.reduce(values[0], min) }
    package var most: Double { values.reduce(values[0], max) }
    /// From the least to the most, as a share of the median.
    package var spread: Double { median > 0 ? (most - least) / median : 0 }
}

/// CPU and memory of one process, or of a server with all its children, during one run.
package struct ProcessUse: Sendable, Hashable {
    package let name: String
    package let cpuSeconds: Double
    /// Of the largest process of the group, since it began.
    package let peakBytes: Int

    package init(name: String, cpuSeconds: Double, peakBytes: Int) {
        self.name = name
        self.cpuSeconds = cpuSeconds
        self.peakBytes = peakBytes
    }
}

/// One timed run.
package struct Run: Sendable {
    package let items: Int
    package let seconds: Double
    package let processes: [ProcessUse]
    package var rate: Double { seconds > 0 ? Double(items) / seconds : 0 }
    /// Microseconds an item, of all processes but the one that measures.
    var cpu: Double {
        processes.filter { $0.name != BenchCluster.ownName }.reduce(0) { $0 + $1.cpuSeconds } / Double(max(items, 1))
            * 1e6
    }
}

/// One line of a report.
package struct BenchRow: Sendable {
    package struct Limit: Sendable {
        package let name: String
        package let series: Series
        /// Microseconds of CPU an item.
        var cpu: Double?

        init(name: String, series: Series) {
            self.name = name
            self.series = series
        }

        /// Items per second of several runs.
        init(name: String, runs: [Run]) {
            self.init(name: name, series: Series(runs.map(\.rate)))
            cpu = Series(runs.map(\.cpu)).median
        }
    }

    package enum Wanted: Sendable, Hashable {
        /// Share of the limit.
        case ratio(Double)
        case ratioAtMost(Double)
        case atLeast(Double)
        case atMost(Double)
    }

    package let name: String
    package let unit: String
    package let series: Series
    package var limit: Limit?
    package var wanted: [Wanted] = []
    /// CPU and peak memory by process.
    package var processes: [Process] = []
    package var note: String?
    /// Microseconds of CPU an item, of all processes but the one that measures.
    package var cpu: Double?

    package struct Process: Sendable, Hashable {
        package let name: String
        /// The median over the rounds, in `unit`.
        package let cpu: Double
        package let unit: String
        package let peakBytes: Int
    }

    package init(name: String, unit: String, series: Series) {
        self.name = name
        self.unit = unit
        self.series = series
    }

    /// Items per second of several runs.
    package init(name: String, runs: [Run]) {
        self.init(name: name, unit: "items/s", series: Series(runs.map(\.rate)))
        processes = Self.processes(runs)
        cpu = Series(runs.map(\.cpu)).median
    }

    /// By round, since both were measured at the same time of the same run; the median of those.
    package var ratio: Double? {
        guard let limit else { return nil }
        guard limit.series.values.count == series.values.count else { return series.median / limit.series.median }
        return Series(zip(series.values, limit.series.values).map { $1 > 0 ? $0 / $1 : 0 }).median
    }

    /// What the limit's CPU is of ours. On a machine that does other things too it tells more than the times.
    package var cpuRatio: Double? {
        guard let cpu, cpu > 0, let limit = limit?.cpu, limit > 0 else { return nil }
        return limit / cpu
    }

    package func isMet(_ wanted: Wanted) -> Bool {
        switch wanted {
        case .ratio(let share): (ratio ?? 0) >= share
        case .ratioAtMost(let share): (ratio ?? .infinity) <= share
        case .atLeast(let value): series.median >= value
        case .atMost(let value): series.median <= value
        }
    }

    static func processes(_ runs: [Run]) -> [Process] {
        let scaled = runs.map { run in
            run.processes.map {
                ProcessUse(
                    name: $0.name, cpuSeconds: $0.cpuSeconds / Double(max(run.items, 1)) * 1000, peakBytes: $0.peakBytes
                )
            }
        }
        return processes(scaled, unit: "s per 1,000")
    }

    /// The most memory that each process called `names…` had resident, by round.
    static func memory(_ runs: [Run], of names: [String], atMost wanted: Double) -> [BenchRow] {
        let found = (runs.first?.processes ?? []).map(\.name)
        return found.filter { found in names.contains { found.hasPrefix($0) } }.map { name in
            let peaks = runs.compactMap { run in run.processes.first { $0.name == name }?.peakBytes }
            var row = BenchRow(name: "peak memory, \(name)", unit: "MB", series: Series(peaks.map { Double($0) / 1e6 }))
            row.wanted = [.atMost(wanted)]
            return row
        }
    }

    /// From the rounds, each with CPU already in `unit`.
    static func processes(_ rounds: [[ProcessUse]], unit: String) -> [Process] {
        guard let names = rounds.first?.map(\.name) else { return [] }
        return names.map { name in
            let uses = rounds.flatMap { round in round.filter { $0.name == name } }
            return Process(
                name: name, cpu: Series(uses.map(\.cpuSeconds)).median, unit: unit,
                peakBytes: uses.map(\.peakBytes).reduce(0, max))
        }
    }
}

package struct BenchReport: Sendable {
    package let name: String
    /// Machine, versions and settings.
    package let head: [(name: String, value: String)]
    package let rows: [BenchRow]

    package init(name: String, head: [(name: String, value: String)], rows: [BenchRow]) {
        self.name = name
        self.head = head
        self.rows = rows
    }
}
