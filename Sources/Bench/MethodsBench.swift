// `bench methods`: a direct-method job over connected simulated devices, from its creation to its end, against a plain
// epoll echo of the same packets over as many connections, which uses nothing of the product. Devices of both kinds exist:
// those that answer at QoS 1 and wait for the PUBACK, as some SDKs have them do, and those that answer at QoS 0.

internal import Glibc
internal import JSON

enum MethodsBench {
    /// Design: at least this share of the echo's round trips, and at least so many a second on two cores.
    static let wanted: [BenchRow.Wanted] = [.ratio(0.5), .atLeast(20_000)]
    /// Jobs at the same time in the second row, where the start of a job weighs less.
    private static let jobsAtOnce = 10
    /// Long enough that turns of the scheduler even out.
    private static let echoSeconds = 4

    static func job(name: String = "reboot", responseTimeout: Int64 = 30, condition: String = "*") -> JSONObject {
        [
            "type": "scheduleDeviceMethod", "queryCondition": .string(condition), "maxExecutionTimeInSeconds": 3600,
            "cloudToDeviceMethod": [
                "methodName": .string(name), "payload": ["delay": 30],
                "responseTimeoutInSeconds": .integer(responseTimeout), "connectTimeoutInSeconds": 0,
            ],
        ]
    }

    static func rows(_ cluster: BenchCluster) async throws -> [BenchRow] {
        try await cluster.fill(cluster.settings.devices)
        var rows: [BenchRow] = []
        for qos in cluster.settings.qos { rows += try await self.rows(cluster, qos: qos) }
        return rows
    }

    private static func rows(_ cluster: BenchCluster, qos: Int) async throws -> [BenchRow] {
        let settings = cluster.settings
        var single: [Run] = []
        var many: [Run] = []
        var echo: [Run] = []
        var rounds: [Run] = []
        for round in 1...settings.repeats {
            try await cluster.reset()
            try await cluster.startRoles(workers: settings.workers)
            let gateway = try await cluster.startGateway(devices: settings.devices)
            try await cluster.startFleet(
                "devices", devices: settings.devices, gateway: gateway, options: ["--qos", "\(qos)"])
            // One job that is not counted: what a process does for the first time is no measure of it.
            _ = try await runJobs(cluster, ["warm-\(round)"])
            single.append(try await runJobs(cluster, ["method-\(round)"]))
            many.append(try await runJobs(cluster, (1...jobsAtOnce).map { "methods-\(round)-\($0)" }))
            echo.append(try await runEcho(cluster, round, qos: qos, .steady))
            rounds.append(try await runEcho(cluster, round, qos: qos, .rounds))
        }
        let steady = BenchRow.Limit(name: "epoll echo", runs: echo)
        var row = BenchRow(name: "method job, QoS \(qos)", runs: single)
        row.limit = steady
        row.wanted = wanted
        // The same job against the same exchange: a job calls a device once, so no PUBACK shares a packet with a next call.
        var once = BenchRow(name: "the same, QoS \(qos)", unit: "items/s", series: Series(single.map(\.rate)))
        once.cpu = row.cpu
        once.limit = BenchRow.Limit(name: "epoll echo in rounds", runs: rounds)
        var manyRow = BenchRow(name: "\(jobsAtOnce) method jobs at once, QoS \(qos)", runs: many)
        manyRow.limit = steady
        return [
            row, once, manyRow, BenchRow(name: "epoll echo, QoS \(qos)", runs: echo),
            BenchRow(name: "epoll echo in rounds, QoS \(qos)", runs: rounds),
        ]
    }

    /// From the first creation to the last end.
    private static func runJobs(_ cluster: BenchCluster, _ ids: [String]) async throws -> Run {
        try await cluster.measured {
            for id in ids { try await cluster.put(id, job()) }
            var succeeded = 0
            for id in ids {
                let times = try await cluster.wait(for: id, id) { $0.state == "completed" }
                guard times.succeeded == cluster.settings.devices else {
                    throw BenchError.jobFailed(
                        "\(id): \(times.succeeded) of \(cluster.settings.devices) devices answered.")
                }
                succeeded += times.succeeded
            }
            return (succeeded, try await cluster.seconds(ids))
        }
    }

    private static func runEcho(
        _ cluster: BenchCluster, _ round: Int, qos: Int, _ pace: Echo.Pace
    ) async throws -> Run {
        try await cluster.reset()
        let settings = cluster.settings
        // Two processes share the machine, as the gateway and the devices do.
        let threads = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2)
        let common = [
            "--devices", "\(settings.devices)", "--qos", "\(qos)", "--threads", "\(threads)", "--stay",
        ]
        cluster.context.progress("epoll echo \(round), \(pace)")
        let server = try cluster.start(
            "echo server",
            ["bench", "echo-server", "--seconds", "\(echoSeconds)"] + common
                + (pace == .rounds ? ["--rounds"] : []))
        let port = try await server.event("echo_listening")["port"]?.integerValue ?? 0
        _ = try cluster.start(
            "echo client", ["bench", "echo-client", "--port", "\(port)"] + common)
        _ = try await server.event("echo_connected")
        let run = try await cluster.measured {
            let done = try await server.event("echo_done")
            return (Int(done["roundTrips"]?.integerValue ?? 0), done["seconds"]?.doubleValue)
        }
        await cluster.stopRoles()
        return run
    }
}
