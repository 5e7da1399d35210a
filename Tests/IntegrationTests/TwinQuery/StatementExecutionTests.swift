// Statements from text to rows, through the stores. Method: random twins, and the answers worked out in Swift from the
// documents that the service side shows.

import JSON
import JobModel
import JobStore
import Postgres
import ServiceKit
import StoreKit
import TestKit
import Testing
import TwinQuery
import TwinStore

@Suite struct StatementExecutionTests {
    private func withTwins(_ body: (TwinStore, [RandomTwin]) async throws -> Void) async throws {
        try await withWorld { (world) async throws -> Void in
            let pool = world.pool
            var random = QueryGenerator(seed: 7)
            let twins = (0..<60).map { RandomTwin(number: $0, &random) }
            try await pool.run(
                Statement(name: "insert_twins", text: RandomTwin.insert, isPrepared: false),
                [.json(.array(twins.map(\.row)))])
            try await body(TwinStore(pool), twins)
        }
    }

    /// All pages of a statement.
    private func pages(_ text: String, size: Int, _ store: TwinStore) async throws -> [[JSONValue]] {
        let query = try parseStatement(text)
        var pages: [[JSONValue]] = []
        var position: QueryPosition?
        repeat {
            let page = try await store.query(query, after: position, limit: size) {
                TimestampFormatter().text(microseconds: $0)
            }
            pages.append(page.items)
            position = page.next
        } while position != nil
        return pages
    }

    private func rows(_ text: String, _ store: TwinStore) async throws -> [JSONValue] {
        try await pages(text, size: 100, store).flatMap { $0 }
    }

    private func value(_ document: JSONValue, _ path: String...) -> JSONValue? {
        path.reduce(document) { $0?[$1] }
    }

    /// Pages in id order, each device once; TOP bounds all pages together.
    @Test func pagesOfTwins() async throws {
        try await withTwins { (store, twins) async throws -> Void in
            let ids = twins.map(\.deviceID).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
            let pages = try await pages("SELECT * FROM devices", size: 7, store)
            #expect(pages.map(\.count) == [7, 7, 7, 7, 7, 7, 7, 7, 4])
            #expect(pages.joined().map { $0["deviceId"]?.stringValue } == ids)
            let top = try await self.pages("SELECT TOP 10 * FROM devices", size: 7, store)
            #expect(top.map(\.count) == [7, 3])
            #expect(try await self.pages("SELECT TOP 7 deviceId FROM devices", size: 7, store).map(\.count) == [7])
            #expect(try await rows("SELECT TOP 0 * FROM devices", store).isEmpty)
            let enabled = try await rows("SELECT id FROM devices WHERE status = 'enabled'", store)
            #expect(enabled.count == twins.count { $0.isEnabled })
        }
    }

    /// Whole sections, metadata, absent members and aliases.
    @Test func projections() async throws {
        try await withTwins { (store, twins) async throws -> Void in
            let text =
                "SELECT DeviceId, properties.desired AS d, properties.reported.$metadata.a AS m, properties AS p, Tags, "
                + "properties.desired.$Version, tags.[[my-key]] AS [[a key]], nosuch FROM devices"
            let rows = try await rows(text, store)
            #expect(rows.count == twins.count)
            for row in rows {
                let twin = try #require(twins.first { $0.deviceID == row["deviceId"]?.stringValue })
                let document = twin.document
                var expected = JSONObject([("deviceId", .string(twin.deviceID))])
                expected["d"] = value(document, "properties", "desired")
                expected["m"] = value(document, "properties", "reported", "$metadata", "a")
                expected["p"] = value(document, "properties")
                expected["tags"] = value(document, "tags")
                expected["$version"] = value(document, "properties", "desired", "$version")
                expected["a key"] = value(document, "tags", "my-key")
                #expect(normalised(row) == normalised(.object(expected)))
            }
        }
    }

    @Test func groups() async throws {
        try await withTwins { (store, twins) async throws -> Void in
            let text =
                "SELECT tags.a AS a, status, COUNT() AS n, SUM(version) AS total, MIN(version) low, MAX(version) high, "
                + "AVG(version) AS mean, SUM(tags.b) AS nosuch FROM devices WHERE version > 20 GROUP BY tags.a, status"
            let pages = try await pages(text, size: 5, store)
            #expect(pages.dropLast().allSatisfy { $0.count == 5 })
            var expected: [String: [Int64]] = [:]
            for twin in twins where twin.etag + twin.reportedVersion > 20 {
                let document = twin.document
                let key = "\(value(document, "tags", "a").map { normalised($0).text } ?? "undefined") \(twin.isEnabled)"
                expected[key, default: []].append(twin.etag + twin.reportedVersion)
            }
            var seen: Set<String> = []
            for row in pages.joined() {
                let isEnabled = row["status"]?.stringValue == "enabled"
                let key = "\(row["a"].map { normalised($0).text } ?? "undefined") \(isEnabled)"
                #expect(seen.insert(key).inserted)
                let versions = try #require(expected[key])
                #expect(row["n"]?.integerValue == Int64(versions.count))
                #expect(row["total"]?.integerValue == versions.reduce(0, +))
                #expect(row["low"]?.integerValue == versions.min() && row["high"]?.integerValue == versions.max())
                let mean = try #require(row["mean"]?.doubleValue)
                #expect(abs(mean - Double(versions.reduce(0, +)) / Double(versions.count)) < 1e-9)
            }
            #expect(seen.count == expected.count)
        }
    }

    /// One row without GROUP BY, also where nothing matches; modules do not exist.
    @Test func totals() async throws {
        try await withTwins { (store, twins) async throws -> Void in
            #expect(try await rows("SELECT COUNT() FROM devices", store) == [["$1": .integer(Int64(twins.count))]])
            let none = "SELECT COUNT(*) AS n, SUM(version), MAX(tags.a) AS m FROM devices WHERE deviceId = 'nosuch'"
            #expect(try await rows(none, store) == [["n": 0]])
            #expect(try await rows("SELECT * FROM devices.modules", store).isEmpty)
            #expect(
                try await rows("SELECT COUNT() AS n FROM devices.modules WHERE moduleId = 'x'", store) == [["n": 0]])
            #expect(try await rows("SELECT tags.a FROM devices GROUP BY tags.a", store).count > 3)
        }
    }

    /// Integers and doubles of the same value are the same on the wire.
    private func normalised(_ value: JSONValue) -> JSONValue {
        switch value {
        case .null, .bool, .string: value
        case .integer(let number): .number(Double(number))
        case .number: value
        case .array(let elements): .array(elements.map(normalised))
        case .object(let object):
            .object(
                JSONObject(object.members.sorted { $0.name < $1.name }.map { ($0.name, normalised($0.value)) }))
        }
    }

    // MARK: devices.jobs

    /// Two jobs in two partitions; every status, parked or not, and the pinned ids.
    @Test func jobRecords() async throws {
        try await withWorld { (world) async throws -> Void in
            let pool = world.pool
            for text in Self.jobRows { try await pool.run(Statement(name: "fill", text: text, isPrepared: false)) }
            let store = JobStore(pool: pool)
            func ids(_ condition: String) async throws -> [String] {
                let query = try parseStatement("SELECT * FROM devices.jobs WHERE " + condition)
                let compiled = query.compiled(firstParameter: JobStore.resultConditionFirstParameter)
                let results = try await store.deviceResults(
                    matching: SQLFragment(text: compiled.condition, parameters: compiled.parameters),
                    jobIDs: query.jobIDs, after: nil,
                    limit: 100)
                return results.map { "\($0.result.deviceID) \($0.result.status.rawValue)" }
            }
            let all = ["d0 completed", "d1 failed", "d2 canceled", "d3 running", "d4 pending"]
            #expect(try await ids("jobId = 'j1'") == all)
            #expect(try await ids("devices.jobs.JobId = 'j1' AND devices.jobs.jobType = 'scheduleUpdateTwin'") == all)
            for entry in all {
                let status = entry.split(separator: " ")[1]
                #expect(try await ids("jobId = 'j1' AND status = '\(status)'") == [entry])
            }
            #expect(try await ids("status = 'Completed'").isEmpty)
            #expect(try await ids("deviceId IN ['d3', 'd9']") == ["d3 running", "d9 pending"])
            #expect(try await ids("jobId IN ['j1', 'j2'] AND NOT status = 'pending'").count == 4)
            #expect(try await ids("startTimeUtc < '2031-01-01T01:00:00Z' AND jobId = 'j1'").count == 5)
            #expect(
                try await ids("startTimeUtc >= '2031-01-01T00:00:00+01:00' AND endTimeUtc = '2031-01-01T01:00:00'")
                    .count == 6)
            #expect(try await ids("createdTimeUtc = '2030-12-31T23:59:59.5Z'").count == 6)
            #expect(try await ids("lastUpdatedDateTimeUtc > '2031-01-01T00:00:01Z'") == ["d1 failed"])
            #expect(try await ids("nosuch = 'x' OR outcome = 'y'").isEmpty)
        }
    }

    private static let jobRows = [
        "SELECT create_slot(20310101)", "SELECT create_slot(1000000002)",
        """
        INSERT INTO jobs (job_id, type, query_condition, action, request_digest, state, slot, start_at,
                          max_execution_seconds, deadline)
        SELECT v.id, 'scheduleUpdateTwin', '*', '{}', '', 'running', v.slot, '2031-01-01T00:00:00Z', 3600,
               '2031-01-01T01:00:00Z'
        FROM (VALUES ('j1', 20310101), ('j2', 1000000002)) AS v (id, slot) ORDER BY v.id
        """,
        """
        INSERT INTO work_batches (job, batch, first_seq, last_seq, state, open)
        SELECT j.job, v.batch, v.batch, v.batch, v.state::batch_state, 1
        FROM jobs j, (VALUES (0, 'closed'), (1, 'claimed'), (2, 'ready')) AS v (batch, state)
        """,
        """
        INSERT INTO work_items (slot, job, seq, device_id, batch, state, created_at, updated_at)
        SELECT j.slot, j.job, v.seq, v.device, v.batch, v.state::item_state, '2030-12-31T23:59:59.5Z',
               CASE WHEN v.state = 'failed' THEN '2031-01-01T00:00:02Z'::timestamptz ELSE '2031-01-01T00:00:00Z' END
        FROM jobs j
        JOIN (VALUES ('j1', 0, 'd0', 0, 'succeeded'), ('j1', 1, 'd1', 0, 'failed'), ('j1', 2, 'd2', 0, 'cancelled'),
                     ('j1', 3, 'd3', 1, 'pending'), ('j1', 4, 'd4', 2, 'pending'), ('j2', 0, 'd9', 2, 'pending'))
             AS v (job_id, seq, device, batch, state) USING (job_id)
        """,
    ]
}
