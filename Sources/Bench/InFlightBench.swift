// `bench in-flight`: what a second worker adds when the devices take their time and each worker may have only so many calls
// in flight, and how many one worker keeps in flight when nothing is said.

internal import ServiceKit

enum InFlightBench {
    /// Design: a second worker, and what one keeps in flight with default limits.
    private static let wanted = BenchRow.Wanted.ratio(1.9)
    private static let wantedInFlight = BenchRow.Wanted.atLeast(10_000)
    private static let allowed = 1000
    private static let answerAfter = "1s"
    /// Long enough that the first answers come when the limit is long reached, and within the response timeout.
    private static let slowAnswerAfter = "20s"
    private static let watching: Duration = .seconds(15)
    private static let pollInterval: Duration = .milliseconds(100)

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        let settings = cluster.settings
        try await cluster.fill(settings.devices)
        var single: [Run] = []
        var double: [Run] = []
        var peaks: [Double] = []
        var processes: [Run] = []
        var gateways: BenchCluster.Fleets?
        for round in 1...settings.repeats {
            single.append(try await runJob(cluster, "one-\(round)", workers: 1))
            double.append(try await runJob(cluster, "two-\(round)", workers: 2))
            let (peak, run, fleets) = try await watch(cluster, "slow-\(round)")
            peaks.append(peak)
            processes.append(run)
            gateways = fleets
        }
        var one = BenchRow(name: "1 worker, \(allowed) calls in flight allowed", runs: single)
        one.note = "devices answer after \(answerAfter)"
        var two = BenchRow(name: "2 workers, \(allowed) calls in flight allowed each", runs: double)
        two.limit = BenchRow.Limit(name: "1 worker", runs: single)
        two.wanted = [wanted]
        var most = BenchRow(name: "1 worker, default limits: most in flight", unit: "calls", series: Series(peaks))
        most.wanted = [wantedInFlight]
        most.processes = BenchRow.processes(processes)
        most.note = (["devices answer after \(slowAnswerAfter)"] + [gateways?.note].compactMap { $0 })
            .joined(separator: "; ")
        return [one, two, most]
    }

    private static func runJob(_ cluster: BenchCluster, _ id: String, workers: Int) async throws -> Run {
        let devices = cluster.settings.devices
        try await cluster.reset()
        try await cluster.startRoles(workers: workers, options: ["--calls-in-flight", "\(allowed)"])
        _ = try await cluster.startFleets("devices", devices: devices, options: ["--latency", answerAfter])
        let run = try await cluster.measured {
            try await cluster.put(id, MethodsBench.job())
            let times = try await cluster.wait(for: id, id) { $0.state == "completed" }
            guard times.succeeded == devices else {
                throw BenchError.jobFailed("\(id): \(times.succeeded) of \(devices) devices answered.")
            }
            return (times.succeeded, times.ended)
        }
        await cluster.stopRoles()
        return run
    }

    /// The most calls in flight that any look found.
    private static func watch(
        _ cluster: BenchCluster, _ id: String
    ) async throws -> (Double, Run, BenchCluster.Fleets) {
        try await cluster.reset()
        try await cluster.startRoles(workers: 1)
        let fleets = try await cluster.startFleets(
            "devices", devices: cluster.settings.devices, options: ["--latency", slowAnswerAfter])
        var most: Int64 = 0
        let run = try await cluster.measured {
            try await cluster.put(id, MethodsBench.job())
            let end = cluster.context.clock.now + watching
            while cluster.context.clock.now < end {
                most = max(most, try await cluster.callsInFlight(id))
                cluster.context.progress("\(id): \(most) in flight")
                try await cluster.context.clock.sleep(for: pollInterval)
            }
            return (Int(most), nil)
        }
        await cluster.stopRoles()
        return (Double(most), run, fleets)
    }
}
