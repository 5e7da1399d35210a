// Goal: the three requests that carry a patch accept what clients really send and refuse the rest. Method: tables.

import JSON
import Testing
import TwinModel

private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: text) }

@Suite struct TwinPatchTests {
    @Test(
        "A job's updateTwin has one normal form",
        arguments: [
            (#"{"tags":{"a":1}}"#, #"{"etag":"*","tags":{"a":1}}"#),
            (#"{"etag":"\"*\"","tags":{"a":1}}"#, #"{"etag":"*","tags":{"a":1}}"#),
            (#"{"etag":"\"AAAAAAAAAAE=\"","tags":{}}"#, #"{"etag":"AAAAAAAAAAE=","tags":{}}"#),
            (
                #"{"etag":null,"tags":null,"properties":{"desired":{"a":null}}}"#,
                #"{"etag":"*","properties":{"desired":{"a":null}}}"#
            ),
            (
                #"{"etag":"*","desired":{"building":"43","floor":3}}"#,
                #"{"etag":"*","properties":{"desired":{"building":"43","floor":3}}}"#
            ),
            (#"{"desired":{"a":1},"properties":{"desired":null}}"#, #"{"etag":"*","properties":{"desired":{"a":1}}}"#),
            (#"{"properties":{"desired":{"a":1},"reported":{}}}"#, #"{"etag":"*","properties":{"desired":{"a":1}}}"#),
            (
                #"{"deviceId":"x","version":null,"properties":{"desired":{"a":1,"$version":4,"$metadata":{}},"reported":null}}"#,
                #"{"etag":"*","properties":{"desired":{"a":1}}}"#
            ),
        ])
    func updateTwin(_ text: String, _ normal: String) throws {
        let update = try TwinUpdate.parse(try json(text))
        #expect(try .object(update.document) == json(normal))
        #expect(TwinUpdate(stored: update.document) == update)
    }

    @Test(arguments: [
        (#"{}"#, "updateTwin", "must have tags or properties.desired"),
        (#"{"tags":null,"properties":{"desired":null}}"#, "updateTwin", "it has neither"),
        (#"[]"#, "updateTwin", "must be an object; it is an array."),
        (#"{"tags":"x"}"#, "tags", "tags must be an object; it is a string."),
        (#"{"properties":5}"#, "properties", "properties must be an object; it is a number."),
        (#"{"properties":{"desired":[]}}"#, "properties.desired", "it is an array."),
        (#"{"desired":{"a":1},"properties":{"desired":{"a":1}}}"#, "updateTwin.desired", "both"),
        (#"{"tags":{"a":1},"properties":{"reported":{"b":1}}}"#, "properties.reported", "belongs to the device"),
        (#"{"etag":5,"tags":{}}"#, "updateTwin.etag", "must be a string; it is a number."),
        (#"{"tags":{"a b":1}}"#, "tags.a b", "U+0020"),
    ])
    func refusedUpdateTwin(_ text: String, _ field: String, _ message: String) throws {
        let error = #expect(throws: TwinModelError.self) { try TwinUpdate.parse(try json(text)) }
        #expect(error?.field == field)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "-")")
    }

    @Test("A whole twin sent back patches tags and desired only")
    func wholeTwin() throws {
        let patch = try TwinPatch.parse(
            twinPatch: json(
                #"""
                {"deviceId":"d","etag":"AAAAAAAAAAE=","version":7,"tags":{"$etag":"1","a":1},"properties":{
                "desired":{"x":1,"$metadata":{"$lastUpdated":"2031-01-01T00:00:00Z"},"$version":3},
                "reported":{"y":2,"$metadata":{},"$version":4}}}
                """#))
        #expect(patch == TwinPatch(tags: JSONObject([("a", 1)]), desired: JSONObject([("x", 1)])))
    }

    @Test func replacement() throws {
        let whole = try TwinPatch.parse(twinReplacement: json(#"{"tags":{"a":1,"b":null,"c":{"d":null}}}"#))
        #expect(whole.tags == JSONObject([("a", 1), ("c", [:])]))
        #expect(whole.desired.isEmpty)
    }

    @Test func reported() throws {
        #expect(try TwinPatch.parse(reported: json(#"{"a":null}"#)) == JSONObject([("a", nil)]))
        #expect(throws: TwinModelError.self) { try TwinPatch.parse(reported: json("[]")) }
    }
}

@Suite struct ETagTests {
    @Test(arguments: [(Int64(1), "AAAAAAAAAAE="), (0, "AAAAAAAAAAA="), (256, "AAAAAAAAAQA="), (.max, "f/////////8=")])
    func twin(_ counter: Int64, _ text: String) { #expect(ETag.twin(counter) == text) }

    @Test(arguments: [(Int64(123_456_789), "MTIzNDU2Nzg5"), (1, "MQ=="), (12, "MTI="), (1234, "MTIzNA==")])
    func identity(_ counter: Int64, _ text: String) { #expect(ETag.identity(counter) == text) }

    @Test(arguments: [
        ("*", ETagCondition.any), ("\"*\"", .any), ("\"AAAAAAAAAAE=\"", .matching("AAAAAAAAAAE=")),
        ("AAAAAAAAAAE=", .matching("AAAAAAAAAAE=")), ("\"", .matching("\"")), ("\"\"", .matching("")),
    ])
    func condition(_ text: String, _ expected: ETagCondition) { #expect(ETagCondition(text) == expected) }
}

@Suite struct TwinMetadataTests {
    @Test("The contract's example: a write to net.ssid stamps ssid, net and the root")
    func rendered() throws {
        let document = JSONObject([("net", ["ssid": "x", "list": [1, ["a": 2]]]), ("old", 1)])
        let metadata = JSONObject([
            ("", [9, 2]), ("net", [9, 2]), ("net.ssid", [9, 2]), ("net.list", [4, 1]), ("old", [4, 1]),
            ("gone", [4, 1]),
        ])
        let desired = TwinMetadata.rendered(
            document, section: .desired, metadata: metadata, version: 2, created: 4, timestamp: { "T\($0)" })
        #expect(
            try .object(desired)
                == json(
                    #"""
                    {"net":{"ssid":"x","list":[1,{"a":2}]},"old":1,"$metadata":{"$lastUpdated":"T9",
                    "$lastUpdatedVersion":2,"net":{"$lastUpdated":"T9","$lastUpdatedVersion":2,
                    "ssid":{"$lastUpdated":"T9","$lastUpdatedVersion":2},
                    "list":{"$lastUpdated":"T4","$lastUpdatedVersion":1}},
                    "old":{"$lastUpdated":"T4","$lastUpdatedVersion":1}},"$version":2}
                    """#))
        let reported = TwinMetadata.rendered(
            JSONObject([("a", 1)]), section: .reported, metadata: JSONObject([("", [5, 2]), ("a", [5, 2])]), version: 2,
            created: 1, timestamp: { "T\($0)" })
        #expect(
            try .object(reported)
                == json(#"{"a":1,"$metadata":{"$lastUpdated":"T5","a":{"$lastUpdated":"T5"}},"$version":2}"#))
    }

    @Test("A section never written shows its creation and no version of a write")
    func neverWritten() throws {
        let desired = TwinMetadata.rendered(
            JSONObject(), section: .desired, metadata: JSONObject(), version: 1, created: 4, timestamp: { "T\($0)" })
        #expect(try .object(desired) == json(#"{"$metadata":{"$lastUpdated":"T4"},"$version":1}"#))
    }

    @Test("A merge stamps what it names and forgets what it deletes")
    func merged() {
        let metadata = JSONObject([
            ("", [1, 1]), ("a", [1, 1]), ("a.b", [1, 1]), ("a.c", [1, 1]), ("a.c.d", [1, 1]), ("ab", [1, 1]),
        ])
        let patch = JSONObject([("a", ["b": nil, "c": 5, "new": [:]])])
        let expected = JSONObject([
            ("", [9, 2]), ("a", [9, 2]), ("a.c", [9, 2]), ("a.new", [9, 2]), ("ab", [1, 1]),
        ])
        #expect(TwinMetadata.merged(metadata, patch: patch, microseconds: 9, version: 2) == expected)
    }

    @Test func paths() throws {
        let document = try #require(try json(#"{"a":{"b":{"c":1},"d":[{"e":1}]},"f":{}}"#).objectValue)
        #expect(TwinMetadata.paths(of: document) == ["", "a", "a.b", "a.b.c", "a.d", "f"])
    }
}
