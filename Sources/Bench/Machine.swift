// The head of a report: machine, versions and settings.

internal import Glibc
internal import Postgres
internal import Redis
internal import ServiceKit

enum Machine {
    static func head(_ cluster: BenchCluster, _ settings: BenchSettings) async throws -> [(name: String, value: String)]
    {
        var head: [(String, String)] = [("machine", machine), ("system", system), ("build", build)]
        let rows = try await cluster.pool.run(Statements.readSettings)
        var parts: [String] = []
        for row in rows {
            let (name, setting): (String, String) = (try row.get("name"), try row.get("setting"))
            parts.append(name == "server_version" ? setting : "\(name)=\(setting)")
        }
        head.append(("postgres", parts.joined(separator: " ")))
        head.append(("redis", try await redisVersion(cluster)))
        let batches = settings.concurrentBatches.map { ", \($0) batches each" } ?? ""
        head.append(
            (
                "round",
                "\(settings.devices) devices, \(settings.workers) workers\(batches), \(settings.repeats) repeats, "
                    + "seed \(settings.seed)"
            ))
        return head.map { (name: $0.0, value: $0.1) }
    }

    private static var machine: String {
        let model = ProcessTable.read("/proc/cpuinfo")?.split(separator: "\n")
            .first { $0.hasPrefix("model name") }?.split(separator: ":").last.map { $0.drop { $0 == " " } }
        let memory =
            ProcessTable.read("/proc/meminfo")?.split(separator: "\n")
            .first { $0.hasPrefix("MemTotal:") }?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        let load = ProcessTable.read("/proc/loadavg")?.split(separator: " ").first ?? "?"
        let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return "\(model.map(String.init) ?? "unknown processor"), \(cores) cores, \(memory / 1_000_000) GB, "
            + "load before \(load)"
    }

    private static var system: String {
        (ProcessTable.read("/proc/sys/kernel/ostype") ?? "").trimmed() + " "
            + (ProcessTable.read("/proc/sys/kernel/osrelease") ?? "").trimmed()
    }

    private static var build: String {
        #if DEBUG
            "debug: its figures mean nothing"
        #else
            "release"
        #endif
    }

    private static func redisVersion(_ cluster: BenchCluster) async throws -> String {
        let text = try await cluster.redis.command(["INFO", "server"]).text ?? ""
        let lines = text.split(whereSeparator: \.isNewline)
        return lines.first { $0.hasPrefix("redis_version:") }?.split(separator: ":").last.map(String.init) ?? "unknown"
    }
}

extension String {
    fileprivate func trimmed() -> String { String(reversed().drop { $0.isWhitespace }.reversed()) }
}
