// `bench takeover`: how soon the work of a worker that was killed runs elsewhere, and how soon a job of many devices stops
// when it is cancelled. All times are PostgreSQL's.

internal import JSON
internal import OperatorClient
internal import Postgres
internal import ServiceKit

enum TakeoverBench {
    /// Design, in milliseconds: from the kill to the last claim by others; from a cancel to the last dispatch.
    private static let takeoverWanted = BenchRow.Wanted.atMost(10_000)
    private static let cancelWanted = BenchRow.Wanted.atMost(2000)
    /// Devices of the method jobs: what one worker may have in flight when it has taken all over.
    private static let calledDevices = 10_000
    private static let workers = 2
    /// In flight when the worker is killed; answered before the response timeout.
    private static let slow = ["--latency", "20s"]
    /// The cancelled job calls on for a while: this many in flight, for this long each.
    private static let paced = (worker: ["--calls-in-flight", "1000"], devices: ["--latency", "1s"])
    /// Of a job, when it is hit: one of so many items is done.
    private static let doneShare = 20
    private static let pollInterval: Duration = .milliseconds(50)
    private static let patience: Duration = .seconds(120)
    private static let killAttempts = 60
    /// Long enough that it works, and drawn anew each time, so that it dies at every point of its work.
    private static let victimLife: Duration = .milliseconds(400)
    private static let victimLifeSpread = 0.5
    /// Statements that it had sent end within this.
    private static let aftermath: Duration = .milliseconds(300)

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        let settings = cluster.settings
        let called = min(calledDevices, settings.devices)
        try await cluster.fill(settings.devices)
        var (twinKills, callKills): ([Takeover], [Takeover]) = ([], [])
        var (twinStops, callStops): ([Stop], [Stop]) = ([], [])
        for round in 1...settings.repeats {
            twinKills.append(try await killInTwinJob(cluster, round))
            callKills.append(try await killInMethodJob(cluster, round, devices: called))
            twinStops.append(try await cancelTwinJob(cluster, round))
            callStops.append(try await cancelMethodJob(cluster, round, devices: called))
        }
        return [
            row(
                "kill -9 to work elsewhere, \(settings.devices) twins", twinKills.map(\.milliseconds), takeoverWanted,
                note(twinKills)),
            row(
                "kill -9 to work elsewhere, \(called) calls", callKills.map(\.milliseconds), takeoverWanted,
                note(callKills)),
            row(
                "cancel to last twin patched, \(settings.devices) twins", twinStops.map(\.last), cancelWanted,
                note(twinStops), twinStops.map(\.run)),
            row("cancel to end of job, \(settings.devices) twins", twinStops.map(\.end), nil, nil),
            row("cancel to last dispatch, \(called) calls", callStops.map(\.last), cancelWanted, note(callStops)),
            row("cancel to end of job, \(called) calls", callStops.map(\.end), nil, nil),
        ]
    }

    private static func row(
        _ name: String, _ values: [Double], _ wanted: BenchRow.Wanted?, _ note: String?, _ runs: [Run] = []
    ) -> BenchRow {
        var row = BenchRow(name: name, unit: "ms", series: Series(values))
        row.wanted = wanted.map { [$0] } ?? []
        row.note = note
        row.processes = BenchRow.processes(runs)
        return row
    }

    // MARK: Kill

    private struct Takeover: Sendable {
        let milliseconds: Double
        let batches: Int
    }

    private static func note(_ takeovers: [Takeover]) -> String {
        "batches taken over: " + takeovers.map { "\($0.batches)" }.joined(separator: ", ")
    }

    /// Nearly always the statements that a worker has sent end its batches although it is dead, and nothing is left to take
    /// over; so worker after worker is killed, until one had claimed a batch and not yet patched it.
    private static func killInTwinJob(_ cluster: BenchCluster, _ round: Int) async throws -> Takeover {
        try await cluster.reset()
        try await cluster.startRoles(workers: workers - 1)
        var id = ""
        for attempt in 1...killAttempts {
            let times = id.isEmpty ? nil : try await cluster.times(id)
            if id.isEmpty || times?.ended != nil {
                id = "kill-twins-\(round)-\(attempt)"
                try await cluster.put(id, TwinPatchBench.job(round: round * killAttempts + attempt))
            }
            let victim = try await cluster.startWorker(workers + attempt)
            try await cluster.context.clock.sleep(
                for: cluster.context.random.jittered(victimLife, spread: victimLifeSpread))
            if let takeover = try await kill(cluster, victim, id) { return takeover }
        }
        throw BenchError.jobFailed("\(killAttempts) workers were killed, and none held a batch then.")
    }

    private static func killInMethodJob(
        _ cluster: BenchCluster, _ round: Int, devices: Int
    ) async throws -> Takeover {
        try await cluster.reset()
        try await cluster.startRoles(workers: workers)
        _ = try await cluster.startFleets("devices", devices: devices, options: slow)
        let id = "kill-calls-\(round)"
        try await cluster.put(id, methodJob(devices))
        try await until("\(id): all calls in flight", cluster) {
            try await cluster.callsInFlight(id) == Int64(devices)
        }
        guard let takeover = try await kill(cluster, cluster.role("worker 1"), id) else {
            throw BenchError.jobFailed("The worker held nothing of \(id).")
        }
        return takeover
    }

    /// Kills a worker; nil when it held nothing that others had to take.
    private static func kill(_ cluster: BenchCluster, _ worker: RoleProcess, _ id: String) async throws -> Takeover? {
        let name = try await worker.event("worker_started")["worker"]?.stringValue ?? ""
        let killed = try await cluster.serverTime
        await worker.kill()
        try await cluster.context.clock.sleep(for: aftermath)
        let held = try await cluster.pool.run(Statements.listBatchesOf, [.text(name)])
        guard !held.isEmpty else { return nil }
        var (jobs, batches, fences): ([Int64?], [Int64?], [Int64?]) = ([], [], [])
        for row in held {
            jobs.append(try row.get("job", as: Int64.self))
            batches.append(try row.get("batch", as: Int64.self))
            fences.append(try row.get("fence", as: Int64.self))
        }
        var taken: (batches: Int, last: Double?) = (0, nil)
        try await until("\(id): \(held.count) batches of the dead worker", cluster) {
            let row = try await cluster.pool.run(
                Statements.readTakeover, [.integerArray(jobs), .integerArray(batches), .integerArray(fences)]
            ).first
            guard let row, try row.get("open", as: Int64.self) == 0 else { return false }
            taken = (Int(try row.get("taken", as: Int64.self)), try row.get("last"))
            return true
        }
        // Nil: a statement that it had sent closed all.
        return taken.last.map { Takeover(milliseconds: ($0 - killed) * 1000, batches: taken.batches) }
    }

    // MARK: Cancel

    private struct Stop: Sendable {
        /// Milliseconds from the cancel to the last dispatch, and to the end of the job.
        let last: Double
        let end: Double
        /// With an outcome of their own.
        let done: Int
        let devices: Int
        let run: Run
    }

    private static func note(_ stops: [Stop]) -> String {
        "done before the end: " + stops.map { "\($0.done) of \($0.devices)" }.joined(separator: ", ")
    }

    private static func cancelTwinJob(_ cluster: BenchCluster, _ round: Int) async throws -> Stop {
        let devices = cluster.settings.devices
        try await cluster.reset()
        try await cluster.startRoles(workers: workers)
        let id = "cancel-twins-\(round)"
        return try await cancel(cluster, id, TwinPatchBench.job(round: round), devices)
    }

    private static func cancelMethodJob(_ cluster: BenchCluster, _ round: Int, devices: Int) async throws -> Stop {
        try await cluster.reset()
        try await cluster.startRoles(workers: workers, options: paced.worker)
        _ = try await cluster.startFleets("devices", devices: devices, options: paced.devices)
        return try await cancel(cluster, "cancel-calls-\(round)", methodJob(devices), devices)
    }

    private static func cancel(
        _ cluster: BenchCluster, _ id: String, _ body: JSONObject, _ devices: Int
    ) async throws -> Stop {
        var dispatched: Double?
        var times: JobTimes?
        let run = try await cluster.measured {
            try await cluster.put(id, body)
            _ = try await cluster.wait(for: id, id) {
                $0.devices == devices && $0.succeeded >= devices / doneShare
            }
            try await cluster.cancel(id)
            try await until("\(id): the end", cluster) {
                // While it goes on: what is settled is deleted.
                if let last = try await cluster.lastDispatch(id) { dispatched = max(last, dispatched ?? last) }
                times = try await cluster.times(id)
                return times?.ended != nil
            }
            return (devices, nil)
        }
        guard let times, times.state == "cancelled",
            let row = try await cluster.pool.run(Statements.readCancel, [.text(id)]).first
        else { throw BenchError.jobFailed("\(id) was done before the cancel; use more devices.") }
        let cancelled: Double = try row.get("cancelled")
        let touched: Double? = try row.get("touched")
        let ended: Double = try row.get("ended")
        await cluster.stopRoles()
        // An item of a method job gets its outcome when the answer comes, not when it is dispatched.
        let last = dispatched ?? touched ?? cancelled
        return Stop(
            last: max(0, last - cancelled) * 1000, end: (ended - cancelled) * 1000, done: times.succeeded,
            devices: devices, run: run)
    }

    // MARK: Common

    private static func methodJob(_ devices: Int) -> JSONObject {
        MethodsBench.job(condition: "deviceId <= '\(BenchCluster.deviceID(devices))'")
    }

    private static func until(
        _ label: String, _ cluster: BenchCluster, _ condition: () async throws -> Bool
    ) async throws {
        let deadline = cluster.context.clock.now + patience
        while cluster.context.clock.now < deadline {
            if try await condition() { return }
            cluster.context.progress(label)
            try await cluster.context.clock.sleep(for: pollInterval)
        }
        throw BenchError.jobFailed("\(label): not within \(patience).")
    }
}
