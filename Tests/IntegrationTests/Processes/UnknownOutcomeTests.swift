// Goal: calls that a killed gateway had sent end as failed with a code and a text of their own, wherever results can be
// seen, and nothing calls those devices again (I5). Method: the real processes, and simulated devices that never answer;
// kill -9 of the gateway, another one in its place, a further job as the control.

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

@Suite struct UnknownOutcomeTests {
    private static let devices: Int64 = 20
    private static let text =
        "The call was handed to a gateway that is gone; whether the device got it cannot be known."

    @Test func aKilledGatewayLeavesOutcomesUnknownAndNobodyCallsAgain() async throws {
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
            let service = ConnectionString.service(
                hostName: "localhost:\(try coordinator.port())", policyName: owner.name, key: owner.primaryKey)
            let reportFile = NSTemporaryDirectory() + "muster-seen-\(UUID().uuidString).ndjson"
            defer { unlink(reportFile) }
            let port = try gateway.port()
            let fleet = try MusterProcess(
                [
                    "simulate", "--devices", "\(Self.devices)", "--create", "--plain-http", "--json", "--progress",
                    "--connection-string", service, "--device-policy",
                    ConnectionString.service(
                        hostName: "localhost", policyName: device.name, key: device.primaryKey), "--mqtt",
                    "127.0.0.1:\(port)", "--plain", "--silent-share", "1", "--report-file", reportFile,
                ], world: world)
            try await fleet.event("ready")

            let store = JobStore(pool: world.pool)
            try await put("hold", response: 60, store, world)
            try await eventually("the calls", within: .seconds(60)) {
                fleet.log.contains("\"calls\":\(Self.devices),")
            }
            gateway.signal(9)
            _ = try await gateway.exitCode()
            // At the same address, so that the devices come back and could be called.
            let next = try MusterProcess(
                ["gateway", "--listen-mqtt", "127.0.0.1:\(port)", "--sessions", "1000"], world: world)
            try await next.event("listening_mqtt")
            try await expectUnknown("hold", store, service, world)

            // The control: the same devices can be called, and a call that gets no answer is another thing.
            try await put("ping", response: 5, store, world)
            try await ended("ping", store)
            #expect(try await codes("ping", world) == ["failed GatewayTimeout \(Self.devices)"])
            fleet.signal(15)
            #expect(try await fleet.exitCode() == 0, "\(fleet.log)")
            let seen = try String(contentsOfFile: reportFile, encoding: .utf8).split(separator: "\n")
            #expect(seen.count == Self.devices)
            for line in seen {
                let calls = try JSONValue(parsing: String(line))["calls"]
                #expect(calls?["hold"]?.arrayValue?.count == 1 && calls?["ping"]?.arrayValue?.count == 1, "\(line)")
            }
            for drift in try await store.recount(nil) { #expect(drift.findings.isEmpty, "\(drift)") }
            for process in [next, worker, coordinator] {
                process.signal(15)
                #expect(try await process.exitCode() == 0, "\(process.log)")
            }
        }
    }

    private func put(_ method: String, response: Int64, _ store: JobStore, _ world: TestWorld) async throws {
        let definition = JobDefinition(
            jobID: try JobID(method),
            action: .deviceMethod([
                "methodName": .string(method), "payload": nil, "responseTimeoutInSeconds": .integer(response),
                "connectTimeoutInSeconds": 0,
            ]), queryCondition: "*", startTime: nil, maxExecutionTimeInSeconds: 3600)
        _ = try await store.create(definition, actor: "test")
        try await LeaseStore(redis: world.redis).wake(.coordinators)
    }

    private func ended(_ id: String, _ store: JobStore) async throws {
        try await eventually("\(id) has ended", within: .seconds(90)) {
            try #require(try await store.get(try JobID(id))).state == .completed
        }
        let job = try #require(try await store.get(try JobID(id)))
        #expect(job.statistics == JobStatistics(devices: Self.devices, failed: Self.devices))
    }

    /// In the rows, in the results of the compatible API, and on the command line.
    private func expectUnknown(
        _ id: String, _ store: JobStore, _ service: String, _ world: TestWorld
    ) async throws {
        try await ended(id, store)
        #expect(try await codes(id, world) == ["failed OutcomeUnknown \(Self.devices)"])
        for words in [["query", "SELECT * FROM devices.jobs WHERE jobId = '\(id)'"], ["job", "results", id]] {
            let process = try MusterProcess(
                words + ["--json", "--plain-http", "--connection-string", service], world: world)
            #expect(try await process.exitCode() == 0, "\(process.log)")
            let results = process.log
            for expected in ["\"OutcomeUnknown\"", Self.text] {
                #expect(results.components(separatedBy: expected).count == 1 + Int(Self.devices), "\(results)")
            }
            #expect(!results.contains("\"completed\"") && results.contains("\"failed\""))
        }
    }

    private func codes(_ id: String, _ world: TestWorld) async throws -> [String] {
        try await world.pool.run(
            Statement(
                name: "codes",
                text: """
                    SELECT i.state || ' ' || i.error_code || ' ' || count(*) AS text
                    FROM work_items i JOIN jobs j USING (job) WHERE j.job_id = $1 GROUP BY i.state, i.error_code
                    """), [.text(id)]
        ).map { try $0.get("text") }
    }
}
