// Goal: on 100,000 twins, equality on tags and on ids goes through an index. Method: EXPLAIN of the select that jobs
// expand with, with the parameters in place, after ANALYZE; a sequential scan of twins fails the test.

import JSON
import Postgres
import StoreKit
import TestKit
import Testing
import TwinQuery

@Suite struct QueryPlanTests {
    /// 50 buildings of 10 floors in 100 sites; 100,000 twins.
    private static let fill = """
        WITH device AS (
            INSERT INTO devices (device_id, generation_id)
            SELECT 'dev-' || lpad(n::text, 6, '0'), 'g' FROM generate_series(0, 99999) AS n
        )
        INSERT INTO twins (device_id, tags, desired)
        SELECT 'dev-' || lpad(n::text, 6, '0'),
               jsonb_build_object('building', (n % 50)::text, 'floor', n / 50 % 10, 'site', jsonb_build_object('code', n % 100),
                                  'groups', jsonb_build_array('g' || n % 500)),
               jsonb_build_object('rate', n)
        FROM generate_series(0, 99999) AS n
        """

    private static let byTags = [
        "tags.building = '43' AND tags.floor = 3",
        "tags.building = '43' AND tags.floor = 3 AND status = 'enabled' AND properties.desired.rate > 10",
        "tags.site.code = 7 AND connectionState != 'Connected'",
        "tags.site.code IN [7, 8]",
        "tags.building = '43' AND tags.floor IN [3] OR tags.site.code = 99",
        "tags.groups[0] = 'g77'",
        "tags.nosuch",
        "devices.tags.building = '43' AND NOT tags.floor = 3 AND tags.site.code = 3",
    ]
    private static let byID = [
        "deviceId = 'dev-004711'",
        "deviceId IN ['dev-000001', 'dev-099999', 'nosuch']",
        "'dev-004711' = DeviceId AND tags.floor > 1",
        "id = 'dev-000001' OR deviceId IN ['dev-000002']",
        "deviceId = 'dev-004711' AND status = 'enabled' AND connectionState = 'Disconnected'",
    ]

    @Test func equalityUsesAnIndex() async throws {
        try await withWorld { (world) async throws -> Void in
            let pool = world.pool
            try await pool.run(Statement(name: "fill", text: Self.fill, isPrepared: false), timeout: .seconds(120))
            // VACUUM also empties the GIN index's list of pending entries, whose length sways the planner.
            try await pool.run(Statement(name: "vacuum", text: "VACUUM (ANALYZE) devices, twins", isPrepared: false))
            for (conditions, index) in [(Self.byTags, "twins_tags"), (Self.byID, "twins_pkey")] {
                for condition in conditions {
                    // With and without the order and limit of the pages of a query.
                    for suffix in ["", " AND t.device_id > '' ORDER BY t.device_id LIMIT 50000"] {
                        let plan = try await plan(of: condition, suffix, pool)
                        #expect(plan.contains(index) && !plan.contains("Seq Scan on twins"), "\(condition)\n\(plan)")
                    }
                }
            }
            // The control: a condition that no index serves is seen as such.
            let plan = try await plan(of: "properties.desired.rate = 5", "", pool)
            #expect(plan.contains("Seq Scan on twins"))
            let selected = try await pool.run(
                select("tags.building = '43' AND tags.floor = 3", ""),
                [
                    .json(["building": "43"]), .json(["floor": 3]),
                ])
            #expect(selected.count == 200)
        }
    }

    private func select(_ condition: String, _ suffix: String) throws -> Statement {
        let condition = try parseCondition(condition)
        let text =
            "SELECT t.device_id FROM \(condition.sources.fromClause) WHERE (\(condition.sql(firstParameter: 1).text))\(suffix)"
        return Statement(name: "select_devices", text: text, isPrepared: false)
    }

    private func plan(of condition: String, _ suffix: String, _ pool: PostgresPool) async throws -> String {
        let explain = Statement(
            name: "explain", text: "EXPLAIN " + (try select(condition, suffix)).text, isPrepared: false)
        let parameters = try parseCondition(condition).sql(firstParameter: 1).parameters.map { Parameter($0) }
        var lines: [String] = []
        for row in try await pool.run(explain, parameters) { lines.append(try row.get("QUERY PLAN")) }
        return lines.joined(separator: "\n")
    }
}
