// Positions and messages of mistakes, literals and names. Method: a table of texts, and literals read back from the
// parameters of the compiled condition.

import JSON
import Testing

@testable import TwinQuery

@Suite struct ParserTests {
    static let refused: [(String, Int, String)] = [
        ("tags.a", 0, ""),
        ("tags.a = ", 10, "expected a value, a path or a function, found the end"),
        ("tags.a == 1", 9, "expected a value"),
        ("= 1", 1, "expected a value"),
        ("tags.a = 1 = 2", 12, "comparisons do not chain"),
        ("tags.a < 1 < 2", 12, "comparisons do not chain"),
        ("(tags.a = 1", 12, "expected ) for the parenthesis at column 1"),
        ("tags.a = 1)", 11, "expected nothing more"),
        ("tags.a = 1;", 11, "';' has no meaning"),
        ("tags.a = 1 AND", 15, "expected a value"),
        ("tags.a = 1 OR OR true", 15, "reserved word"),
        ("NOT", 4, "expected a value"),
        ("tags.a NOT = 1", 12, "expected IN after NOT"),
        ("tags.a IN tags.b", 11, "list in square brackets"),
        ("tags.a IN [tags.b]", 12, "literals only"),
        ("tags.a IN ['x' 'y']", 16, "expected , or ]"),
        ("tags.a IN ['x',]", 16, "expected a literal"),
        ("tags.a IN [-'x']", 13, "expected a number after the sign"),
        ("tags. = 1", 7, "expected a name"),
        ("tags..a = 1", 6, "expected a name"),
        ("tags.[[]] = 1", 6, "empty"),
        ("tags.[[a = 1", 13, "not closed by ]]"),
        ("tags[[a]] = 1", 6, "expected an index"),
        ("tags.a[-1] = 1", 8, "expected an index"),
        ("tags.a[1.5] = 1", 8, "index is an integer"),
        ("tags.a[99999999999] = 1", 8, "index is an integer"),
        ("tags.a[1 = 1", 10, "expected ] after the index"),
        ("tags.my-tag = 1", 0, ""),
        ("tags.a = 1x", 11, "followed directly by a letter"),
        ("tags.a = 0x", 10, "hexadecimal"),
        ("tags.a = 0x11111111111111111", 10, "too large"),
        ("tags.a = 1e", 11, "exponent"),
        ("tags.a = 1e999", 10, "too large"),
        ("tags.a = .5", 10, "expected a value"),
        (#"tags.a = 'a\x'"#, 12, "not an escape"),
        (#"tags.a = '\u12'"#, 11, "four hexadecimal digits"),
        (#"tags.a = '\ud800'"#, 11, "half of a surrogate pair"),
        (#"tags.a = '\u0000'"#, 11, "U+0000"),
        ("tags.a = 'x\0y'", 12, "U+0000"),
        ("tags.a = 'x\ny'", 12, "before the line ends"),
        ("tags.a = 'it''s'", 14, "expected nothing more, found a text"),
        ("tags.a = 1 -- x", 0, ""),
        ("tags.a = #1", 10, "'#' has no meaning"),
        ("tags.a = 1 \u{1}", 12, "U+0001"),
        ("NOSUCH(tags.a)", 1, "no function 'NOSUCH'"),
        ("COUNT() > 1", 1, "aggregate COUNT"),
        ("IS_DEFINED()", 1, "takes 1 argument, found 0"),
        ("IS_DEFINED(tags.a, tags.b)", 1, "takes 1 argument, found 2"),
        ("STARTSWITH(tags.a)", 1, "takes 2 arguments, found 1"),
        ("SUBSTRING(tags.a)", 1, "2 or 3 arguments"),
        ("CONCAT('a')", 1, "at least 2"),
        ("LENGTH(tags.a", 14, "expected , or )"),
        ("tags.is_null = 1", 6, "[[is_null]]"),
        ("IS_NULL = 1", 1, "[[IS_NULL]]"),
        ("FROM devices.modules WHERE ModuleId = 'x'", 1, "devices.modules is not supported"),
        ("WHERE tags.a = 1", 1, "reserved word"),
        ("tags.a = 1 GROUP BY tags.a", 12, "expected nothing more"),
        ("é = 'x' %", 10, "expected a value"),
        ("tags.a" + String(repeating: ".a", count: 40), 1, "at most 32 segments"),
        (String(repeating: "NOT ", count: 65) + "true", 257, "nested deeper"),
        ("1" + String(repeating: "+1", count: 65), 130, "arithmetic operators"),
        ("tags.a IN [" + String(repeating: "1,", count: 2048) + "1]", 4108, "at most 2048 elements"),
    ]

    /// Position 0 marks texts that pass, which stand there beside their neighbours.
    @Test(arguments: refused) func positions(_ text: String, _ position: Int, _ message: String) throws {
        guard position > 0 else {
            _ = try parseCondition(text)
            return
        }
        let error = #expect(throws: QueryError.self) { try parseCondition(text) }
        #expect(error?.position == position && error?.message.contains(message) == true, "\(String(describing: error))")
    }

    static let literals: [(String, JSONValue)] = [
        (#"'it\'s'"#, "it's"), (#""it's""#, "it's"), (#"'\\\/\n\r\t\b\f\"'"#, "\\/\n\r\t\u{8}\u{c}\""),
        (#"'\u00e9\uD83D\uDE00'"#, "é😀"), ("'é😀'", "é😀"), ("''", ""),
        ("0x10", 16), ("0XfF", 255), ("3", 3), ("3.0", 3), ("-3", -3), ("+3", 3), ("1.5e2", 150), ("2E-1", 0.2),
        ("007", 7),
        ("9007199254740993", 9_007_199_254_740_992), ("TRUE", true), ("False", false), ("null", nil),
    ]

    @Test(arguments: literals) func literal(_ text: String, _ value: JSONValue) throws {
        let fragment = try parseCondition("tags.a IN [\(text)]").sql(firstParameter: 1)
        #expect(fragment.parameters == [.json(["a": value])])
    }

    static let names: [(String, JSONValue)] = [
        ("tags.A", ["A": 1]), ("TAGS.a", ["a": 1]), ("devices.tags.a", ["a": 1]), ("Devices.Tags.a.b", ["a": ["b": 1]]),
        ("tags.[[group]]", ["group": 1]), ("tags['group']", ["group": 1]), ("[[tags]].a", ["a": 1]),
        ("tags.[[a]b.c]].d", ["a]b.c": ["d": 1]]), ("tags.größe", ["größe": 1]), ("tags . a", ["a": 1]),
        ("tags.select_", ["select_": 1]), ("tags.[[it's]]", ["it's": 1]), ("tags.is_array", ["is_array": 1]),
        ("tags.true", ["true": 1]), ("tags.nin", ["nin": 1]),
    ]

    @Test(arguments: names) func name(_ path: String, _ document: JSONValue) throws {
        #expect(try parseCondition("\(path) = 1").sql(firstParameter: 1).parameters == [.json(document)])
    }

    /// Systems' names in any case, `id`, and names that do not exist.
    @Test func systemMembers() throws {
        func sql(_ condition: String) throws -> String { try parseCondition(condition).sql(firstParameter: 1).text }
        let identity = try sql("deviceId = 'a'")
        for name in ["DeviceId", "DEVICEID", "id", "Id", "devices.deviceId", "devices.ID", "[[deviceId]]"] {
            #expect(try sql("\(name) = 'a'") == identity)
        }
        for name in [
            "nosuch", "deviceId.x", "tags2.a", "moduleId", "properties.x", "devices.jobs.status", "capabilities.x",
        ] {
            #expect(try sql("\(name) = 'a'") == "NULL::boolean")
        }
    }

    @Test func precedence() throws {
        func text(_ condition: String) throws -> String { try parseCondition(condition).sql(firstParameter: 1).text }
        #expect(
            try text("tags.a = 1 OR tags.b = 2 AND NOT tags.c = 3")
                == text("tags.a = 1 OR (tags.b = 2 AND (NOT (tags.c = 3)))"))
        #expect(
            try text("1 + tags.a * 2 > 3 - 4 / tags.b % 5") == text("(1 + (tags.a * 2)) > (3 - ((4 / tags.b) % 5))"))
        #expect(try text("- tags.a + 1 = 2") == text("((-(tags.a)) + 1) = 2"))
        #expect(try text("NOT tags.a IN [1]") == text("NOT (tags.a IN [1])"))
        #expect(try text("tags.a NOT IN [1]") == text("tags.a NIN [1]"))
    }
}
