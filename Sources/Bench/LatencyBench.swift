// `bench latency`: how soon a job touches its first device on an idle cluster; how soon a small job starts and ends while
// a job of a million devices runs; and how soon a small method job ends while the devices of another never answer.
//
// All times are PostgreSQL's, from its clock just before the request to what the job's rows say.

internal import JSON
internal import Postgres
internal import ServiceKit

enum LatencyBench {
    /// Devices of the small jobs.
    private static let small = 10
    /// Small jobs per round on the idle cluster.
    private static let idleSamples = 15
    /// Small jobs per round beside a large one, at most.
    private static let busySamples = 40
    /// Pauses between them, drawn anew each time, so that they meet every phase of polls and sweeps.
    private static let pause: Duration = .milliseconds(600)
    private static let pauseSpread = 0.8
    private static let pollInterval: Duration = .milliseconds(10)
    private static let patience: Duration = .seconds(120)
    /// Seconds that a silent device has to answer, the contract's most.
    private static let silence: Int64 = 300

    /// What the design asks for, in milliseconds.
    private static let firstTouchWanted = BenchRow.Wanted.atMost(50)
    private static let startWanted = BenchRow.Wanted.atMost(100)
    private static let endWanted = BenchRow.Wanted.atMost(1000)

    /// Milliseconds from just before the request.
    private struct Sample: Sendable {
        let firstTouched: Double
        let ended: Double
    }

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        let settings = cluster.settings
        // The small jobs have devices of their own behind those of the large one.
        try await cluster.fill(settings.devices + small)
        var idle: [Sample] = []
        var busy: [Sample] = []
        var idleRuns: [Run] = []
        var busyRuns: [Run] = []
        for round in 1...settings.repeats {
            try await cluster.reset()
            try await cluster.startRoles(workers: settings.workers)
            idleRuns.append(
                try await cluster.measured {
                    idle += try await samples(cluster, "idle-\(round)", count: idleSamples, behind: settings.devices)
                    return (idleSamples * small, nil)
                })
            busyRuns.append(
                try await cluster.measured {
                    busy += try await besideLargeJob(cluster, round)
                    return (settings.devices, nil)
                })
        }
        var rows = [
            row("PUT to first device, idle", idle.map(\.firstTouched), firstTouchWanted, idleRuns),
            row("PUT to end, \(small) devices, idle", idle.map(\.ended), nil),
        ]
        if !busy.isEmpty {
            let large = "beside \(settings.devices)"
            rows.append(row("PUT to first device, \(large)", busy.map(\.firstTouched), startWanted, busyRuns))
            rows.append(row("PUT to end, \(small) devices, \(large)", busy.map(\.ended), endWanted))
        }
        if settings.silentDevices > 0 { rows.append(try await besideSilence(cluster)) }
        return rows
    }

    private static func row(
        _ name: String, _ values: [Double], _ wanted: BenchRow.Wanted?, _ runs: [Run] = []
    ) -> BenchRow {
        var row = BenchRow(name: name, unit: "ms", series: Series(values))
        row.processes = BenchRow.processes(runs)
        row.wanted = wanted.map { [$0] } ?? []
        return row
    }

    // MARK: Small jobs

    /// Small twin jobs, one after another, on the devices behind `behind`.
    private static func samples(
        _ cluster: BenchCluster, _ prefix: String, count: Int, behind: Int,
        job: (String) -> JSONObject = { TwinPatchBench.job(round: 1, condition: $0) },
        mayContinue: () async throws -> Bool = { true }
    ) async throws -> [Sample] {
        let ids = (1...small).map { "'\(BenchCluster.deviceID(behind + $0))'" }
        let body = job("deviceId IN [\(ids.joined(separator: ", "))]")
        var samples: [Sample] = []
        while samples.count < count, try await mayContinue() {
            try await cluster.context.clock.sleep(
                for: cluster.context.random.jittered(pause, spread: pauseSpread))
            cluster.context.progress("\(prefix): \(samples.count) of \(count) small jobs")
            samples.append(try await sample(cluster, "\(prefix)-\(samples.count)", body))
        }
        return samples
    }

    private static func sample(_ cluster: BenchCluster, _ id: String, _ body: JSONObject) async throws -> Sample {
        let start = try await cluster.serverTime
        try await cluster.put(id, body)
        let deadline = cluster.context.clock.now + patience
        while cluster.context.clock.now < deadline {
            if let row = try await cluster.pool.run(Statements.readJobStarts, [.text(id)]).first,
                let ended: Double = try row.get("ended"), let touched: Double = try row.get("first_touched")
            {
                return Sample(firstTouched: (touched - start) * 1000, ended: (ended - start) * 1000)
            }
            try await cluster.context.clock.sleep(for: pollInterval)
        }
        throw BenchError.jobFailed("The small job \(id) did not end within \(patience).")
    }

    // MARK: Beside a large job

    private static func besideLargeJob(_ cluster: BenchCluster, _ round: Int) async throws -> [Sample] {
        let large = "large-\(round)"
        let last = BenchCluster.deviceID(cluster.settings.devices)
        try await cluster.put(large, TwinPatchBench.job(round: round, condition: "deviceId <= '\(last)'"))
        var samples = try await samples(
            cluster, "busy-\(round)", count: busySamples, behind: cluster.settings.devices,
            mayContinue: { try await cluster.times(large)?.ended == nil })
        // The last one may have been alone for a part of its time.
        if try await cluster.times(large)?.ended != nil { samples = Array(samples.dropLast()) }
        return samples
    }

    // MARK: Beside silence

    /// A method job whose devices are connected and never answer; small method jobs meanwhile.
    private static func besideSilence(_ cluster: BenchCluster) async throws -> BenchRow {
        let settings = cluster.settings
        let silent = min(settings.silentDevices, settings.devices)
        try await cluster.reset()
        try await cluster.startRoles(workers: settings.workers)
        let fleets = try await cluster.startFleets(
            "silent", devices: silent, spare: small, options: ["--silent-share", "1"])
        try await cluster.startFleet("devices", devices: small, after: settings.devices, gateway: fleets.last)
        try await cluster.put(
            "silent",
            MethodsBench.job(
                responseTimeout: silence, condition: "deviceId <= '\(BenchCluster.deviceID(silent))'"))
        var samples: [Sample] = []
        let run = try await cluster.measured {
            samples = try await self.samples(
                cluster, "beside-silence", count: busySamples, behind: settings.devices,
                job: { MethodsBench.job(condition: $0) })
            return (samples.count * small, nil)
        }
        var row = row(
            "PUT to end, \(small) methods, \(silent) never answer", samples.map(\.ended), endWanted, [run])
        row.note = fleets.note
        await cluster.stopRoles()
        return row
    }
}
