// One `muster` process of a test: the binary that was built beside the tests, with its log kept for a failure.

import Foundation
import JSON
import TestKit
import Testing

final class MusterProcess: Sendable {
    private let process = Process()
    private let logFile: String
    /// The subcommand.
    let role: String

    init(_ arguments: [String], world: TestWorld) throws {
        role = arguments.first ?? ""
        logFile = "/tmp/muster-process-\(UUID().uuidString).log"
        try Data().write(to: URL(filePath: logFile))
        process.executableURL = Self.binary
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["DATABASE_URL": world.postgresConnectionString, "REDIS_URL": world.redisURL]
        ) { $1 }
        let log = try FileHandle(forWritingTo: URL(filePath: logFile))
        process.standardOutput = log
        process.standardError = log
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        unlink(logFile)
    }

    private static var binary: URL {
        // The bundle of the tests lies in the build folder, and so does the executable.
        URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "muster")
    }

    var isRunning: Bool { process.isRunning }

    var log: String {
        String(decoding: FileManager.default.contents(atPath: logFile) ?? Data(), as: UTF8.self)
    }

    /// The most memory that it ever had resident.
    func peakMegabytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }) / 1024
    }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// The exit code, once the process has ended.
    func exitCode() async throws -> Int32 {
        try await eventually("the process has ended", within: .seconds(60)) { !process.isRunning }
        return process.terminationStatus
    }

    /// Waits for an event in the log.
    func event(_ name: String) async throws {
        try await eventually("\(name) in the log", within: .seconds(60)) {
            try #require(process.isRunning, "ended before \(name):\n\(log)")
            return log.contains("\"event\":\"\(name)\"")
        }
    }

    /// Of the address that the process listens on.
    func port() throws -> Int {
        let line = try #require(log.split(separator: "\n").first { $0.contains("\"event\":\"listening") })
        let event = try JSONValue(parsing: String(line))
        let address = try #require(event["address"]?.stringValue ?? event["addresses"]?.arrayValue?.first?.stringValue)
        return try #require(address.split(separator: ":").last.flatMap { Int($0) })
    }
}
