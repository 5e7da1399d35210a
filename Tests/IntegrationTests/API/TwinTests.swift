// Goal: twins over HTTP keep the wire contract's section 4: merge, versions, etags, metadata, replacement. Method: one
// device, requests in order, and the documents they leave.

import HTTP
import JSON
import Testing

@Suite struct TwinTests {
    @Test("Merge rules, version counters and metadata of PATCH")
    func patch() async throws {
        try await APIWorld.run { world in
            _ = try await world.send("PUT", "/devices/d", [:])
            let fresh = try await world.send("GET", "/twins/d").json
            #expect(fresh["etag"] == "AAAAAAAAAAE=")
            #expect(fresh["version"] == 2)
            #expect(fresh["tags"] == nil)
            #expect(fresh["properties"]?["desired"]?["$version"] == 1)
            #expect(fresh["properties"]?["desired"]?["$metadata"]?["$lastUpdatedVersion"] == nil)

            let tags = try await world.send(
                "PATCH", "/twins/d", ["tags": ["a": 1, "b": ["c": 2, "d": 3]]], headers: [("If-Match", "\"*\"")])
            #expect(tags.status == 200)
            #expect(tags.json["etag"] == "AAAAAAAAAAI=")
            #expect(tags.json["properties"]?["desired"]?["$version"] == 1, "tags do not advance desired")

            let merged = try await world.send(
                "PATCH", "/twins/d", ["tags": ["a": nil, "b": ["d": 4, "e": "x"]]],
                headers: [("If-Match", "\"AAAAAAAAAAI=\"")])
            #expect(merged.json["tags"] == ["b": ["c": 2, "d": 4, "e": "x"]])

            let desired = try await world.send(
                "PATCH", "/twins/d", ["properties": ["desired": ["net": ["ssid": "x"], "p": ["q": nil]]]])
            #expect(desired.json["version"] == 5)
            let section = try #require(desired.json["properties"]?["desired"])
            #expect(section["$version"] == 2)
            #expect(section["p"] == [:])
            #expect(section["$metadata"]?["net"]?["ssid"]?["$lastUpdatedVersion"] == 2)
            let time = try #require(section["$metadata"]?["net"]?["ssid"]?["$lastUpdated"]?.stringValue)
            #expect(time.hasSuffix("Z") && time.contains("T"))

            let whole = try await world.send("PATCH", "/twins/d", desired.json)
            #expect(whole.status == 200, "a whole twin can be sent back")
            #expect(whole.json["properties"]?["desired"]?["$version"] == 3)
            #expect(whole.json["tags"] == desired.json["tags"])

            let empty = try await world.send("PATCH", "/twins/d", [:])
            #expect(empty.json["etag"] == whole.json["etag"], "nothing to write leaves the etag")
        }
    }

    @Test("The merged document must fit, even where the patch alone does")
    func mergedSize() async throws {
        try await APIWorld.run { world in
            _ = try await world.send("PUT", "/devices/d", [:])
            let text = JSONValue.string(String(repeating: "x", count: 4000))
            #expect(try await world.send("PATCH", "/twins/d", ["tags": ["a": text, "b": text]]).status == 200)
            let refused = try await world.send("PATCH", "/twins/d", ["tags": ["c": text]])
            #expect(refused.status == 400)
            #expect(refused.errorCode == "ArgumentInvalid")
            #expect(refused.errorText == "tags is larger than 8192 by the size rule; it has 12003.")
            #expect(try await world.send("PATCH", "/twins/d", ["tags": ["a": nil, "c": text]]).status == 200)
        }
    }

    @Test("PUT replaces both sections; an absent one becomes empty")
    func replace() async throws {
        try await APIWorld.run { world in
            _ = try await world.send("PUT", "/devices/d", [:])
            _ = try await world.send(
                "PATCH", "/twins/d", ["tags": ["a": 1], "properties": ["desired": ["x": 1, "y": 2]]])
            let replaced = try await world.send(
                "PUT", "/twins/d", ["properties": ["desired": ["y": 3, "gone": nil]]],
                headers: [("If-Match", "\"AAAAAAAAAAI=\"")])
            #expect(replaced.status == 200)
            #expect(replaced.json["tags"] == nil)
            let desired = try #require(replaced.json["properties"]?["desired"]?.objectValue)
            #expect(desired.names.sorted() == ["$metadata", "$version", "y"])
            #expect(desired["$version"] == 3)
            #expect(desired["$metadata"]?["y"]?["$lastUpdatedVersion"] == 3)
            let stale = try await world.send("PUT", "/twins/d", [:], headers: [("If-Match", "\"AAAAAAAAAAI=\"")])
            #expect(stale.status == 412)
            let inner = try JSONValue(parsing: try #require(stale.json["Message"]?.stringValue))
            #expect(inner["errorCode"] == 412_001, "twins answer in the nested form")
        }
    }

    @Test("Numbers and texts come back as they were sent")
    func exactness() async throws {
        try await APIWorld.run { world in
            _ = try await world.send("PUT", "/devices/d", [:])
            let tags: JSONValue = [
                "int": 4_503_599_627_370_495, "negative": -4_503_599_627_370_496, "double": 0.1, "large": 1e300,
                "small": 1e-300, "text": "a\u{1}\u{7f}é😀\"\\/", "list": [1, [true, ["k": "v"]]], "yes": true,
                "empty": [:],
            ]
            let reply = try await world.send("PATCH", "/twins/d", ["tags": tags])
            #expect(reply.json["tags"] == tags)
            // Two spellings of one letter are two keys, and a later patch loses neither.
            for name in ["e\u{301}", "\u{e9}"] {
                let patch: JSONValue = ["tags": .object(JSONObject([(name, 1)]))]
                #expect(try await world.send("PATCH", "/twins/d", patch).status == 200)
            }
            let both = try await world.send("PATCH", "/twins/d", ["tags": ["other": 1]])
            #expect(both.json["tags"]?.objectValue?.count == 12)
        }
    }
}
