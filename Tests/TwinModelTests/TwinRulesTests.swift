// Goal: every rule of the wire contract's 4.3 and 4.4 accepts its limit and refuses one step beyond, naming field and
// limit. Method: tables of JSON texts.

import JSON
import Testing
import TwinModel

private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: text) }

private func object(_ text: String) throws -> JSONObject { try #require(try json(text).objectValue) }

/// `{"k":{"k":…{innermost}}}` with `levels` objects below the section.
private func nested(_ levels: Int, innermost: String = #"{"p":1}"#) -> String {
    String(repeating: #"{"k":"#, count: levels) + innermost + String(repeating: "}", count: levels)
}

@Suite struct TwinRulesTests {
    @Test(arguments: [
        #"{"a":1,"b":{"c":"x"},"d":[1,"two",{"three":3}],"e":null,"f":{"g":null},"h":{},"i":[]}"#,
        #"{"n":-4503599627370496,"m":4503599627370495,"d":1.5,"big":1e300}"#,
        #"{"fan-speed":1,"größe":2,"Ключ":3,"a_b:c/d(e)":4,"[0]":5}"#,
        #"{"\#(String(repeating: "k", count: 1024))":"\#(String(repeating: "v", count: 4096))"}"#,
        nested(10),
        #"{"a":[[[[[[[[[[1]]]]]]]]]]}"#,
        #"{"text":"line\nbreak\u0001"}"#,
    ])
    func accepts(_ text: String) throws {
        #expect(try TwinRules.checked(try object(text), section: .desired) == object(text))
    }

    @Test(arguments: [
        (#"{"":1}"#, "properties.desired. has an empty key."),
        (#"{"a":{"b c":1}}"#, "properties.desired.a.b c has a key with the forbidden character U+0020"),
        (#"{"a.b":1}"#, "forbidden character U+002E"),
        (#"{"a$":1}"#, "forbidden character U+0024"),
        (#"{"a#":1}"#, "forbidden character U+0023"),
        (#"{"a\n":1}"#, "forbidden character U+000A"),
        (#"{"a\u0085":1}"#, "forbidden character U+0085"),
        (#"{"list":[{"a b":1}]}"#, "properties.desired.list[0].a b has a key"),
        (
            #"{"n":4503599627370496}"#,
            "must be an integer from -4503599627370496 to 4503599627370495; it is 4503599627370496."
        ),
        (#"{"n":-4503599627370497}"#, "it is -4503599627370497."),
        (#"{"l":[1,null]}"#, "properties.desired.l[1] is null inside an array"),
        (#"{"l":[{"x":null}]}"#, "properties.desired.l[0].x is null inside an array"),
        (#"{"t":"a\u0000b"}"#, "properties.desired.t holds the character U+0000"),
        (nested(11), "is nested deeper than 10 levels."),
        (#"{"a":[[[[[[[[[[{}]]]]]]]]]]}"#, "is nested deeper than 10 levels."),
        (#"{"s":"\#(String(repeating: "v", count: 4097))"}"#, "is longer than 4096 bytes of UTF-8; it has 4097."),
        (#"{"s":"\#(String(repeating: "é", count: 2049))"}"#, "is longer than 4096 bytes of UTF-8; it has 4098."),
        (#"{"\#(String(repeating: "k", count: 1025))":1}"#, "longer than 1024 bytes of UTF-8; it has 1025."),
    ])
    func refuses(_ text: String, _ message: String) throws {
        let error = #expect(throws: TwinModelError.self) {
            try TwinRules.checked(try object(text), section: .desired)
        }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "-")")
        #expect(error?.field.hasPrefix("properties.desired") == true)
    }

    @Test(arguments: [(TwinSection.tags, 8192), (.desired, 32768), (.reported, 32768)])
    func sizeLimit(_ section: TwinSection, _ limit: Int) throws {
        var full = JSONObject()
        for index in 0..<(limit / 4096) {
            full["\(index)"] = .string(String(repeating: "x", count: 4095))
        }
        #expect(TwinSize.of(full) == limit)
        #expect(try TwinRules.checked(full, section: section) == full)
        var deleting = full
        deleting["gone"] = .null
        #expect(try TwinRules.checked(deleting, section: section) == deleting, "a null stores nothing")
        full["0"] = .string(String(repeating: "x", count: 4096))
        let error = #expect(throws: TwinModelError.self) { try TwinRules.checked(full, section: section) }
        #expect(
            error?.message
                == "\(section.wirePath) is larger than \(limit) by the size rule; it has \(limit + 1).")
    }

    @Test(arguments: [
        (#"{}"#, 0), (#"{"a":null}"#, 1), (#"{"a":true}"#, 5), (#"{"ab":1}"#, 10), (#"{"a":1.5}"#, 9),
        (#"{"a":"xyz"}"#, 4), (#"{"a":"x\ny\u0085\u007f"}"#, 3), (#"{"é":"😀"}"#, 2), (#"{"a":[1,true,"x"]}"#, 14),
        (#"{"a":{"b":{"c":"d"}}}"#, 4), (#"{"a":[]}"#, 1),
    ])
    func size(_ text: String, _ expected: Int) throws {
        #expect(TwinSize.of(try object(text)) == expected)
    }

    @Test(arguments: [
        (#"{"a":1,"b":{"c":2,"d":3}}"#, #"{"a":null,"b":{"d":4,"e":"x"}}"#, #"{"b":{"c":2,"d":4,"e":"x"}}"#),
        (#"{"p":{"q":1}}"#, #"{"p":{"q":null}}"#, #"{"p":{}}"#),
        (#"{}"#, #"{"p":{"q":null}}"#, #"{"p":{}}"#),
        (#"{}"#, #"{"p":{}}"#, #"{"p":{}}"#),
        (#"{"p":{"q":1}}"#, #"{"p":{}}"#, #"{"p":{"q":1}}"#),
        (#"{"p":5}"#, #"{"p":{"q":1}}"#, #"{"p":{"q":1}}"#),
        (#"{"p":[1]}"#, #"{"p":{"q":1}}"#, #"{"p":{"q":1}}"#),
        (#"{"p":{"q":1}}"#, #"{"p":[2]}"#, #"{"p":[2]}"#),
        (#"{"p":{"q":1}}"#, #"{"p":"text"}"#, #"{"p":"text"}"#),
        (#"{"p":1}"#, #"{"absent":null}"#, #"{"p":1}"#),
    ])
    func merge(_ target: String, _ patch: String, _ expected: String) throws {
        #expect(try TwinMerge.merged(object(target), object(patch)) == object(expected))
    }
}
