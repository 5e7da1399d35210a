// Statements: what is accepted and refused, the names of the columns, the item type, the ids that a condition pins.

import Testing

@testable import TwinQuery

@Suite struct StatementTests {
    static let accepted = [
        "SELECT * FROM devices",
        "select top 5 * from devices where tags.site = 'north'",
        "SELECT * FROM devices.modules WHERE ModuleId = 'x'",
        "select * from devices.jobs where devices.jobs.jobId = 'a' and devices.jobs.jobType = 'scheduleUpdateTwin'",
        "SELECT tags.site AS site, COUNT() AS n FROM devices WHERE properties.reported.fw = '4.1' GROUP BY tags.site",
        "SELECT COUNT(*) numberOfDevices FROM devices",
        "SELECT AVG(tags.a), SUM(tags.a), MIN(tags.a) low, MAX(tags.a) FROM devices",
        "SELECT LOWER(tags.a) AS [[my key]], tags.list[0], tags['odd key'] FROM devices",
        "SELECT tags.site FROM devices GROUP BY devices.tags.site",
        "SELECT properties.desired, properties.reported.$metadata.a AS m, properties FROM devices",
    ]

    static let refused: [(String, Int, String)] = [
        ("", 1, "empty"),
        ("deviceId = 'a'", 1, "begins with SELECT"),
        ("SELECT", 7, "SELECT list holds"),
        ("SELECT FROM devices", 8, "reserved word"),
        ("SELECT * devices", 10, "expected FROM"),
        ("SELECT *, tags.a FROM devices", 9, "expected FROM"),
        ("SELECT * FROM twins", 15, "expected devices"),
        ("SELECT * FROM devices.things", 23, "expected modules or jobs"),
        ("SELECT * FROM devices ORDER BY deviceId", 23, "no ORDER BY"),
        ("SELECT * FROM devices JOIN x", 23, "no JOIN"),
        ("SELECT * FROM devices WHERE tags.a LIKE 'x'", 36, "no LIKE"),
        ("SELECT * FROM devices WHERE tags.a BETWEEN 1 AND 2", 36, "no BETWEEN"),
        ("SELECT DISTINCT tags.a FROM devices", 8, "no DISTINCT"),
        ("SELECT * FROM devices;", 22, "';' has no meaning"),
        ("SELECT * FROM devices WHERE", 28, "expected a value"),
        ("SELECT * FROM devices WHERE *", 29, "expected a value"),
        ("SELECT * FROM devices GROUP BY tags.a", 32, "SELECT * cannot be grouped"),
        ("SELECT tags.a, COUNT() FROM devices", 8, "grouping path"),
        ("SELECT tags.b FROM devices GROUP BY tags.a", 8, "grouping path"),
        ("SELECT COUNT() FROM devices GROUP BY LOWER(tags.a)", 43, "paths, not functions"),
        ("SELECT COUNT() FROM devices GROUP BY properties.desired", 38, "whole section"),
        ("SELECT COUNT() FROM devices GROUP tags.a", 35, "expected BY"),
        ("SELECT COUNT(tags.a) FROM devices", 14, "COUNT takes nothing or *"),
        ("SELECT SUM(*) FROM devices", 12, "SUM takes a path"),
        ("SELECT LOWER(COUNT()) FROM devices", 14, "may only stand in a SELECT list"),
        ("SELECT TOP x * FROM devices", 12, "TOP takes an integer"),
        ("SELECT TOP 1.5 * FROM devices", 12, "TOP takes an integer"),
        ("SELECT TOP -1 * FROM devices", 12, "TOP takes an integer"),
        ("SELECT 1 FROM devices", 8, "SELECT list holds"),
        ("SELECT tags.a AS FROM devices", 18, "reserved word"),
        ("SELECT tags.a.x, tags.b.x FROM devices", 18, "two items are named 'x'"),
        ("SELECT tags.a AS x, tags.b AS x FROM devices", 21, "two items are named 'x'"),
        ("SELECT deviceId FROM devices.jobs", 8, "only SELECT *"),
        ("SELECT COUNT() FROM devices.jobs", 8, "only SELECT *"),
        ("SELECT * FROM devices.jobs WHERE jobId = 'a' AND tags.x = 1", 50, "no conditions on the twin"),
        ("SELECT * FROM devices.jobs WHERE connectionState = 'Connected'", 34, "no conditions on the twin"),
        ("SELECT *\nFROM devices\nWHERE tags.group = 1", 34, "reserved word"),
    ]

    @Test(arguments: accepted) func accepts(_ text: String) throws {
        _ = try parseStatement(text).compiled(firstParameter: 1)
    }

    @Test(arguments: refused) func refuses(_ text: String, _ position: Int, _ message: String) {
        let error = #expect(throws: QueryError.self) { try parseStatement(text) }
        #expect(error?.position == position && error?.message.contains(message) == true, "\(String(describing: error))")
    }

    @Test func errorsNameLineAndColumn() {
        let error = #expect(throws: QueryError.self) {
            try parseStatement("SELECT *\nFROM devices\nWHERE tags.group = 1")
        }
        #expect(error?.line == 3 && error?.column == 12)
    }

    @Test func keys() throws {
        let query = try parseStatement(
            "SELECT DeviceId, tags.a.b, tags['x y'], tags.l[0], COUNT AS c, devices.Capabilities.IotEdge, LENGTH(tags.a), "
                + "properties.desired.$Version, UPPER(tags.a) up FROM devices")
        #expect(query.keys == ["deviceId", "b", "x y", "$1", "c", "iotEdge", "$2", "$version", "up"])
        #expect(
            try parseStatement("SELECT COUNT(), SUM(tags.a) AS s, MAX(tags.a) FROM devices").keys == ["$1", "s", "$2"])
    }

    @Test func itemTypes() throws {
        #expect(try parseStatement("SELECT * FROM devices").itemType == .twin)
        #expect(try parseStatement("SELECT * FROM devices.modules").itemType == .twin)
        #expect(try parseStatement("SELECT * FROM devices.jobs").itemType == .deviceJob)
        #expect(try parseStatement("SELECT deviceId FROM devices").itemType == .raw)
        #expect(try parseStatement("SELECT COUNT() FROM devices").itemType == .raw)
        #expect(try parseStatement("SELECT TOP 7 * FROM devices").top == 7)
    }

    @Test func renderings() throws {
        let query = try parseStatement(
            "SELECT properties.Desired AS a, properties.reported.$metadata.[[x]].y AS b, properties AS c, "
                + "properties.desired.$metadata.x.$lastUpdated AS d FROM devices")
        let compiled = query.compiled(firstParameter: 1)
        #expect(
            compiled.columns.map(\.rendering) == [
                .section(.desired, path: []), .section(.reported, path: ["$metadata", "x", "y"]), .properties, .value,
            ])
        #expect(compiled.sources.contains(.devices))
    }

    @Test func pins() throws {
        func jobs(_ condition: String) throws -> [String]? {
            try parseStatement("SELECT * FROM devices.jobs WHERE " + condition).jobIDs
        }
        #expect(try jobs("jobId = 'a'") == ["a"])
        #expect(try jobs("'a' = devices.jobs.JOBID AND status = 'failed'") == ["a"])
        #expect(try jobs("jobId IN ['a', 'b', 'a', 3]") == ["a", "b"])
        #expect(try jobs("(jobId = 'a' OR jobId = 'b') AND jobId IN ['b', 'c']") == ["b"])
        #expect(try jobs("jobId = 'a' OR status = 'failed'") == nil)
        #expect(try jobs("NOT jobId = 'a'") == nil)
        #expect(try jobs("jobId NIN ['a']") == nil)
        #expect(try parseStatement("SELECT * FROM devices WHERE id = 'x' AND tags.a = 1").deviceIDs == ["x"])
        #expect(try parseCondition("deviceId = 'a'").deviceIDs == ["a"])
        #expect(try parseCondition("DeviceId IN ['b', 'a', 'b']").deviceIDs == ["b", "a"])
        #expect(try parseCondition("deviceId = 'a' AND tags.x = 1").deviceIDs == nil)
        #expect(try parseCondition("*").deviceIDs == nil)
    }
}
