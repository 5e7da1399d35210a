// A coordinator, a gateway and a fleet of simulated devices as real processes, for tests that start and end workers.

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

struct FleetCluster {
    let world: TestWorld
    let store: JobStore
    let coordinator: MusterProcess
    let gateway: MusterProcess
    let fleet: MusterProcess

    /// `latency` as `muster simulate` takes it.
    init(_ world: TestWorld, devices: Int, latency: String) async throws {
        self.world = world
        store = JobStore(pool: world.pool)
        coordinator = try MusterProcess(["coordinator", "--listen", "127.0.0.1:0"], world: world)
        try await coordinator.event("listening")
        gateway = try MusterProcess(["gateway", "--listen-mqtt", "127.0.0.1:0", "--sessions", "2000"], world: world)
        try await gateway.event("listening_mqtt")
        let policies = try await TwinStore(world.pool).policies()
        let owner = try #require(policies.first { $0.name == "iothubowner" })
        let device = try #require(policies.first { $0.name == "device" })
        func text(_ policy: Policy, _ host: String) -> String {
            ConnectionString.service(hostName: host, policyName: policy.name, key: policy.primaryKey)
        }
        let (http, mqtt) = (try coordinator.port(), try gateway.port())
        fleet = try MusterProcess(
            [
                "simulate", "--devices", "\(devices)", "--create", "--plain-http", "--json",
                "--connection-string", text(owner, "localhost:\(http)"), "--device-policy", text(device, "localhost"),
                "--mqtt", "127.0.0.1:\(mqtt)", "--plain", "--latency", latency,
            ], world: world)
        try await fleet.event("ready")
    }

    func worker(_ options: [String] = []) async throws -> MusterProcess {
        let worker = try MusterProcess(["worker"] + options, world: world)
        try await worker.event("worker_started")
        return worker
    }

    func put(_ id: String, _ action: JobAction, condition: String = "*") async throws {
        let definition = JobDefinition(
            jobID: try JobID(id), action: action, queryCondition: condition, startTime: nil,
            maxExecutionTimeInSeconds: 3600)
        _ = try await store.create(definition, actor: "test")
        try await LeaseStore(redis: world.redis).wake(.coordinators)
    }

    func putCalls(_ id: String, condition: String = "*") async throws {
        try await put(
            id,
            .deviceMethod([
                "methodName": "reboot", "payload": nil, "responseTimeoutInSeconds": 60, "connectTimeoutInSeconds": 0,
            ]), condition: condition)
    }

    /// Returns the job as soon as the condition holds.
    @discardableResult
    func wait(for id: String, until condition: (JobRecord) -> Bool) async throws -> JobRecord {
        var last: JobRecord?
        try await eventually("\(id) as wanted", within: .seconds(90)) {
            let record = try #require(try await store.get(try JobID(id)))
            last = record
            return condition(record)
        }
        return try #require(last)
    }

    func query(_ text: String) async throws -> Int {
        let row = try #require(try await world.pool.run(Statement(name: "query", text: text)).first)
        return try row.get("n")
    }

    /// Devices beside those of the fleet: d-1, d-2 …
    func addTwins(_ count: Int) async throws {
        _ = try await world.pool.run(
            Statement(
                name: "add_twins",
                text: """
                    WITH added AS (INSERT INTO devices (device_id, generation_id)
                                   SELECT 'd-' || n, 'g' FROM generate_series(1, $1::integer) AS n
                                   RETURNING device_id)
                    INSERT INTO twins (device_id) SELECT device_id FROM added
                    """), [.integer(Int64(count))])
    }

    /// Ends the fleet and returns what its devices saw of calls.
    func callsSeen() async throws -> JSONValue {
        fleet.signal(SIGTERM)
        #expect(try await fleet.exitCode() == 0, "\(fleet.log)")
        let report = try #require(
            try fleet.log.split(separator: "\n").map(String.init).filter { $0.contains("\"event\":\"report\"") }
                .map { try JSONValue(parsing: $0) }.first)
        return try #require(report["calls"])
    }
}

extension MusterProcess {
    func count(_ event: String) -> Int {
        log.split(separator: "\n").count { $0.contains("\"event\":\"\(event)\"") }
    }
}
