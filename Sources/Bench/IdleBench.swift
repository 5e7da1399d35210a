// `bench idle`: what a cluster without work uses of a core, all its processes together.

internal import ServiceKit

enum IdleBench {
    /// Percent of a core.
    private static let wanted = 1.0
    /// After the start, so that what happens once is over.
    private static let settling: Duration = .seconds(10)

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        let settings = cluster.settings
        try await cluster.fill(settings.devices)
        var shares: [Double] = []
        var processes: [[ProcessUse]] = []
        for round in 1...settings.repeats {
            try await cluster.reset()
            try await cluster.startRoles(workers: settings.workers)
            _ = try await cluster.startGateway(devices: 1)
            // One job, so that partitions and prepared statements are there as in a cluster that has worked.
            try await cluster.put("before-\(round)", TwinPatchBench.job(round: round))
            _ = try await cluster.wait(for: "before-\(round)", "a job before") { $0.state == "completed" }
            // What the job left behind is its own cost, not the idle cluster's: autovacuum would come within a minute.
            try await cluster.settle()
            cluster.context.progress("idle \(round)")
            try await cluster.context.clock.sleep(for: settling)
            let before = cluster.usage
            let start = cluster.context.clock.now
            try await cluster.context.clock.sleep(for: .seconds(settings.idleSeconds))
            let seconds = (cluster.context.clock.now - start).inSeconds
            // This program only waits, and is no part of a cluster.
            let used = cluster.usage.processes(since: before).filter { $0.name != BenchCluster.ownName }
            shares.append(used.reduce(0) { $0 + $1.cpuSeconds } / seconds * 100)
            processes.append(
                used.map {
                    ProcessUse(name: $0.name, cpuSeconds: $0.cpuSeconds / seconds * 100, peakBytes: $0.peakBytes)
                })
        }
        var row = BenchRow(name: "all processes, idle", unit: "% of a core", series: Series(shares))
        row.wanted = [.atMost(wanted)]
        row.processes = BenchRow.processes(processes, unit: "% of a core")
        return [row]
    }
}
