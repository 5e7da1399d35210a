// Goal: nothing of a large job is dispatched later than two seconds after its cancel was acknowledged (I7), and an end of
// a job, by a person or by its time, meets results at any moment without contradicting itself (I1, I2, I3).
// Method: jobs of MUSTER_TEST_ITEMS devices (100,000; up to a million) are cancelled in full flight, judged by
// PostgreSQL's times and by what the devices saw; and thousands of small races between one end and one result.

import Foundation
import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import ServiceKit
import Synchronization
import TestKit
import Testing
import TwinModel

@Suite struct CancelUnderLoadTests {
    private static let items = Int(ProcessInfo.processInfo.environment["MUSTER_TEST_ITEMS"] ?? "") ?? 100_000
    /// Promised from the acknowledgement to the last dispatch.
    private static let promise = 2.0

    private func fill(_ world: JobWorld, _ devices: Int) async throws {
        try await world.execute(
            """
            WITH added AS (INSERT INTO devices (device_id, generation_id)
                           SELECT 'd-' || lpad(n::text, 7, '0'), 'g' FROM generate_series(0, \(devices - 1)) AS n
                           RETURNING device_id)
            INSERT INTO twins (device_id) SELECT device_id FROM added
            """)
    }

    /// Cancels, and returns PostgreSQL's clock behind the acknowledgement, in microseconds.
    private func cancel(_ world: JobWorld, _ id: String) async throws -> Int {
        guard case .cancelled = try await world.store.cancel(try JobID(id), actor: "test", strict: false) else {
            Issue.record("not cancelled")
            return 0
        }
        let acknowledged = try await world.query(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS n")
        try await world.leases.wake(.coordinators)
        return acknowledged
    }

    @Test func aLargeTwinJobStops() async throws {
        try await JobWorld.run { world in
            try await fill(world, Self.items)
            try await world.startCoordinator()
            try await world.startWorker()
            try await world.startWorker()
            _ = try await world.put("large", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "large") {
                $0.statistics.devices == Self.items && $0.statistics.succeeded >= Self.items / 20
            }
            let acknowledged = try await cancel(world, "large")
            let done = try await world.wait(for: "large", until: \.state.isEnded)
            let late = try await world.query(
                """
                SELECT coalesce((extract(epoch FROM max(updated_at)) * 1000000)::bigint - \(acknowledged), 0) AS n
                FROM work_items WHERE state = 'succeeded'
                """)
            print(
                "cancel of \(Self.items) twins: last result \(Double(late) / 1000) ms after the acknowledgement,",
                "\(done.statistics.succeeded) done, \(done.statistics.cancelled) cancelled")
            #expect(Double(late) / 1e6 < Self.promise)
            #expect(done.state == .cancelled)
            #expect(done.statistics.cancelled > 0, "it was done before the cancel")
            #expect(done.statistics.succeeded + done.statistics.cancelled == done.statistics.devices)
            let patched = try await world.query("SELECT count(*) AS n FROM twins WHERE tags ? 'a'")
            #expect(Int64(patched) == done.statistics.succeeded)
        }
    }

    @Test func aLargeMethodJobStops() async throws {
        try await JobWorld.run { world in
            let devices = min(Self.items, 20_000)
            try await fill(world, devices)
            let lastCall = Mutex(world.clock.now)
            let gateway = DeviceDouble("g", world) { _, _ in
                lastCall.withLock { $0 = world.clock.now }
                return .answers(status: 200, payload: "1")
            }
            try await gateway.start()
            try await gateway.connect((0..<devices).map { "d-" + String(String($0 + 10_000_000).dropFirst()) })
            try await world.startCoordinator()
            try await world.startWorker()
            try await world.startWorker()
            let action = JobAction.deviceMethod([
                "methodName": "m", "payload": nil, "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 0,
            ])
            _ = try await world.store.create(
                JobDefinition(
                    jobID: try JobID("large"), action: action, queryCondition: "*", startTime: nil,
                    maxExecutionTimeInSeconds: 3600), actor: "test")
            try await world.leases.wake(.coordinators)
            _ = try await world.wait(for: "large") {
                $0.statistics.devices == devices && $0.statistics.succeeded >= devices / 40
            }
            let acknowledged = try await cancel(world, "large")
            let moment = world.clock.now
            let done = try await world.wait(for: "large", until: \.state.isEnded)
            let dispatched = try await world.query(
                """
                SELECT coalesce((extract(epoch FROM max(created_at)) * 1000000)::bigint - \(acknowledged), 0) AS n
                FROM dispatches
                """)
            let called = lastCall.withLock { $0 } - moment
            print(
                "cancel of \(devices) calls: last call \(called.milliseconds) ms after the acknowledgement,",
                "\(done.statistics.succeeded) done, \(done.statistics.cancelled) cancelled")
            #expect(Double(dispatched) / 1e6 < Self.promise)
            #expect(called.inSeconds < Self.promise)
            #expect(done.statistics.cancelled > 0, "it was done before the cancel")
            // Each call that was made was recorded, and no device was called twice.
            #expect(gateway.calls.count == Int(done.statistics.succeeded + done.statistics.failed))
            #expect(gateway.calls.values.allSatisfy { $0 == 1 })
            await gateway.die()
        }
    }
}
