// The compiled text: no user text in it, forms that an index serves where they are sound, placeholders without gaps.

import JSON
import Testing

@testable import TwinQuery

@Suite struct CompilationTests {
    private func compile(_ condition: String, first: Int = 1) throws -> SQLFragment {
        try parseCondition(condition).sql(firstParameter: first)
    }

    /// Every string, key and number of a user is looked for in the text.
    @Test func userTextIsNeverSQL() throws {
        let conditions = [
            "tags.zqx = 'zqx'", "tags.[[zqx'; DROP]] < 'zqx'", "tags.a IN ['zqx', 77123]", "tags.zqx[77123] != 77123",
            "CONCAT(tags.zqx, 'zqx') = SUBSTRING('zqx', 77123, 77123)",
            "properties.desired.$metadata.zqx.$lastUpdated > 'zqx'",
            "tags.a + 77123 > 77123", "ARRAY_CONTAINS(tags.zqx, 'zqx')", "deviceId = 'zqx'",
            "lastActivityTime IN ['zqx']",
            "properties.reported.$metadata.zqx.b.$lastUpdated > '2031-01-01T00:00:00Z'", "zqx = 1", "zqx.y IN [77123]",
            "AS_NUMBER('zqx') % tags.zqx = ENDSWITH('zqx', tags.zqx)", "'zqx' < 'zqy'", "status = 'zqx'",
        ]
        for condition in conditions {
            let fragment = try compile(condition)
            #expect(!fragment.text.contains("zqx") && !fragment.text.contains("77123"), "\(fragment.text)")
        }
        let query = try parseStatement(
            "SELECT tags.zqx AS zqx, LOWER('zqx') AS zqx2, tags.zqx3 FROM devices WHERE tags.zqx = 'zqx'")
        let compiled = query.compiled(firstParameter: 1)
        #expect(!(compiled.columnList + compiled.condition).contains("zqx"))
        let groups = try parseStatement("SELECT tags.zqx AS zqx, SUM(tags.zqx.y) s FROM devices GROUP BY tags.zqx")
        let compiledGroups = groups.compiled(firstParameter: 1)
        #expect(!(compiledGroups.columnList + compiledGroups.groupClause).contains("zqx"))
    }

    @Test func indexedForms() throws {
        let contained = try compile("tags.building = '43' AND tags.place.floor = 3", first: 5)
        #expect(contained.text == "((t.tags @> $5::jsonb) AND (t.tags @> $6::jsonb))")
        #expect(contained.parameters == [.json(["building": "43"]), .json(["place": ["floor": 3]])])
        let listed = try compile("tags.a IN ['x', 'y'] OR deviceId IN ['d1', 'd2']")
        #expect(listed.text == "((t.tags @> ANY($1::text[]::jsonb[])) OR (t.device_id = ANY($2::text[])))")
        #expect(listed.parameters == [.textArray([#"{"a":"x"}"#, #"{"a":"y"}"#]), .textArray(["d1", "d2"])])
        #expect(try compile("deviceId = 'd1'").text == "(t.device_id = ANY($1::text[]))")
        // A path with an index: containment beside the exact test.
        let element = try compile("tags.a[1] = 'x'").text
        #expect(element.hasPrefix("(t.tags @> $1::jsonb AND ") && element.contains("->"))
        // Below NOT undefined and false differ, so containment would be wrong.
        #expect(!(try compile("NOT (tags.a = 'x')").text.contains("@>")))
        #expect(!(try compile("(tags.a = 'x') = true").text.contains("@>")))
        #expect(!(try compile("tags.a NIN ['x']").text.contains("@>")))
    }

    @Test func sources() throws {
        #expect(try parseCondition("*").sources == [.twins])
        #expect(try parseCondition("tags.a = 1 AND deviceId = 'x'").sources == [.twins])
        #expect(try parseCondition("status = 'enabled'").sources == [.twins, .devices])
        let all = try parseCondition("connectionState = 'Connected' OR status = 'enabled'").sources
        #expect(all == [.twins, .devices, .sessions])
        #expect(
            all.fromClause == "twins t JOIN devices d ON d.device_id = t.device_id "
                + "LEFT JOIN device_sessions s ON s.device_id = t.device_id")
    }

    /// Every parameter has a placeholder, every placeholder a parameter; numbering starts where the caller says.
    @Test func placeholders() throws {
        for condition in AcceptanceTests.accepted + [
            "(tags.a + 'x') = 1 OR tags.b = 2", "tags.a + 1 > 2 AND tags.a + 1 < properties.desired.x['y'][3]",
        ] {
            let fragment = try compile(condition, first: 4)
            var numbers: Set<Int> = []
            for part in fragment.text.split(separator: "$", omittingEmptySubsequences: false).dropFirst() {
                if let number = Int(part.prefix { $0.isNumber }) { numbers.insert(number) }
            }
            #expect(numbers == Set(4..<4 + fragment.parameters.count), "\(condition): \(fragment.text)")
        }
    }

    /// The same shape has the same text, so that a driver may prepare it.
    @Test func textDependsOnShapeOnly() throws {
        #expect(try compile("tags.a = 'x' AND tags.b > 1").text == compile("tags.c = 'y' AND tags.d > 2").text)
    }

    /// Differently composed letters are different strings for PostgreSQL, though equal for Swift.
    @Test func compositionIsKept() throws {
        let fragment = try compile(
            "LOWER(tags.a) IN ['\u{e9}', 'e\u{301}'] AND LOWER(tags.a) != '\u{e9}' AND LOWER(tags.a) != 'e\u{301}'")
        let texts = fragment.parameters.compactMap { if case .text(let text) = $0 { Array(text.utf8) } else { nil } }
        #expect(texts.contains(Array("\u{e9}".utf8)) && texts.contains(Array("e\u{301}".utf8)))
        #expect(try parseCondition("deviceId IN ['\u{e9}', 'e\u{301}']").deviceIDs?.count == 2)
    }

    @Test func instants() {
        #expect(Instant.microseconds("1970-01-01T00:00:00Z") == 0)
        #expect(Instant.microseconds("0001-01-01T00:00:00") == -62_135_596_800_000_000)
        #expect(Instant.microseconds("2031-05-06T07:08:09.1234567Z") == 1_935_817_689_123_456)
        #expect(Instant.microseconds("2031-05-06T07:08:09.5+02:30") == 1_935_808_689_500_000)
        #expect(Instant.microseconds("2024-02-29T23:59:59z") == 1_709_251_199_000_000)
        for text in [
            "2023-02-29T00:00:00Z", "2031-05-06", "2031-05-06 07:08:09Z", "2031-05-06T24:00:00Z", "x", "",
            "2031-05-06T07:08:09.Z", "2031-05-06T07:08:09.1234567890Z", "2031-05-06T07:08:09Zx", "0000-01-01T00:00:00Z",
        ] {
            #expect(Instant.microseconds(text) == nil, "\(text)")
        }
    }
}
