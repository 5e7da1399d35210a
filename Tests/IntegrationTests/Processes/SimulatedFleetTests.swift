// Goal: what a job records of its calls equals what the devices saw, one call each (I1, I2). Method: the real processes
// (coordinator, worker, gateway) and 200 devices of `muster simulate` over MQTT, whose account is held against the rows.

import Access
import Foundation
import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import ServiceKit
import TestKit
import Testing
import TwinStore

@Suite struct SimulatedFleetTests {
    private static let devices = 200

    @Test func jobsRecordWhatSimulatedDevicesSaw() async throws {
        try await withWorld { world in
            let coordinator = try MusterProcess(["coordinator", "--listen", "127.0.0.1:0"], world: world)
            try await coordinator.event("listening")
            let gateway = try MusterProcess(
                ["gateway", "--listen-mqtt", "127.0.0.1:0", "--sessions", "1000"], world: world)
            try await gateway.event("listening_mqtt")
            let worker = try MusterProcess(["worker"], world: world)
            try await worker.event("worker_started")

            let policies = try await TwinStore(world.pool).policies()
            let owner = try #require(policies.first { $0.name == "iothubowner" })
            let device = try #require(policies.first { $0.name == "device" })
            let host = "localhost:\(try coordinator.port())"
            let reportFile = NSTemporaryDirectory() + "muster-seen-\(UUID().uuidString).ndjson"
            defer { unlink(reportFile) }
            let fleet = try MusterProcess(
                [
                    "simulate", "--devices", "\(Self.devices)", "--create", "--plain-http", "--json", "--progress",
                    "--connection-string", text(owner, host), "--device-policy", text(device, "localhost"),
                    "--mqtt", "127.0.0.1:\(try gateway.port())", "--plain", "--latency", "1ms..30ms",
                    "--failure-rate", "0.1", "--report-file", reportFile,
                ], world: world)
            try await fleet.event("ready")

            let store = JobStore(pool: world.pool)
            let action = JobAction.deviceMethod([
                "methodName": "reboot", "payload": ["delay": 3], "responseTimeoutInSeconds": 30,
                "connectTimeoutInSeconds": 0,
            ])
            try await run("calls", action, store, world)
            try await run("desired", .updateTwin(["properties": ["desired": ["fan": ["speed": 3]]]]), store, world)

            // They come when they come; the job does not wait for them.
            try await eventually("the notifications", within: .seconds(30)) {
                fleet.log.contains("\"notifications\":100}")
            }
            fleet.signal(15)
            #expect(try await fleet.exitCode() == 0, "\(fleet.log)")
            let report = try #require(
                try fleet.log.split(separator: "\n").map(String.init).filter { $0.contains("\"event\":\"report\"") }
                    .map { try JSONValue(parsing: $0) }.first)
            #expect(report["connected"] == .integer(Int64(Self.devices)))
            let calls = try #require(report["calls"])
            #expect(calls["received"] == 100 && calls["answered"] == 100, "\(report.text)")
            #expect(calls["devicesOnce"] == 100 && calls["devicesRepeatedly"] == 0 && calls["repeatedRids"] == 0)

            #expect(report["desired"]?["gaps"] == 0 && report["desired"]?["highestVersion"] == 2, "\(report.text)")
            let seen = try lines(reportFile)
            #expect(seen.count == Self.devices)
            let failed = seen.count { $0["calls"]?["reboot"]?.arrayValue?.first?["status"] == 500 }
            #expect(calls["simulatedFailures"] == .integer(Int64(failed)))
            for (number, line) in seen.enumerated() {
                #expect(line["callCount"] == (number % 4 < 2 ? 1 : 0), "\(line.text)")
                #expect(line["desired"]?["version"] == (number % 4 < 2 ? 2 : 1), "\(line.text)")
            }
            #expect(try await answersWithStatus500(world) == failed)
            for drift in try await store.recount(nil) { #expect(drift.findings.isEmpty, "\(drift)") }
            for process in [gateway, worker, coordinator] {
                process.signal(15)
                #expect(try await process.exitCode() == 0, "\(process.log)")
            }
        }
    }

    /// On the devices of the rings 0 and 1.
    private func run(_ id: String, _ action: JobAction, _ store: JobStore, _ world: TestWorld) async throws {
        let definition = JobDefinition(
            jobID: try JobID(id), action: action, queryCondition: "tags.ring < 2", startTime: nil,
            maxExecutionTimeInSeconds: 3600)
        _ = try await store.create(definition, actor: "test")
        try await LeaseStore(redis: world.redis).wake(.coordinators)
        try await eventually("\(id) is completed", within: .seconds(60)) {
            try #require(try await store.get(try JobID(id))).state == .completed
        }
        let job = try #require(try await store.get(try JobID(id)))
        #expect(job.statistics == JobStatistics(devices: 100, succeeded: 100))
    }

    private func answersWithStatus500(_ world: TestWorld) async throws -> Int {
        let rows = try await world.pool.run(
            Statement(
                name: "answers", text: "SELECT count(*) AS n FROM work_items WHERE response ->> 'status' = '500'"))
        return try #require(rows.first).get("n", as: Int.self)
    }

    private func text(_ policy: Policy, _ host: String) throws -> String {
        ConnectionString.service(hostName: host, policyName: policy.name, key: policy.primaryKey)
    }

    private func lines(_ path: String) throws -> [JSONValue] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try JSONValue(parsing: String($0))
        }
    }
}
