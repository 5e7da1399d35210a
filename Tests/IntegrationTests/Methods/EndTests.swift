// Goal: a job that is stopped, by a person or by its time, tells the truth about calls that a dead worker made (I2, I5).
// Method: a dead worker is one that claims, dispatches, calls, and is never heard of again.

import Coordinator
import JSON
import JobModel
import JobStore
import LeaseStore
import RouteStore
import ServiceKit
import TestKit
import Testing

@Suite struct EndTests {
    private static let devices = ["d-0000000", "d-0000001", "d-0000002"]

    private func put(_ world: JobWorld, seconds: Int64 = 3600) async throws {
        let definition = JobDefinition(
            jobID: try JobID("m"),
            action: .deviceMethod([
                "methodName": "m", "payload": nil, "responseTimeoutInSeconds": 60, "connectTimeoutInSeconds": 0,
            ]), queryCondition: "*", startTime: nil, maxExecutionTimeInSeconds: seconds)
        _ = try await world.store.create(definition, actor: "test")
        try await world.leases.wake(.coordinators)
    }

    /// Calls the first device, dispatches to the second without handing over, and leaves the third alone.
    private func deadWorker(_ world: JobWorld, gateway: DeviceDouble) async throws {
        let worker = WorkerID("dead")
        let id = try #require(try await world.takeWhenOffered(worker).first)
        let batch = try #require(try await world.store.claim([id], worker: worker).first)
        let (_, redisTime) = try await world.routes.find(Self.devices)
        let sendBefore = redisTime + Limits.sendWindow.milliseconds
        let part = JobStore.DispatchPart(
            gateway: gateway.id.name, incarnation: gateway.id.incarnation, seqs: [0, 1])
        #expect(
            try await world.store.dispatch([part], of: batch, sendBefore: sendBefore, response: .seconds(60)) != nil)
        let call = CallPart(
            job: id.job, batch: Int64(id.batch), fence: batch.fence.value, number: 1, sendBefore: sendBefore,
            responseMilliseconds: 60_000, replyTo: "dead", method: "m", payload: "null",
            items: [.init(seq: 0, attempt: 0, deviceID: Self.devices[0])])
        #expect(try await world.routes.push(call, to: gateway.id, batch: id, worker: worker) == .pushed)
        try await eventually("the call", within: JobWorld.patience) { gateway.calls[Self.devices[0]] == 1 }
    }

    private func outcomes(_ world: JobWorld) async throws -> [String] {
        try await world.texts(
            "SELECT state || coalesce(' ' || error_code, '') AS text FROM work_items ORDER BY seq")
    }

    @Test func aCancelAsksForTheCallsOfADeadWorker() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(3) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .answers(status: 207, payload: "1") }
            try await gateway.start()
            try await gateway.connect(Self.devices)
            try await world.startCoordinator()
            try await put(world)
            try await deadWorker(world, gateway: gateway)
            _ = try await world.store.cancel(try JobID("m"), actor: "test", strict: false)
            try await world.startWorker()
            let job = try await world.wait(for: "m") { $0.state == .cancelled }
            #expect(job.statistics == JobStatistics(devices: 3, succeeded: 1, cancelled: 2))
            #expect(try await outcomes(world) == ["succeeded", "cancelled JobCancelled", "cancelled JobCancelled"])
            #expect(gateway.calls == [Self.devices[0]: 1], "nothing is sent after the cancel")
            await gateway.die()
        }
    }

    /// Each round of the end takes the cancelled job out of the offers. Batches with calls to ask for must come back at
    /// once, or nobody asks while workers are busy when the sweep offers them.
    @Test func theEndOfACancelledJobKeepsCallsToAskForOnOffer() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(3) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .silence }
            try await gateway.start()
            try await gateway.connect(Self.devices)
            let coordinator = try await world.startCoordinator()
            try await put(world)
            try await deadWorker(world, gateway: gateway)
            _ = try await world.store.cancel(try JobID("m"), actor: "test", strict: false)
            await world.stop(coordinator)
            // What the sweep does when the lease has run out.
            let batch = try #require(try await world.store.claimedBatches(after: nil, limit: 1).first)
            try await world.leases.release(worker: WorkerID("dead"), batches: [batch.id])
            let returned = try await world.store.giveBack([(batch.id, batch.fence)])
            #expect(try await world.leases.offer(returned) == 1)
            let ender = Ender(store: world.store, leases: world.leases, log: .silent, metrics: Metrics())
            for _ in 1...2 {
                #expect(try await ender.endItems(of: batch.id.job, isCancelled: true) { true } == 0)
            }
            let taken = try await world.leases.take(worker: WorkerID("next"), count: 1, passing: [])
            #expect(taken.batches == [batch.id])
            await gateway.die()
        }
    }

    @Test func aCancelLeavesTheCallsOfAGoneGatewayUnknown() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(3) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .silence }
            try await gateway.start()
            try await gateway.connect(Self.devices)
            try await world.startCoordinator()
            try await put(world)
            try await deadWorker(world, gateway: gateway)
            _ = try await world.store.cancel(try JobID("m"), actor: "test", strict: false)
            await gateway.die()
            try await world.startWorker()
            let job = try await world.wait(for: "m") { $0.state == .cancelled }
            #expect(job.statistics == JobStatistics(devices: 3, failed: 2, cancelled: 1))
            #expect(
                try await outcomes(world)
                    == ["failed OutcomeUnknown", "failed OutcomeUnknown", "cancelled JobCancelled"])
        }
    }

    @Test func theDeadlineDoesNotSayThatADispatchedCallNeverStarted() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(3) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .silence }
            try await gateway.start()
            try await gateway.connect(Self.devices)
            try await world.startCoordinator()
            try await put(world, seconds: 10)
            try await deadWorker(world, gateway: gateway)
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 3, failed: 3))
            #expect(
                try await outcomes(world)
                    == ["failed OutcomeUnknown", "failed OutcomeUnknown", "failed JobRunPreconditionFailed"])
            await gateway.die()
        }
    }

    /// A worker that finds out what became of its calls leaves no trace that would make them unknown.
    @Test func whatWasCertainlyNotSentIsCancelled() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(3) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .silence }
            try await gateway.start()
            // The directory names them, the gateway does not know them: each part comes back as not sent.
            try await gateway.connect(Self.devices)
            gateway.forget(Self.devices)
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world)
            try await eventually("dispatches", within: JobWorld.patience) {
                try await world.query("SELECT count(*)::int AS n FROM dispatches") > 1
            }
            _ = try await world.store.cancel(try JobID("m"), actor: "test", strict: false)
            let job = try await world.wait(for: "m") { $0.state == .cancelled }
            #expect(job.statistics == JobStatistics(devices: 3, cancelled: 3))
            #expect(gateway.calls.isEmpty)
            await gateway.die()
        }
    }
}
