// The wire contract's own list of conditions that must and must not pass.
// Method: parse each; a refusal must name the place of the mistake.

import Testing

@testable import TwinQuery

@Suite struct AcceptanceTests {
    static let accepted = [
        "deviceId = 'MyDevice1'",
        "deviceId IN ['MyDevice1','MyDevice2']",
        #"DeviceId in ["a", "b"]"#,
        #"deviceId = 'it\'s'"#,
        "tags.location.floor = 3 AND (tags.x = 'a' OR NOT IS_DEFINED(tags.y))",
        "tags.[[group]] = 'g'",
        "properties.reported.t > 0x10",
        "capabilities.iotEdge = true",
        "*",
        "  *\t\r\n",
        "STARTSWITH(deviceId, 'sim-')",
        "IS_DEFINED(deviceId)",
        "tags.a IN []",
        "tags.building = '43' AND tags.floor = 3",
    ]

    /// Text, column of the mistake, part of the message.
    static let refused: [(String, Int, String)] = [
        ("deviceId IN ['MyDevice1'", 25, "list that begins at column 13 is not closed"),
        ("deviceId IN ['MyDevice1]", 25, "text that begins at column 14 is not closed"),
        (#""deviceId IN ['MyDevice1']"#, 27, "text that begins at column 1 is not closed"),
        ("deviceId IN ['a',", 18, "list is not closed"),
        ("deviceId IN ('a')", 13, "square brackets"),
        ("deviceId = 'a", 14, "not closed"),
        ("tags.group = 'g'", 6, "[[group]]"),
        ("tags.a = 1 tags.b = 2", 12, "expected nothing more, found 'tags'"),
        ("SELECT * FROM devices", 1, "complete SELECT statement"),
        ("**", 2, "expected nothing more, found '*'"),
        ("", 1, "empty"),
        ("   ", 1, "empty"),
        (String(repeating: "(", count: 10_000) + "true" + String(repeating: ")", count: 10_000), 8193, "8192"),
        (
            String(repeating: "(", count: 4000) + "true" + String(repeating: ")", count: 4000), 65,
            "nested deeper than 64"
        ),
    ]

    @Test(arguments: accepted) func accepts(_ text: String) throws {
        _ = try parseCondition(text)
    }

    @Test(arguments: refused) func refuses(_ text: String, _ column: Int, _ message: String) {
        let error = #expect(throws: QueryError.self) { try parseCondition(text) }
        #expect(error?.position == column && error?.message.contains(message) == true, "\(String(describing: error))")
    }

    /// The limit itself passes, one character more does not.
    @Test func lengthLimit() throws {
        let longest = "tags.a = '" + String(repeating: "x", count: 8192 - 11) + "'"
        _ = try parseCondition(longest)
        #expect(throws: QueryError.self) { try parseCondition(longest + " ") }
    }

    @Test func depthLimit() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "(", count: depth) + "true" + String(repeating: ")", count: depth)
        }
        _ = try parseCondition(nested(64))
        #expect(throws: QueryError.self) { try parseCondition(nested(65)) }
    }
}
