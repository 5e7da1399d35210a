// Goal: a twin query becomes work items, workers lease them, twins are patched exactly once, counters agree (I1, I2, I4).
// Method: coordinator and workers in this process on a PostgreSQL and a Redis of the test's own; every test ends with a
// recount of its jobs.

import JSON
import JobModel
import JobStore
import LeaseStore
import ServiceKit
import Testing

@Suite struct JobTests {
    @Test func smallJobRunsFromPutToCompleted() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(40) {
                ["building": .string($0 % 2 == 0 ? "43" : "44"), "floor": .integer(Int64($0 % 4))]
            }
            try await world.startCoordinator()
            try await world.startWorker()
            let job = try await world.put(
                "job-1", patch: ["properties": ["desired": ["building": "43", "floor": 3, "gone": nil]]],
                condition: "tags.building = '43' AND tags.floor = 2")
            #expect(job.state == .queued)
            let done = try await world.wait(for: "job-1", until: \.state.isEnded)
            #expect(done.state == .completed)
            #expect(done.statistics == JobStatistics(devices: 10, succeeded: 10))
            #expect(done.endTime != nil)
            let patched = try await world.query(
                "SELECT count(*) AS n FROM twins WHERE desired @> '{\"building\":\"43\",\"floor\":3}' AND etag = 2 "
                    + "AND desired_version = 2 AND NOT desired ? 'gone' AND desired_metadata -> 'floor' -> 1 = '2'")
            #expect(patched == 10)
            let untouched = try await world.query("SELECT count(*) AS n FROM twins WHERE etag = 1 AND desired = '{}'")
            #expect(untouched == 30)
        }
    }

    @Test func noDeviceMeansCompletedAtOnce() async throws {
        try await JobWorld.run { world in
            try await world.startCoordinator()
            _ = try await world.put("empty", patch: ["tags": ["a": 1]], condition: "*")
            let done = try await world.wait(for: "empty", until: \.state.isEnded)
            #expect(done.state == .completed)
            #expect(done.statistics == JobStatistics())
        }
    }

    @Test func largeJobGetsItsOwnPartitionAndTwoWorkersShareIt() async throws {
        try await JobWorld.run { world in
            let count = Limits.smallJobDevices + 2345
            try await world.addDevices(count) { _ in ["kind": "door"] }
            try await world.startCoordinator()
            try await world.startWorker()
            try await world.startWorker()
            _ = try await world.put("large", patch: ["tags": ["ring": 2]], condition: "*")
            let done = try await world.wait(for: "large", until: \.state.isEnded)
            #expect(done.statistics == JobStatistics(devices: Int64(count), succeeded: Int64(count)))
            #expect(
                try await world.query("SELECT count(*) AS n FROM twins WHERE tags ->> 'ring' = '2' AND etag = 2")
                    == count)
            #expect(try await world.query("SELECT count(*) AS n FROM slots WHERE slot > 1000000000") == 1)
            #expect(try await world.query("SELECT count(*) AS n FROM expansions") == 3)
        }
    }

    @Test func devicesThatCannotBePatchedAreResultsOfTheirOwn() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(6) { _ in [:] }
            try await world.execute(
                "UPDATE twins SET desired = jsonb_build_object('a', repeat('x', 32760)) WHERE device_id = 'd-0000003'")
            try await world.execute("UPDATE twins SET etag = 9 WHERE device_id = 'd-0000004'")
            _ = try await world.put(
                "mixed",
                patch: [
                    "etag": "AAAAAAAAAAE=",
                    "properties": ["desired": ["blob": .string(String(repeating: "y", count: 100))]],
                ],
                condition: "*")
            try await world.startCoordinator()
            _ = try await world.wait(for: "mixed") { $0.statistics.devices == 6 }
            try await world.execute("DELETE FROM devices WHERE device_id = 'd-0000005'")
            try await world.startWorker()
            let done = try await world.wait(for: "mixed", until: \.state.isEnded)
            #expect(done.state == .completed)
            #expect(done.statistics == JobStatistics(devices: 6, succeeded: 3, failed: 3))
            let codes = try await world.texts(
                "SELECT device_id || ' ' || error_code || ' ' || error_text AS text FROM work_items WHERE state = 'failed' ORDER BY 1"
            )
            #expect(
                codes.map { $0.split(separator: " ").prefix(2).joined(separator: " ") } == [
                    "d-0000003 ArgumentInvalid", "d-0000004 PreconditionFailed", "d-0000005 DeviceNotFound",
                ])
            #expect(codes[0].contains("properties.desired would exceed 32768 bytes"))
            #expect(codes[1].contains("AAAAAAAAAAk="))
        }
    }

    @Test func sameRequestIsTheSameJobAndAnotherIsAConflict() async throws {
        try await JobWorld.run { world in
            _ = try await world.put("again", patch: ["tags": ["a": 1]], condition: "*")
            let repeated = try await world.store.create(
                try world.definition("again", patch: ["tags": ["a": 1]], condition: "*"), actor: "test")
            guard case .same = repeated else { Issue.record("\(repeated)"); return }
            let other = try await world.store.create(
                try world.definition("again", patch: ["tags": ["a": 2]], condition: "*"), actor: "test")
            guard case .conflict = other else { Issue.record("\(other)"); return }
            #expect(try await world.query("SELECT count(*) AS n FROM jobs") == 1)
            #expect(try await world.query("SELECT count(*) AS n FROM job_events") == 1)
        }
    }

    @Test func scheduledJobStartsAtItsTime() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(3) { _ in [:] }
            try await world.startCoordinator()
            try await world.startWorker()
            let start = Int64((world.clock.unixTime + 1) * 1e6)
            let job = try await world.put("later", patch: ["tags": ["a": 1]], condition: "*", start: start)
            #expect(job.state == .scheduled)
            let done = try await world.wait(for: "later", until: \.state.isEnded)
            #expect(done.statistics.succeeded == 3)
            let early = try await world.query("SELECT count(*) AS n FROM jobs WHERE started_at < start_at")
            #expect(early == 0)
        }
    }

    @Test func listIsNewestFirstAndPagesStayStable() async throws {
        try await JobWorld.run { world in
            for index in 0..<7 {
                _ = try await world.put("job-\(index)", patch: ["tags": ["a": .integer(Int64(index))]], condition: "*")
            }
            var seen: [String] = []
            var after: JobStore.ListPosition?
            repeat {
                let page = try await world.store.list(type: .updateTwin, states: [.queued], after: after, limit: 3)
                seen += page.map(\.jobID.text)
                if seen.count == 3 { _ = try await world.put("newer", patch: ["tags": ["b": 1]], condition: "*") }
                after =
                    page.count == 3 ? page.last.map { .init(createdTime: $0.createdTime, jobID: $0.jobID.text) } : nil
            } while after != nil
            #expect(seen == (0..<7).reversed().map { "job-\($0)" })
            #expect(try await world.store.list(type: .deviceMethod, states: nil, after: nil, limit: 3).isEmpty)
            #expect(try await world.store.list(type: nil, states: [.completed], after: nil, limit: 3).isEmpty)
        }
    }
}
