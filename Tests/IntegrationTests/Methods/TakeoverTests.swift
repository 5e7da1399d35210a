// Invariant I5: a device is called at most once per attempt, whatever dies. A dead worker is one whose leases run out.

import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import Redis
import RouteStore
import ServiceKit
import TestKit
import Testing

@Suite struct TakeoverTests {
    private static let device = "d-0000000"

    private func put(_ world: JobWorld, _ id: String) async throws {
        let definition = JobDefinition(
            jobID: try JobID(id),
            action: .deviceMethod([
                "methodName": "m", "payload": nil, "responseTimeoutInSeconds": 60, "connectTimeoutInSeconds": 0,
            ]), queryCondition: "*", startTime: nil, maxExecutionTimeInSeconds: 3600)
        _ = try await world.store.create(definition, actor: "test")
        try await world.leases.wake(.coordinators)
    }

    /// A worker that commits its dispatch, hands the part over if it is to, and is never heard of again.
    private func deadWorker(_ world: JobWorld, gateway: GatewayID, hands: Bool) async throws -> (ClaimedBatch, CallPart)
    {
        let worker = WorkerID("dead")
        let batch = try #require(try await world.takeWhenOffered(worker).first)
        let claimed = try #require(try await world.store.claim([batch], worker: worker).first)
        let (_, redisTime) = try await world.routes.find([Self.device])
        let sendBefore = redisTime + Limits.sendWindow.milliseconds
        let left = try await world.store.dispatch(
            [.init(gateway: gateway.name, incarnation: gateway.incarnation, seqs: [0])], of: claimed,
            sendBefore: sendBefore, response: .seconds(60))
        #expect(left != nil)
        let part = CallPart(
            job: batch.job, batch: Int64(batch.batch), fence: claimed.fence.value, number: 1, sendBefore: sendBefore,
            responseMilliseconds: 60_000, replyTo: "dead", method: "m", payload: "null",
            items: [.init(seq: 0, attempt: 0, deviceID: Self.device)])
        if hands {
            #expect(try await world.routes.push(part, to: gateway, batch: batch, worker: worker) == .pushed)
        }
        return (claimed, part)
    }

    @Test func anAnswerThatTheDeadWorkerMissedIsTaken() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .answers(status: 207, payload: "1") }
            try await gateway.start()
            try await gateway.connect([Self.device])
            try await world.startCoordinator()
            try await put(world, "m")
            _ = try await deadWorker(world, gateway: gateway.id, hands: true)
            try await eventually("the call", within: JobWorld.patience) { gateway.calls[Self.device] == 1 }
            try await world.startWorker()
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 1, succeeded: 1))
            #expect(gateway.calls == [Self.device: 1])
            #expect(
                try await world.query("SELECT (response ->> 'status')::int AS n FROM work_items") == 207)
            await gateway.die()
        }
    }

    @Test func aCallInFlightIsWaitedFor() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .silence }
            try await gateway.start()
            try await gateway.connect([Self.device])
            try await world.startCoordinator()
            try await put(world, "m")
            let (dead, _) = try await deadWorker(world, gateway: gateway.id, hands: true)
            try await eventually("the call", within: JobWorld.patience) { gateway.calls[Self.device] == 1 }
            try await world.startWorker()
            try await eventually("the takeover", within: JobWorld.patience) {
                try await world.query(
                    "SELECT coalesce(max(fence), 0)::int AS n FROM work_batches WHERE state = 'claimed'")
                    > Int(dead.fence.value)
            }
            // The new holder has asked, or does so within a second; either way the answer reaches it.
            gateway.answerNow(Self.device, status: 200)
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 1, succeeded: 1))
            #expect(gateway.calls == [Self.device: 1])
            await gateway.die()
        }
    }

    @Test func whatWasNeverHandedOverIsSentOnce() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .answers(status: 200, payload: "1") }
            try await gateway.start()
            try await gateway.connect([Self.device])
            try await world.startCoordinator()
            try await put(world, "m")
            let (dead, part) = try await deadWorker(world, gateway: gateway.id, hands: false)
            try await world.startWorker()
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 1, succeeded: 1))
            // The zombie wakes up: Redis refuses its push, and the gateway would refuse its fence.
            #expect(
                try await world.routes.push(part, to: gateway.id, batch: dead.id, worker: WorkerID("dead"))
                    == .leaseLost)
            #expect(try await world.routes.send(.calls(part), to: gateway.id))
            try await eventually("an empty inbox", within: JobWorld.patience) {
                try await world.redis.command(["LLEN", "{muster}:inbox:\(gateway.id.text)"]).integer == 0
            }
            #expect(gateway.calls == [Self.device: 1])
            await gateway.die()
        }
    }

    @Test func aGoneGatewayLeavesTheOutcomeUnknown() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .silence }
            let other = DeviceDouble("h", world) { _, _ in .answers(status: 200, payload: "1") }
            try await gateway.start()
            try await other.start()
            try await gateway.connect([Self.device])
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "m")
            try await eventually("the call", within: JobWorld.patience) { gateway.calls[Self.device] == 1 }
            await gateway.die()
            // The device is at another gateway at once; it must not be called again all the same.
            try await other.connect([Self.device], session: 2)
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 1, failed: 1))
            #expect(other.calls.isEmpty)
            #expect(try await world.texts("SELECT error_code AS text FROM work_items") == ["OutcomeUnknown"])
            await other.die()
        }
    }

    @Test func aDeviceThatMovedIsFoundAtItsNewGateway() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let old = DeviceDouble("g", world) { _, _ in .answers(status: 200, payload: "1") }
            let new = DeviceDouble("h", world) { _, _ in .answers(status: 200, payload: "2") }
            try await old.start()
            try await new.start()
            try await old.connect([Self.device])
            old.forget([Self.device])
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "m")
            try await eventually("a refused part", within: JobWorld.patience) {
                try await world.query("SELECT count(*)::int AS n FROM dispatches") > 0
            }
            try await new.connect([Self.device], session: 2)
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 1, succeeded: 1))
            #expect(old.calls.isEmpty && new.calls == [Self.device: 1])
            await old.die()
            await new.die()
        }
    }

    @Test func aClaimThatWaitedSeesWhatWasDispatchedMeanwhile() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let old = DeviceDouble("g", world) { _, _ in .answers(status: 200, payload: "1") }
            let new = DeviceDouble("h", world) { _, _ in .answers(status: 200, payload: "2") }
            try await old.start()
            try await new.start()
            try await old.connect([Self.device])
            try await world.startCoordinator()
            try await put(world, "m")
            try await eventually("a batch", within: JobWorld.patience) {
                try await world.query("SELECT count(*)::int AS n FROM work_batches") == 1
            }
            let job = Int64(try await world.query("SELECT job::int AS n FROM jobs"))
            // Another worker claims, dispatches, calls the device and gives the batch back, all while the claim of the
            // one under test waits for the batch's row and looks at the world from before.
            try await world.pool.transaction { transaction in
                try await transaction.runScript("UPDATE work_batches SET fence = fence + 2")
                try await world.startWorker()
                try await eventually("a claim that waits", within: JobWorld.patience) {
                    try await world.query(
                        """
                        SELECT count(*)::int AS n FROM pg_stat_activity
                        WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE work_batches%'
                        """) == 1
                }
                let (_, redisTime) = try await world.routes.find([Self.device])
                let sendBefore = redisTime + Limits.sendWindow.milliseconds
                let part = CallPart(
                    job: job, batch: 0, fence: 1, number: 1, sendBefore: sendBefore,
                    responseMilliseconds: 60_000, replyTo: "other", method: "m", payload: "null",
                    items: [.init(seq: 0, attempt: 0, deviceID: Self.device)])
                #expect(try await world.routes.send(.calls(part), to: old.id))
                try await eventually("the call", within: JobWorld.patience) { old.calls[Self.device] == 1 }
                try await transaction.runScript(
                    """
                    INSERT INTO dispatches (job, batch, fence, gateway, incarnation, seqs, send_before, response_ms)
                    VALUES (\(job), 0, 1, '\(old.id.name)', '\(old.id.incarnation)', '{0}', \(sendBefore), 60000)
                    """)
                try await new.connect([Self.device], session: 2)
            }
            let record = try await world.wait(for: "m") { $0.state == .completed }
            #expect(record.statistics == JobStatistics(devices: 1, succeeded: 1))
            #expect(old.calls == [Self.device: 1] && new.calls.isEmpty)
            await old.die()
            await new.die()
        }
    }

    @Test func aGatewayThatLeavesTellsWhatItKnows() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let gateway = DeviceDouble("g", world) { _, _ in .silence }
            try await gateway.start()
            try await gateway.connect([Self.device])
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "m")
            try await eventually("the call", within: JobWorld.patience) { gateway.calls[Self.device] == 1 }
            try await gateway.leave()
            let job = try await world.wait(for: "m") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 1, failed: 1))
            #expect(try await world.texts("SELECT error_code AS text FROM work_items") == ["DeviceNotOnline"])
        }
    }

    @Test func anAnswerToAnEarlierGatewayFitsNoCallOfTheNext() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let old = DeviceDouble("g", world) { _, _ in .silence }
            let new = DeviceDouble("h", world) { _, _ in .silence }
            try await old.start()
            try await new.start()
            try await old.connect([Self.device])
            try await world.startCoordinator()
            try await world.startWorker()
            try await put(world, "first")
            try await eventually("the first call", within: JobWorld.patience) { old.calls[Self.device] == 1 }
            try await old.leave()
            _ = try await world.wait(for: "first") { $0.state == .completed }
            try await new.connect([Self.device], session: 2)
            try await put(world, "second")
            try await eventually("the second call", within: JobWorld.patience) { new.calls[Self.device] == 1 }
            // The device has worked on the first call all the time.
            new.answer(Self.device, rid: try #require(old.rids(of: Self.device).first), status: 500)
            new.answerNow(Self.device, status: 200)
            _ = try await world.wait(for: "second") { $0.state == .completed }
            let statuses = try await world.texts(
                "SELECT response ->> 'status' AS text FROM work_items WHERE response IS NOT NULL")
            #expect(statuses == ["200"])
            await new.die()
        }
    }
}
