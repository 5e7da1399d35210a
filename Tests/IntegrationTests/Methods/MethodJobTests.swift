// Jobs of direct methods: worker, coordinator, directory and gateway ledger on real stores; only the devices are closures.

import JSON
import JobModel
import JobStore
import LeaseStore
import RouteStore
import ServiceKit
import TestKit
import Testing

@Suite struct MethodJobTests {
    private static func names(_ range: Range<Int>) -> [String] {
        range.map { "d-" + String(repeating: "0", count: 7 - String($0).count) + String($0) }
    }

    private func put(
        _ world: JobWorld, _ id: String, condition: String = "*", seconds: Int64 = 3600, response: Int64 = 30
    ) async throws {
        let definition = JobDefinition(
            jobID: try JobID(id),
            action: .deviceMethod([
                "methodName": "lockDoor", "payload": ["a": 1], "responseTimeoutInSeconds": .integer(response),
                "connectTimeoutInSeconds": 0,
            ]), queryCondition: condition, startTime: nil, maxExecutionTimeInSeconds: seconds)
        _ = try await world.store.create(definition, actor: "test")
        try await world.leases.wake(.coordinators)
    }

    @Test func everyDeviceIsCalledOnceAndItsAnswerKept() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1200) { _ in [:] }
            let gateway = DeviceDouble("g", world) { device, _ in
                device.hasSuffix("7") ? .answers(status: 500, payload: "") : .answers(status: 200, payload: #"{"d":1}"#)
            }
            try await gateway.start()
            try await gateway.connect(Self.names(0..<1200))
            try await world.startCoordinator()
            try await world.startWorker()
            try await world.startWorker()
            try await put(world, "m")
            let job = try await world.wait(for: "m") { $0.state == .completed }
            // Any answered status is a success of the job.
            #expect(job.statistics == JobStatistics(devices: 1200, succeeded: 1200))
            #expect(gateway.calls.count == 1200 && gateway.calls.values.allSatisfy { $0 == 1 })
            #expect(
                try await world.query(
                    "SELECT count(*) AS n FROM work_items WHERE response = '{\"status\":200,\"payload\":{\"d\":1}}'")
                    == 1080)
            #expect(
                try await world.query("SELECT count(*) AS n FROM work_items WHERE response ->> 'status' = '500'") == 120
            )
            await gateway.die()
        }
    }

    @Test func theGatewayIsToldWhatItNeedNotKeep() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(50) { _ in [:] }
            let payload = "\"" + String(repeating: "x", count: 5000) + "\""
            let gateway = DeviceDouble("g", world) { device, _ in
                device.hasSuffix("9") ? .silence : .answers(status: 200, payload: device.hasSuffix("7") ? "1" : payload)
            }
            try await gateway.start()
            try await gateway.connect(Self.names(0..<50))
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "m", response: 5)
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 50, succeeded: 45, failed: 5))
            // Large answers as they are recorded, while their batches wait for the silent; every call when its batch ends.
            #expect(gateway.settled == 40)
            let batches = try await world.query("SELECT count(*) AS n FROM work_batches")
            try await eventually("the batches are closed", within: JobWorld.patience) { gateway.closed == batches }
            try await eventually("the calls are forgotten", within: JobWorld.patience) { gateway.remembered == 0 }
            await gateway.die()
        }
    }

    @Test func offlineDevicesAreParkedAndCalledWhenTheyConnect() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(60) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .answers(status: 200, payload: "1") }
            try await gateway.start()
            try await gateway.connect(Self.names(0..<20))
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "m")
            try await eventually("forty parked items", within: JobWorld.patience) {
                try await world.query("SELECT count(*) AS n FROM waiting") == 40
            }
            let waiting = try await world.wait(for: "m") { $0.statistics.succeeded == 20 && $0.statistics.running == 0 }
            #expect(waiting.statistics == JobStatistics(devices: 60, pending: 40, succeeded: 20))
            try await gateway.connect(Self.names(20..<50))
            _ = try await world.wait(for: "m") { $0.statistics.succeeded == 50 }
            // The sweep finds what a gateway missed.
            try await gateway.connect(Self.names(50..<60), readingWaiting: false)
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 60, succeeded: 60))
            #expect(gateway.calls.count == 60 && gateway.calls.values.allSatisfy { $0 == 1 })
            await gateway.die()
        }
    }

    @Test func theDeadlineFailsWhatIsParked() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(10) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .answers(status: 200, payload: "1") }
            try await gateway.start()
            try await gateway.connect(Self.names(0..<4))
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "m", seconds: 15)
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 10, succeeded: 4, failed: 6))
            #expect(
                try await world.query(
                    "SELECT count(*) AS n FROM work_items WHERE error_code = 'JobRunPreconditionFailed'") == 6)
            await gateway.die()
        }
    }

    @Test func silenceAndDropsFailWithTheirCodes() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(9) { _ in [:] }
            let gateway = DeviceDouble("g", world) { device, _ in
                switch device.last {
                case "0", "1", "2": .silence
                case "3", "4", "5": .drops
                case "6": .answers(status: 200, payload: "not json")
                default: .answers(status: 200, payload: #""\u0000""#)
                }
            }
            try await gateway.start()
            try await gateway.connect(Self.names(0..<9))
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "m", response: 5)
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 9, failed: 9))
            let codes = try await world.texts(
                "SELECT error_code || ' ' || count(*) AS text FROM work_items GROUP BY error_code ORDER BY 1")
            #expect(codes == ["BadDeviceResponse 3", "DeviceNotOnline 3", "GatewayTimeout 3"])
            await gateway.die()
        }
    }

    @Test func aCancelRecordsWhatIsInFlightAndEndsTheRest() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(40) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .silence }
            try await gateway.start()
            try await gateway.connect(Self.names(0..<10))
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "m")
            try await eventually("ten calls in flight", within: JobWorld.patience) { gateway.calls.count == 10 }
            _ = try await world.store.cancel(try JobID("m"), actor: "test", strict: false)
            try await world.leases.wake(.coordinators)
            try await gateway.connect(Self.names(10..<20))
            for device in Self.names(0..<10) { gateway.answerNow(device, status: 200) }
            let job = try await world.wait(for: "m") { $0.state == .cancelled }
            #expect(job.statistics == JobStatistics(devices: 40, succeeded: 10, cancelled: 30))
            #expect(gateway.calls.count == 10, "nothing is sent after the cancel")
            await gateway.die()
        }
    }
}
