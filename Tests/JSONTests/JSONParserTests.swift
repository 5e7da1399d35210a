// Goal: the parser accepts exactly RFC 8259 within its limits, keeps values exact, and never traps on any bytes.
// Method: tables of good and bad texts, cuts at every byte, and random mutations from a printed seed.

import JSON
import ServiceKit
import Testing

@Suite struct JSONParserTests {
    static let good: [(String, JSONValue)] = [
        ("0", 0), ("-0", 0), ("12", 12), ("-7", -7), ("1.5", 1.5), ("1e3", .number(1000)), ("2E-2", .number(0.02)),
        ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
        ("9223372036854775808", .number(9_223_372_036_854_775_808)),
        ("true", true), ("false", false), ("null", nil), ("\"\"", ""), (" [ ] ", []), ("{}", [:]),
        ("[1,[2,{\"a\":null}]]", [1, [2, ["a": nil]]]),
        ("\"\\u0041\\n\\\"\\\\\\/\\b\\f\\r\\t\"", .string("A\n\"\\/\u{8}\u{c}\r\t")),
        ("\"\\ud83d\\ude00é\"", "😀é"),
        ("{\"a\":1,\"a\":2}", ["a": 2]),
    ]

    @Test(arguments: good) func accepts(_ text: String, _ value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
        #expect(JSONCheck.isJSON(text))
        // Texts are compared because a double without a fraction reads back as an integer.
        #expect(try JSONValue(parsing: value.text).text == value.text)
        #expect(try JSONValue(parsing: value.prettyText).text == value.text)
    }

    static let bad = [
        "", " ", "01", "-", "1.", ".5", "1e", "+1", "tru", "nul", "True", "'a'", "\"", "\"\\x\"", "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "[1,]", "[1 2]", "[", "{", "{a:1}", "{\"a\"}", "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}", "1 2", "NaN", "Infinity", "1e400", "[1]]", "\u{feff}1",
    ]

    @Test(arguments: bad) func refuses(_ text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
        #expect(!JSONCheck.isJSON(text))
    }

    @Test func namesTheByte() throws {
        let error = try #require(throws: JSONError.self) { try JSONValue(parsing: "{\"a\": tru}") }
        #expect(error.offset == 6)
    }

    @Test func boundsDepthAndSize() throws {
        let deep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
        #expect(throws: JSONError.self) { try JSONValue(parsing: deep) }
        _ = try JSONValue(parsing: String(deep.dropFirst().dropLast()))
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[", count: 100_000)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: "[1,2]", limits: JSONLimits(bytes: 4)) }
    }

    @Test func refusesInvalidUTF8() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xC0, 0x80, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xED, 0xA0, 0x80, 0x22]) }
    }

    /// A text that parses after a mutation must also survive a round trip.
    @Test func survivesMutations() throws {
        let seed: UInt64 = 20_261_121
        let random = SeededRandom(seed: seed)
        let sample = Array("{\"a\":[1,-2.5e3,\"x\\u0041\\n\",true,null],\"b\":{\"c\":\"é😀\"}}".utf8)
        for cut in 0..<sample.count {
            #expect(throws: JSONError.self, "seed \(seed)") { try JSONValue(parsing: Array(sample[..<cut])) }
        }
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = sample
            for _ in 0...Int(random.next() % 3) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            let isJSON = String(validating: bytes, as: UTF8.self).map { JSONCheck.isJSON($0) } ?? false
            do {
                let value = try JSONValue(parsing: bytes)
                accepted += 1
                #expect(isJSON, "seed \(seed)")
                // A double without a fraction is written as an integer, so texts are compared, not values.
                #expect(try JSONValue(parsing: value.bytes).bytes == value.bytes, "seed \(seed)")
            } catch {
                #expect(!isJSON, "seed \(seed)")
                #expect((0...bytes.count).contains(error.offset))
            }
        }
        #expect(accepted > 0)
    }

    /// Made of the pieces that decide, so that most are nearly JSON. The verdicts must be one.
    @Test func checkAgreesWithParser() {
        let seed: UInt64 = 20_261_122
        let random = SeededRandom(seed: seed)
        let pieces = [
            "{", "}", "[", "]", ",", ":", " ", "\"", "\"a\"", "\"é\"", "\\n", "\\u00e9", "\\ud83d", "\\ude00", "true",
            "null", "fals",
            "e", "0", "-", "1", "9", "1.5", "1e9", "1e308", "1e309", "9223372036854775807", "9223372036854775808",
            String(repeating: "7", count: 309), String(repeating: "7", count: 308), ".25", "\t", "\u{1}",
        ]
        let limits = [
            JSONLimits(), JSONLimits(depth: 2), JSONLimits(bytes: 12), JSONLimits(refusesInexactIntegers: true),
        ]
        var accepted = 0
        for _ in 0..<40_000 {
            let count = 1 + random.next() % 7
            let text = (0..<count).map { _ in pieces[Int(random.next() % UInt64(pieces.count))] }.joined()
            let limit = limits[Int(random.next() % UInt64(limits.count))]
            let isRead: Bool
            do {
                _ = try JSONValue(parsing: text, limits: limit)
                isRead = true
            } catch {
                isRead = false
            }
            accepted += isRead ? 1 : 0
            #expect(JSONCheck.isJSON(text, limits: limit) == isRead, "seed \(seed): \(text)")
        }
        #expect(accepted > 1000)
    }

    @Test("Names that differ in bytes are different members, however alike they look")
    func namesAreBytes() throws {
        let text = "{\"e\u{301}\":1,\"\u{e9}\":2}"
        var object = try #require(try JSONValue(parsing: text).objectValue)
        #expect(object.count == 2)
        #expect(JSONValue.object(object).text == text)
        object["\u{e9}"] = nil
        #expect(object["e\u{301}"] == 1)
    }

    @Test func keepsOrderAndRemoves() {
        var object = JSONObject([("b", 1), ("a", 2), ("c", 3)])
        object["a"] = nil
        object["d"] = 4
        #expect(JSONValue.object(object).text == #"{"b":1,"c":3,"d":4}"#)
        #expect(object == JSONObject([("d", 4), ("c", 3), ("b", 1)]))
    }
}
