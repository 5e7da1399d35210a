// One role of the product in a process of its own: the same binary as this one.

internal import DevCluster
internal import Foundation
internal import JSON
internal import ServiceKit

struct RoleProcess: Sendable {
    /// As reports call it, such as `worker 2`.
    let name: String
    let process: SupervisedProcess
    private let log: String
    private let clock: any ServiceClock

    /// A role starts within a second; a machine under load may take longer.
    static let startPatience: Duration = .seconds(60)
    /// A worker finishes its batches first.
    private static let stopGrace: Duration = .seconds(30)

    init(name: String, arguments: [String], environment: [String], log: String, clock: any ServiceClock) throws {
        guard let binary = Self.binary else { throw BenchError.noBinary }
        self.name = name
        self.log = log
        self.clock = clock
        process = try SupervisedProcess(
            command: [binary] + arguments, log: log, endSignal: "TERM", removing: "", environment: environment)
    }

    /// The first line of the log that reports `event`, once it is there.
    func event(_ event: String, within patience: Duration = startPatience) async throws -> JSONValue {
        let deadline = clock.now + patience
        while true {
            // Asked before the log is read: what a process wrote before its end counts.
            let isOver = clock.now >= deadline || process.endStatus != nil
            if let line = lines.first(where: { $0["event"] == .string(event) }) { return line }
            if isOver { break }
            try await clock.sleep(for: .milliseconds(50))
        }
        throw BenchError.roleFailed(name: name, log: tail)
    }

    func stop() async { await process.stop(grace: Self.stopGrace, clock: clock) }

    /// Ends it as a crash does, and returns when it is gone.
    func kill() async {
        process.kill()
        _ = await process.ended()
    }

    private var lines: [JSONValue] {
        guard let text = ProcessTable.read(log) else { return [] }
        return text.split(separator: "\n").compactMap { line in
            do {
                return try JSONValue(parsing: Array(line.utf8), limits: JSONLimits(depth: 16, bytes: 1 << 20))
            } catch {
                return nil  // Half a line, or what a shell wrote.
            }
        }
    }

    private var tail: String { String((ProcessTable.read(log) ?? "").suffix(2000)) }

    private static var binary: String? {
        do {
            return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        } catch {
            return nil
        }
    }
}
