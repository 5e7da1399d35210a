// `bench sessions`: what an idle session costs a gateway, from its resident memory with a third of the devices and with
// all of them; the base, which every gateway pays, cancels out.

internal import ServiceKit

enum SessionsBench {
    /// Bytes per session.
    private static let wanted = 8192.0
    /// After the last connection: twins were read and written, and buffers go back.
    private static let settling: Duration = .seconds(10)
    private static let extrapolated = 1_000_000

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        let settings = cluster.settings
        let few = max(1, settings.devices / 3)
        try await cluster.fill(settings.devices)
        var perSession: [Double] = []
        var runs: [Run] = []
        for _ in 1...settings.repeats {
            try await cluster.reset()
            try await cluster.startRoles(workers: settings.workers)
            let gateway = try await cluster.startGateway(devices: settings.devices)
            try await cluster.startFleet("devices 1", devices: few, gateway: gateway)
            let before = try await resident(cluster)
            let run = try await cluster.measured {
                try await cluster.startFleet(
                    "devices 2", devices: settings.devices - few, after: few, gateway: gateway)
                return (settings.devices - few, nil)
            }
            let after = try await resident(cluster)
            perSession.append(Double(after - before) / Double(settings.devices - few))
            runs.append(run)
        }
        var row = BenchRow(name: "gateway memory a session", unit: "bytes", series: Series(perSession))
        row.wanted = [.atMost(wanted)]
        let gigabytes = row.series.median * Double(extrapolated) / 1e9
        row.note =
            "resident memory of the process between \(few) and \(settings.devices) sessions; the kernel's socket "
            + "buffers are not in it. Extrapolated, not measured: \(extrapolated) sessions need "
            + "\(BenchReport.number(gigabytes)) GB"
        return [row, BenchRow(name: "connects", runs: runs)]
    }

    private static func resident(_ cluster: BenchCluster) async throws -> Int {
        try await cluster.context.clock.sleep(for: settling)
        return try cluster.residentBytes("gateway")
    }
}
