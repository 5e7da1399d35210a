// The private cluster's promises: data survives a restart, an address too; nothing outlives its owner; errors explain.

import Foundation
import Postgres
import ServiceKit
import TestKit
import Testing

@testable import DevCluster

@Suite struct DevClusterTests {
    private func pool(_ addresses: DevCluster.Addresses) -> PostgresPool {
        PostgresPool(
            PostgresConfiguration(connectionString: addresses.postgresTCP, maximumConnections: 1),
            clock: SystemClock(), random: SystemRandom(), log: .silent, metrics: Metrics())
    }

    @Test func dataAndAddressesSurviveARestart() async throws {
        let directory = TestCluster.newDirectory()
        let first = TestCluster.own(isEphemeral: false, directory: directory)
        let before = try await first.start()
        let old = pool(before)
        try await old.run(Statement(name: "t", text: "CREATE TABLE t AS SELECT 42 AS n"))
        await old.close()
        let other = TestCluster.own(isEphemeral: false, directory: directory)
        let refusal = await #expect(throws: DevClusterError.self) { try await other.start() }
        guard case .directoryInUse? = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        await first.stop()
        await first.stop()
        let second = TestCluster.own(isEphemeral: true, directory: directory)
        let after = try await second.start()
        #expect(after.postgresPort == before.postgresPort && after.redisPort == before.redisPort)
        let new = pool(after)
        #expect(try await new.run(Statement(name: "read", text: "SELECT n FROM t")).only?.get("n") == 42)
        await new.close()
        await second.stop()
        // Ephemeral: nothing is left.
        #expect(!FileManager.default.fileExists(atPath: directory))
    }

    private func isFree(_ lock: String) -> Bool {
        let descriptor = open(lock, O_RDWR | O_CLOEXEC)
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) == 0
    }

    /// Goal: after a kill the next start finds data and addresses. Method: drop the owner without stopping, which lets the
    /// kernel close pipes and locks as it does for a killed process, and start again while the servers are still ending.
    @Test func aStartWaitsForTheServersOfAKilledProcess() async throws {
        let directory = TestCluster.newDirectory()
        var first: DevCluster? = TestCluster.own(isEphemeral: false, directory: directory)
        let before = try #require(try await first?.start())
        let old = pool(before)
        try await old.run(Statement(name: "t", text: "CREATE TABLE t AS SELECT 42 AS n"))
        await old.close()
        first = nil
        // A kernel closes a killed process' files at once; a task of this process may hold the dropped owner a little longer.
        try await eventually("the owner's lock is free", within: .seconds(60), every: .milliseconds(1)) {
            isFree("\(directory)/lock")
        }
        let second = TestCluster.own(isEphemeral: true, directory: directory)
        let after = try await second.start()
        #expect(after.postgresPort == before.postgresPort && after.redisPort == before.redisPort)
        let new = pool(after)
        #expect(try await new.run(Statement(name: "read", text: "SELECT n FROM t")).only?.get("n") == 42)
        await new.close()
        await second.stop()
        #expect(!FileManager.default.fileExists(atPath: directory))
    }

    /// Stages of a start, told by the files that appear.
    @Test(arguments: ["", "lock", "password", "postgres/PG_VERSION", "postgres/postmaster.pid", "sockets/redis"])
    func stoppingWhileStarting(stage: String) async throws {
        let directory = TestCluster.newDirectory()
        let cluster = TestCluster.own(directory: directory)
        let start = Task { try await cluster.start() }
        if !stage.isEmpty {
            try await eventually("the stage \(stage) is reached", within: .seconds(60), every: .milliseconds(1)) {
                FileManager.default.fileExists(atPath: "\(directory)/\(stage)")
            }
        }
        await cluster.stop()
        do {
            _ = try await start.value
        } catch DevClusterError.stopped {
            // Stopped in time.
        } catch {
            Issue.record(error)
        }
        await cluster.stop()
        try await eventually("the directory is removed") { !FileManager.default.fileExists(atPath: directory) }
    }

    @Test func aFailingServerShowsItsLog() async throws {
        let directory = TestCluster.newDirectory()
        let cluster = DevCluster(
            DevCluster.Options(directory: directory, isEphemeral: true, postgresSettings: ["shared_buffers": "many"]),
            environment: ProcessInfo.processInfo.environment)
        let error = await #expect(throws: DevClusterError.self) { try await cluster.start() }
        #expect(error?.description.contains("invalid value for parameter \"shared_buffers\"") ?? false)
        #expect(!FileManager.default.fileExists(atPath: directory))
    }

    @Test func missingProgramsAndUnusableDirectoriesAreNamed() async throws {
        let long = "/tmp/" + String(repeating: "x", count: 90)
        for (directory, word) in [(long, "too long"), ("/proc/muster", "cannot be created")] {
            let cluster = TestCluster.own(directory: directory)
            let error = await #expect(throws: DevClusterError.self) { try await cluster.start() }
            #expect(error?.description.contains(word) ?? false)
        }
        if geteuid() == 0 {
            let closed = TestCluster.newDirectory()
            try FileManager.default.createDirectory(
                atPath: closed, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            let error = await #expect(throws: DevClusterError.self) {
                try await TestCluster.own(directory: closed + "/inner").start()
            }
            #expect(error?.description.contains("may not enter \(closed)") ?? false)
            try FileManager.default.removeItem(atPath: closed)
        }
    }

    /// Goal: what was started ends with its owner. Method: drop the owner, which closes the pipe as the kernel does when
    /// a process is killed; the program must end and its data must go.
    @Test func aProgramEndsWithItsOwner() async throws {
        let directory = TestCluster.newDirectory()
        let data = "\(directory)/postgres"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        var process: SupervisedProcess? = try SupervisedProcess(
            command: ["/bin/sh", "-c", "echo $$ > \(directory)/pid; exec tail -f /dev/null"], log: "\(directory)/log",
            endSignal: "TERM", removing: data, environment: ["PATH=/usr/bin:/bin"])
        var pid: Int32 = 0
        try await eventually("the program runs") {
            let text = FileManager.default.contents(atPath: "\(directory)/pid") ?? Data()
            pid = Int32(String(decoding: text, as: UTF8.self).dropLast()) ?? 0
            return pid > 0
        }
        #expect(process?.endStatus == nil)
        process = nil
        // One of these gets the number of the pipe that was just closed; nobody may close it a second time.
        let descriptors = (0..<50).map { _ in open("/dev/null", O_RDONLY) }
        defer { for descriptor in descriptors { close(descriptor) } }
        try await eventually("the program ended and its directory is gone") {
            !FileManager.default.fileExists(atPath: directory) && kill(pid, 0) != 0
        }
        for descriptor in descriptors { #expect(fcntl(descriptor, F_GETFD) >= 0) }
    }

    @Test func aStubbornProgramIsKilled() async throws {
        let directory = TestCluster.newDirectory()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let process = try SupervisedProcess(
            command: ["/bin/sh", "-c", "trap '' TERM; echo > \(directory)/up; while :; do tail -f /dev/null; done"],
            log: "\(directory)/log", endSignal: "TERM", removing: "", environment: ["PATH=/usr/bin:/bin"])
        try await eventually("the program runs") { FileManager.default.fileExists(atPath: "\(directory)/up") }
        await process.stop(grace: .milliseconds(200), clock: SystemClock())
        #expect(process.endStatus == 137)
        try FileManager.default.removeItem(atPath: directory)
    }
}
