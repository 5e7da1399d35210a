// Goal: POST /devices/query gives the contract's shapes and pages (sections 3.1 and 3.7), over devices and over the
// device records of jobs. Method: a small fleet and its answers.

import HTTP
import JSON
import Postgres
import Testing

@Suite struct QueryTests {
    private func prepare(_ world: APIWorld) async throws {
        let reply = try await world.send(
            "POST", "/devices",
            .array(
                (0..<25).map { index in
                    var tags: JSONValue = [
                        "site": .string(index % 2 == 0 ? "north" : "south"), "floor": .integer(Int64(index)),
                    ]
                    if index == 24 { tags = ["other": 1] }
                    return [
                        "id": .string("d-\(index < 10 ? "0" : "")\(index)"), "tags": tags,
                        "properties": ["desired": ["net": ["ssid": .string("s\(index)")]]],
                    ]
                }))
        #expect(reply.status == 200)
    }

    /// All items of all pages, and how many pages there were.
    private func all(
        _ world: APIWorld, _ query: String, page: Int
    ) async throws -> (items: [JSONValue], pages: Int, types: Set<String>) {
        var items: [JSONValue] = []
        var types: Set<String> = []
        var token: String?
        var pages = 0
        repeat {
            var headers = [("x-ms-max-item-count", String(page))]
            if let token { headers.append(("x-ms-continuation", token)) }
            let reply = try await world.send(
                "POST", "/devices/query", ["query": .string(query)], headers: headers, policy: "service")
            #expect(reply.status == 200, "\(reply.errorText)")
            items += reply.json.arrayValue ?? []
            types.insert(reply.itemType ?? "none")
            token = reply.continuation
            pages += 1
        } while token != nil && pages < 100
        return (items, pages, types)
    }

    @Test("Whole twins, page by page, without an empty last page")
    func twins() async throws {
        try await APIWorld.run { world in
            try await prepare(world)
            let every = try await all(world, "SELECT * FROM devices", page: 5)
            #expect(every.items.count == 25)
            #expect(every.pages == 5, "the last page has no token")
            #expect(every.types == ["Twin"])
            #expect(
                every.items.map { $0["deviceId"]?.stringValue ?? "" }
                    == every.items.map { $0["deviceId"]?.stringValue ?? "" }.sorted())
            let one = try await world.send("GET", "/twins/d-03").json
            let found = try await all(world, "select * from devices where deviceId = 'd-03'", page: 100)
            #expect(found.items == [one], "a query shows the twin as GET does")
            let north = try await all(
                world, "SELECT * FROM devices WHERE tags.site = 'north' AND tags.floor >= 4", page: 100)
            #expect(north.items.count == 10)
            #expect(try await all(world, "SELECT TOP 7 * FROM devices", page: 3).items.count == 7)
            #expect(try await all(world, "SELECT TOP 7 * FROM devices", page: 3).pages == 3)
            let none = try await all(world, "SELECT * FROM devices.modules", page: 3)
            #expect(none.items.isEmpty && none.types == ["Twin"])
        }
    }

    @Test("Projections and aggregates are raw rows; undefined members are left out")
    func raw() async throws {
        try await APIWorld.run { world in
            try await prepare(world)
            let rows = try await all(
                world,
                "SELECT deviceId, tags.site AS site, properties.desired.net.ssid FROM devices WHERE tags.floor = 3 OR IS_DEFINED(tags.other)",
                page: 1)
            #expect(rows.types == ["Raw"])
            #expect(
                rows.items == [
                    ["deviceId": "d-03", "site": "south", "ssid": "s3"], ["deviceId": "d-24", "ssid": "s24"],
                ])
            let groups = try await all(
                world,
                "SELECT tags.site AS site, COUNT() AS n, MAX(tags.floor) AS highest FROM devices GROUP BY tags.site",
                page: 2)
            #expect(groups.pages == 2)
            #expect(
                Set(groups.items) == [
                    ["site": "north", "n": 12, "highest": 22], ["site": "south", "n": 12, "highest": 23], ["n": 1],
                ])
            let count = try await all(world, "SELECT COUNT() FROM devices", page: 100)
            #expect(count.items == [["$1": 25]])
            let section = try await all(
                world, "SELECT properties.desired FROM devices WHERE deviceId = 'd-03'", page: 1)
            let twin = try await world.send("GET", "/twins/d-03").json
            #expect(section.items == [["desired": twin["properties"]?["desired"] ?? .null]])
        }
    }

    @Test("A token belongs to its query")
    func tokens() async throws {
        try await APIWorld.run { world in
            try await prepare(world)
            let first = try await world.send(
                "POST", "/devices/query", ["query": "SELECT * FROM devices"], headers: [("x-ms-max-item-count", "2")])
            let token = try #require(first.continuation)
            for query in ["SELECT * FROM devices ", "SELECT deviceId FROM devices", "SELECT * FROM devices.jobs"] {
                let reply = try await world.send(
                    "POST", "/devices/query", ["query": .string(query)], headers: [("x-ms-continuation", token)])
                #expect(reply.status == 400)
                #expect(reply.errorCode == "ArgumentInvalid")
            }
            let list = try await world.send("GET", "/jobs/v2/query", headers: [("x-ms-continuation", token)])
            #expect(list.status == 400)
        }
    }

    @Test("Device records of jobs")
    func jobs() async throws {
        try await APIWorld.run { world in
            try await prepare(world)
            for id in ["one", "two"] {
                _ = try await world.send(
                    "PUT", "/jobs/v2/\(id)",
                    [
                        "type": "scheduleUpdateTwin", "queryCondition": "*", "updateTwin": ["tags": ["a": 1]],
                        "startTime": "2099-01-01T00:00:00Z",
                    ])
            }
            try await world.fakeItems(of: "one", count: 5)
            try await world.fakeItems(of: "two", count: 3)
            let records = try await all(
                world, "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'one'", page: 2)
            #expect(records.types == ["DeviceJob"])
            #expect(records.pages == 3)
            #expect(records.items.map { $0["deviceId"]?.stringValue ?? "" } == (0..<5).map { "d-0\($0)" })
            #expect(records.items.map { $0["status"] } == ["pending", "completed", "failed", "canceled", "pending"])
            #expect(records.items.allSatisfy { $0["jobType"] == "scheduleUpdateTwin" && $0["type"] == nil })
            #expect(records.items.allSatisfy { $0["endTimeUtc"] == "2099-01-01T01:00:00.000000Z" })
            #expect(records.items[1]["outcome"] == [:])
            #expect(records.items[2]["error"] == ["code": "DeviceNotFound", "description": "gone"])
            let completed = try await all(
                world, "select * from devices.jobs where jobId = 'one' and devices.jobs.status = 'completed'", page: 9)
            #expect(completed.items.count == 1)
            let every = try await all(world, "SELECT * FROM devices.jobs WHERE deviceId = 'd-02'", page: 9)
            #expect(every.items.count == 2)
        }
    }
}

extension APIWorld {
    /// Work items as an expansion would have left them, in every state in turn.
    fileprivate func fakeItems(of jobID: String, count: Int) async throws {
        let states = "ARRAY['pending', 'succeeded', 'failed', 'cancelled']"
        let text = """
            WITH slot AS (SELECT create_slot(20310101)), target AS (
                UPDATE jobs SET slot = 20310101 WHERE job_id = $1 RETURNING job)
            SELECT job FROM target, slot
            """
        _ = try await pool.run(Statement(name: "test_slot", text: text), [.text(jobID)])
        let items = """
            INSERT INTO work_items (slot, job, seq, device_id, batch, state, error_code, error_text)
            SELECT j.slot, j.job, n, 'd-0' || n, 0, (\(states))[n % 4 + 1]::item_state,
                   CASE n % 4 WHEN 2 THEN 'DeviceNotFound' END, CASE n % 4 WHEN 2 THEN 'gone' END
            FROM jobs j, generate_series(0, $2::integer - 1) AS n WHERE j.job_id = $1
            """
        _ = try await pool.run(Statement(name: "test_items", text: items), [.text(jobID), .integer(Int64(count))])
    }
}
