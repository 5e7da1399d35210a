// Goal: ids, names of types and states, and the identity of requests follow the wire contract. Method: tables.

import JSON
import JobModel
import Testing

@Suite struct JobIDTests {
    @Test(arguments: ["a", "methodJob-6f1c2d9e", "0-9", String(repeating: "x", count: 64)])
    func accepts(_ text: String) throws { #expect(try JobID(text).text == text) }

    @Test(arguments: ["", "a_b", "a b", "a/b", "ä", "a.b", String(repeating: "x", count: 65), "query"])
    func refuses(_ text: String) {
        #expect(throws: JobModelError.self) { try JobID(text) }
    }
}

@Suite struct WireNameTests {
    @Test(arguments: [
        ("scheduleUpdateTwin", JobType.updateTwin), ("scheduleTwinUpdate", .updateTwin),
        ("scheduledUpdateTwin", .updateTwin), ("ScheduleUpdateTwin", .updateTwin),
        ("scheduleDeviceMethod", .deviceMethod), ("scheduleDirectRequest", .deviceMethod),
        ("scheduledDeviceMethod", .deviceMethod), ("scheduleDirectMethod", .deviceMethod),
    ])
    func typeAliases(_ name: String, _ type: JobType) { #expect(JobType(wire: name) == type) }

    @Test(arguments: ["", "import", "export", "unknown", "scheduleTwin"])
    func otherTypes(_ name: String) { #expect(JobType(wire: name) == nil) }

    @Test func stateFilters() {
        #expect(JobState.states(wireFilter: "Pending") == [.queued])
        #expect(JobState.states(wireFilter: "enqueued") == [.queued])
        #expect(JobState.states(wireFilter: "finished") == [.completed])
        #expect(JobState.states(wireFilter: "canceled") == [.cancelling, .cancelled])
        #expect(JobState.states(wireFilter: "unknown") == [])
        #expect(JobState.states(wireFilter: "done") == nil)
        // Every state that a client can see is a filter that finds it.
        for state in JobState.allCases {
            #expect(JobState.states(wireFilter: state.wireStatus)?.contains(state) == true)
        }
    }

    @Test func deviceStatus() {
        #expect(DeviceStatus(item: .pending, batchIsClaimed: true) == .running)
        #expect(DeviceStatus(item: .pending, batchIsClaimed: false) == .pending)
        #expect(DeviceStatus(item: .cancelled, batchIsClaimed: true).rawValue == "canceled")
    }
}

@Suite struct JobDefinitionTests {
    func definition(_ patch: JSONObject, start: Int64? = nil, condition: String = "*") throws -> JobDefinition {
        JobDefinition(
            jobID: try JobID("j"), action: .updateTwin(patch), queryCondition: condition, startTime: start,
            maxExecutionTimeInSeconds: 60)
    }

    @Test func orderOfMembersDoesNotMatter() throws {
        let one = try definition(["tags": ["a": 1, "b": ["x": 1, "y": 2]], "etag": "*"])
        let two = try definition(["etag": "*", "tags": ["b": ["y": 2, "x": 1], "a": 1]])
        #expect(one.canonicalText == two.canonicalText)
    }

    @Test func everyMemberMatters() throws {
        let texts = [
            try definition(["tags": ["a": 1]]), try definition(["tags": ["a": 2]]),
            try definition(["tags": ["a": 1]], start: 5),
            try definition(["tags": ["a": 1]], condition: "deviceId = 'a'"),
        ].map(\.canonicalText)
        #expect(Set(texts).count == texts.count)
    }
}

@Suite struct IdentityTests {
    @Test func batchIDsRoundTrip() {
        let id = BatchID(job: 9_000_000_000, batch: 77)
        #expect(BatchID(id.description) == id)
        #expect(BatchID("0000000009000000000:0000000077") == id)
        #expect(BatchID("1") == nil)
        #expect(BatchID("a:b") == nil)
        #expect(BatchID("1:2:3") == nil)
    }

    @Test func shardsAreSpread() {
        let shards = Set((0..<200).map { WorkerID("worker-\($0)").counterShard })
        #expect(shards.allSatisfy { (0..<Int64(Limits.counterShards)).contains($0) })
        #expect(shards.count == Limits.counterShards)
    }
}
