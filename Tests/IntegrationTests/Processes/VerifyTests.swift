// Goal: `muster verify JOB` says in words what a stuck job waits for. Method: states are constructed, the command is run.

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

@Suite struct VerifyTests {
    private func output(_ world: JobWorld, _ words: [String]) async throws -> String {
        let process = try MusterProcess(["verify"] + words, world: try #require(world.stores))
        #expect(try await process.exitCode() == 0, "\(process.log)")
        return process.log
    }

    private func verify(_ world: JobWorld, _ job: String, says texts: String...) async throws {
        let text = try await output(world, [job])
        for expected in texts { #expect(text.contains(expected), "not '\(expected)':\n\(text)") }
    }

    private func put(_ world: JobWorld, _ id: String, start: Int64? = nil) async throws {
        let definition = JobDefinition(
            jobID: try JobID(id),
            action: .deviceMethod([
                "methodName": "m", "payload": nil, "responseTimeoutInSeconds": 60, "connectTimeoutInSeconds": 0,
            ]), queryCondition: "*", startTime: start, maxExecutionTimeInSeconds: 3600)
        _ = try await world.store.create(definition, actor: "test")
        try await world.leases.wake(.coordinators)
    }

    @Test func aJobThatDoesNotRunSaysWhy() async throws {
        try await JobWorld.run { world in
            try await put(world, "later", start: 4_000_000_000_000_000)
            try await put(world, "now")
            try await verify(
                world, "later", says: "the job waits for its start time, 2096-10-02T07:06:40.000000Z",
                "no coordinator leads", "no worker lives", "no gateway lives")
            try await verify(world, "now", says: "is due and waits to be started by the leader, nobody")
            try await world.execute("UPDATE jobs SET state = 'running', started_at = now() WHERE job_id = 'now'")
            try await verify(world, "now", says: "devices are being selected by the leader, nobody: none so far")
            try await world.execute("UPDATE jobs SET expanded_at = now() WHERE job_id = 'now'")
            try await verify(world, "now", says: "every item has an outcome; the job waits to be ended by the leader")
            try await world.execute("UPDATE jobs SET state = 'cancelling' WHERE job_id = 'now'")
            try await verify(world, "now", says: "was cancelled; its open items are ended by the leader, nobody")
            try await world.execute("UPDATE jobs SET state = 'cancelled', ended_at = now() WHERE job_id = 'now'")
            let ended = try await output(world, ["now"])
            #expect(!ended.contains("wait") && !ended.contains("lives"))
        }
    }

    @Test func openItemsSayWhatTheyWaitFor() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(100) { _ in [:] }
            let coordinator = try await world.startCoordinator()
            try await put(world, "m")
            let worker = WorkerID("w1")
            let id = try #require(try await world.takeWhenOffered(worker).first)
            _ = try await world.wait(for: "m") { $0.statistics.devices == 100 }
            await world.stop(coordinator)
            try await verify(world, "m", says: "100 items wait for a worker to lease 5 batches, such as d-0000000")

            // One batch claimed: three calls at a gateway that lives, two at one that is gone, five parked.
            try await world.execute("INSERT INTO gateways (gateway, incarnation) VALUES ('g1', 'a')")
            try await world.store.recordHeartbeat(worker, draining: false, itemsDone: 0)
            let batch = try #require(try await world.store.claim([id], worker: worker).first)
            let first = batch.firstSeq
            let names = (0..<100).map { "d-00000" + ($0 < 10 ? "0" : "") + String($0) }
            let sendBefore = try await world.routes.find([names[0]]).redisMilliseconds + 1500
            let part = JobStore.DispatchPart(
                gateway: "g1", incarnation: "a", seqs: [first, first + 1, first + 2])
            _ = try await world.store.dispatch([part], of: batch, sendBefore: sendBefore, response: .seconds(60))
            try await world.execute(
                """
                INSERT INTO dispatches (job, batch, fence, gateway, incarnation, seqs, send_before, response_ms)
                VALUES (\(id.job), \(id.batch), 1, 'g2', 'b', '{\(first + 3),\(first + 4)}', 0, 60000)
                """)
            _ = try await world.store.park(Array((first + 5)...(first + 9)), of: batch)
            try await world.execute(
                """
                INSERT INTO device_sessions (device_id, session, connected, connected_at)
                SELECT device_id, 1, false, '2031-05-06T07:08:09Z' FROM waiting
                """)
            try await verify(
                world, "m", says: "80 items wait for a worker to lease 4 batches",
                "10 items wait for worker w1 (last heard of", "which claimed its batch at ",
                "3 items wait for the answer from gateway g1~a (alive), at the latest",
                "2 items wait for the word that nobody knows, after gateway g2~b (gone)",
                "5 items wait until their devices connect", "has not been connected since 2031-05-06T07:08:09.000000Z")
            let json = try JSONValue(parsing: Array(try await output(world, ["m", "--json"]).utf8))
            let reasons = try #require(json["waits"]?.arrayValue)
            #expect(reasons.compactMap { $0["items"]?.integerValue }.reduce(0, +) == 100)
            #expect(reasons.contains { $0["reason"]?.stringValue == "parked" && $0["items"]?.integerValue == 5 })

            // A lease lasts six seconds, and a process may take as long to start on a busy machine.
            try await eventually("a living lease", within: JobWorld.patience) {
                _ = try await world.leases.recreate(worker: worker, batches: [id])
                return try await output(world, ["m"]).contains("; lease alive)")
            }
            try await world.flushRedis()
            try await verify(world, "m", says: "lease expired: the sweep gives its work to others")
            _ = try await world.store.giveBack([(id, batch.fence)])
            try await verify(
                world, "m", says: "3 items wait for a worker to ask gateway g1~a (alive) what became of the calls")
        }
    }
}
