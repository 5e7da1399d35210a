// Goal: jobs over HTTP keep the wire contract's section 1: replies, repeated PUTs, lists with both ways of paging, cancel.
// Method: requests over HTTP without a coordinator, so that no job moves by itself.

import HTTP
import JSON
import Testing

private let future = "2099-01-02T03:04:05.678Z"

private func body(_ members: JSONObject = [:]) -> JSONValue {
    var body: JSONObject = [
        "type": "scheduleUpdateTwin", "queryCondition": "*", "updateTwin": ["tags": ["ring": 2]],
    ]
    for member in members.members { body[member.name] = member.value }
    return .object(body)
}

@Suite struct JobRouteTests {
    @Test("PUT answers the minimal three, GET everything")
    func create() async throws {
        try await APIWorld.run { world in
            let put = try await world.send(
                "PUT", "/jobs/v2/j-1", body(["startTime": .string(future)]), policy: "service")
            #expect(put.status == 200)
            #expect(put.json == ["jobId": "j-1", "type": "scheduleUpdateTwin", "status": "queued"])
            let get = try await world.send("GET", "/jobs/v2/j-1", policy: "service")
            #expect(get.json["status"] == "scheduled")
            #expect(get.json["startTime"] == "2099-01-02T03:04:05.678000Z")
            #expect(get.json["endTime"] == nil, "no date before its time, and none that is null")
            #expect(get.json["jobType"] == nil)
            #expect(get.json["maxExecutionTimeInSeconds"] == 3600)
            #expect(get.json["updateTwin"] == ["etag": "*", "tags": ["ring": 2]])
            #expect(
                get.json["deviceJobStatistics"]
                    == [
                        "deviceCount": 0, "failedCount": 0, "succeededCount": 0, "runningCount": 0, "pendingCount": 0,
                        "cancelledCount": 0,
                    ])
        }
    }

    @Test("The same PUT again is the same job, in whatever order its members stand; another body is a conflict")
    func repeated() async throws {
        try await APIWorld.run { world in
            let first = try await world.send("PUT", "/jobs/v2/j", body(["startTime": .string(future)]))
            let fingerprint = try await world.fingerprint()
            let again = try await world.send(
                "PUT", "/jobs/v2/j",
                [
                    "startTime": "2099-01-02T04:04:05.678+01:00", "maxExecutionTimeInSeconds": 3600, "jobId": "j",
                    "updateTwin": ["etag": nil, "tags": ["ring": 2]], "queryCondition": "*",
                    "type": "scheduleTwinUpdate",
                ])
            #expect(first.status == 200 && again.status == 200)
            #expect(again.json["status"] == "scheduled", "a repeat shows the present state")
            let other = try await world.send("PUT", "/jobs/v2/j", body(["queryCondition": "tags.a = 1"]))
            #expect(other.status == 409)
            #expect(other.errorCode == "JobAlreadyExists")
            #expect(try await world.fingerprint() == fingerprint)
        }
    }

    @Test("Of many equal PUTs at the same time all are answered and one job exists")
    func race() async throws {
        try await APIWorld.run { world in
            let replies = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<12 { group.addTask { try await world.send("PUT", "/jobs/v2/j", body()).status } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(replies == Array(repeating: 200, count: 12))
            let list = try await world.send("GET", "/jobs/v2/query")
            #expect(list.json.arrayValue?.count == 1)
        }
    }

    @Test("Lists: newest first, filters with aliases, headers and parameters")
    func lists() async throws {
        try await APIWorld.run { world in
            for index in 0..<5 {
                _ = try await world.send("PUT", "/jobs/v2/j-\(index)", body(["startTime": .string(future)]))
            }
            _ = try await world.send("PUT", "/jobs/v2/m", body(["startTime": .string(future)]))
            _ = try await world.send("POST", "/jobs/v2/j-1/cancel")
            func ids(_ target: String, _ headers: [(String, String)] = []) async throws -> ([String], String?) {
                let reply = try await world.send("GET", target, headers: headers)
                #expect(reply.status == 200, "\(reply.errorText)")
                #expect(reply.itemType == "JobResponse")
                return (reply.json.arrayValue?.compactMap { $0["jobId"]?.stringValue } ?? [], reply.continuation)
            }
            #expect(try await ids("/jobs/v2/query").0 == ["m", "j-4", "j-3", "j-2", "j-1", "j-0"])
            #expect(try await ids("/jobs/v2/query?jobType=ScheduleDeviceMethod").0.isEmpty)
            #expect(try await ids("/jobs/v2/query?jobStatus=canceled").0 == ["j-1"])
            #expect(try await ids("/jobs/v2/query?jobType=scheduleUpdateTwin&jobStatus=Scheduled").0.count == 5)
            #expect(try await ids("/jobs/v2/query?jobType=firmwareUpdate").0.isEmpty)
            #expect(try await ids("/jobs/v2/query?jobStatus=unknown").0.isEmpty)

            var seen: [String] = []
            var token: String?
            repeat {
                var headers = [("x-ms-max-item-count", "2")]
                if let token { headers.append(("x-ms-continuation", token)) }
                let page = try await ids("/jobs/v2/query?pageSize=50", headers)
                #expect(page.0.count == 2, "headers win over parameters")
                seen += page.0
                token = page.1
                if seen.count == 2 { _ = try await world.send("PUT", "/jobs/v2/late", body()) }
            } while token != nil && seen.count < 20
            #expect(seen == ["m", "j-4", "j-3", "j-2", "j-1", "j-0"], "a job added meanwhile moves no page")

            let first = try await ids("/jobs/v2/query?pageSize=6")
            let rest = try await ids("/jobs/v2/query?pageSize=6&continuationToken=\(try #require(first.1))")
            #expect(first.0 + rest.0 == ["late", "m", "j-4", "j-3", "j-2", "j-1", "j-0"])
            #expect(rest.1 == nil)
        }
    }

    @Test("Cancel says cancelled at once; strict mode and ended jobs refuse as the contract does")
    func cancel() async throws {
        try await APIWorld.run { world in
            _ = try await world.send("PUT", "/jobs/v2/j", body(["startTime": .string(future)]))
            let cancelled = try await world.send("POST", "/jobs/v2/j/cancel")
            #expect(cancelled.status == 200)
            #expect(cancelled.json["status"] == "cancelled")
            #expect(try await world.send("GET", "/jobs/v2/j").json["status"] == "cancelled")
            #expect(try await world.send("POST", "/jobs/v2/j/cancel").status == 200, "again is the same")
        }
        try await APIWorld.run(strict: true) { world in
            _ = try await world.send("PUT", "/jobs/v2/j", body(["startTime": .string(future)]))
            #expect(try await world.send("POST", "/jobs/v2/j/cancel").status == 200)
            let again = try await world.send("POST", "/jobs/v2/j/cancel")
            #expect(again.status == 405)
            #expect(again.errorCode == "OperationNotAllowedInCurrentState")
        }
    }
}
