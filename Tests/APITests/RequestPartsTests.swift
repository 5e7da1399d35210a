// Goal: the parts that many operations share — api-version, paging, bodies, bulk entries, list filters — accept what
// clients send and refuse the rest with the right code. Method: tables.

import API
import HTTP
import JSON
import JobModel
import Testing
import TwinModel

private func request(
    _ target: String = "/", headers: [(String, String)] = [], body: String = ""
) throws -> HTTPRequest {
    try #require(
        HTTPRequest(method: "GET", target: target, headers: HTTPHeaders(headers), body: Array(body.utf8)))
}

@Suite struct APIVersionTests {
    @Test(arguments: ["2016-11-14", "2018-06-30", "2021-04-12", "2021-04-12-preview", "2031-12-31"])
    func accepted(_ text: String) throws { try APIVersion.check(text) }

    @Test(arguments: [
        nil, "", "2016-11-13", "2015-01-01", "latest", "2021-13-01", "2021-04-32", "2021-4-12", "2021-04-12-beta",
        "2021/04/12", "2021-04-12T00:00:00Z",
    ])
    func refused(_ text: String?) {
        let error = #expect(throws: APIError.self) { try APIVersion.check(text) }
        #expect(error?.code == .invalidProtocolVersion)
        #expect(error?.text.contains("api-version") == true)
    }
}

@Suite struct PagingTests {
    @Test(arguments: [
        ([("x-ms-max-item-count", "7")], "/", 7), ([], "/?pageSize=3", 3),
        ([("x-ms-max-item-count", "7")], "/?pageSize=3", 7), ([("x-ms-max-item-count", "")], "/?pageSize=3", 3),
        ([], "/", 100), ([("x-ms-max-item-count", "10000")], "/", 100),
        ([("x-ms-max-item-count", "99999999999999999999")], "/", 100), ([], "/?pageSize=", 100),
        ([("x-ms-max-item-count", "007")], "/", 7),
    ])
    func size(_ headers: [(String, String)], _ target: String, _ expected: Int) throws {
        #expect(try PageRequest(request(target, headers: headers), maximum: 100).size == expected)
    }

    @Test(arguments: ["0", "00", "-1", "1.5", "ten", " 5", "+5"])
    func badSize(_ text: String) throws {
        let request = try request(headers: [("x-ms-max-item-count", text)])
        let error = #expect(throws: APIError.self) { try PageRequest(request, maximum: 100) }
        #expect(error?.code == .argumentInvalid)
        #expect(error?.text == "x-ms-max-item-count must be an integer of at least 1; it is '\(text)'.")
    }

    @Test("A token is read back for its own query only")
    func tokens() throws {
        let continuation = Continuation(after: [.integer(5), "job?>ÿ"])
        let text = continuation.text(binding: "jobs")
        #expect(text.utf8.allSatisfy { $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "/") })
        #expect(try Continuation(text, binding: "jobs") == continuation)
        for (foreign, binding) in [
            (text, "other"), (String(text.dropLast()), "jobs"), ("x" + text, "jobs"), ("", "jobs"),
            ("eyJ2IjoyfQ", "jobs"),
            ("!!!", "jobs"), (String(repeating: "A", count: 3000), "jobs"),
        ] {
            let error = #expect(throws: APIError.self) { try Continuation(foreign, binding: binding) }
            #expect(error?.code == .argumentInvalid)
        }
    }
}

@Suite struct RequestBodyTests {
    @Test(arguments: [
        ("", ErrorCode.argumentNull, "has no body"), ("{", .deserializationError, "The body is not JSON"),
        ("{'a':1}", .deserializationError, "at byte 1"),
        ("[]", .deserializationError, "must be an object; it is an array."),
        ("\"x\"", .deserializationError, "it is a string."),
        (#"{"n":99999999999999999999}"#, .deserializationError, "64 bits"),
        (#"{"a":{"b":["x\u0000"]}}"#, .argumentInvalid, "U+0000 in a.b[0]"),
        (#"{"a":"\#(String(repeating: "x", count: 100))"}"#, .messageTooLarge, "larger than 64 bytes; it has 108."),
    ])
    func refused(_ body: String, _ code: ErrorCode, _ message: String) throws {
        let request = try request(body: body)
        let error = #expect(throws: APIError.self) { try RequestBody.object(request, limit: 64) }
        #expect(error?.code == code)
        #expect(error?.text.contains(message) == true, "\(error?.text ?? "-")")
    }

    @Test func depth() throws {
        let deep = String(repeating: "[", count: 100_000)
        let request = try request(body: deep)
        let error = #expect(throws: APIError.self) { try RequestBody.array(request, limit: 1 << 20) }
        #expect(error?.text.contains("nested deeper than 64 levels") == true)
    }
}

@Suite struct JobListFilterTests {
    @Test(arguments: [
        ("/", nil as JobType?, nil as [JobState]?, false), ("/?jobType=&jobStatus=", nil, nil, false),
        ("/?jobType=ScheduleUpdateTwin", .updateTwin, nil, false), ("/?jobType=export", nil, nil, true),
        ("/?jobStatus=Pending", nil, [.queued], false), ("/?jobStatus=finished", nil, [.completed], false),
        ("/?jobStatus=canceled", nil, [.cancelling, .cancelled], false), ("/?jobStatus=unknown", nil, [], true),
    ])
    func accepted(_ target: String, _ type: JobType?, _ states: [JobState]?, _ matchesNothing: Bool) throws {
        let filter = try JobListFilter(request(target))
        #expect(filter.type == type)
        #expect(filter.states == states)
        #expect(filter.matchesNothing == matchesNothing)
    }

    @Test(arguments: ["/?jobType=paint", "/?jobStatus=happy"])
    func refused(_ target: String) throws {
        let request = try request(target)
        let error = #expect(throws: APIError.self) { try JobListFilter(request) }
        #expect(error?.code == .argumentInvalid)
    }
}

@Suite struct BulkEntryTests {
    private func parse(_ text: String) throws -> [BulkEntry] {
        try BulkEntry.parse(try #require(try JSONValue(parsing: text).arrayValue))
    }

    @Test(arguments: [
        ("create", ImportMode.create), ("Update", .update), ("Delete", .delete),
        ("updateIfMatchETag", .updateIfMatchETag),
        ("DELETEIFMATCHETAG", .deleteIfMatchETag), ("updateTwin", .updateTwin),
        ("updateTwinIfMatchETag", .updateTwinIfMatchETag),
    ])
    func modes(_ wire: String, _ mode: ImportMode) throws {
        let entry = try parse(#"[{"id":"d","importMode":"\#(wire)","status":"enabled","eTag":"x","twinETag":"y"}]"#)[0]
        #expect(entry.mode == mode)
    }

    @Test func create() throws {
        let entry = try parse(
            #"[{"id":"d","importMode":null,"tags":{"a":1},"properties":{"desired":{"b":null,"c":2}}}]"#)[0]
        guard case .create(_, let tags, let desired) = entry.wish else {
            Issue.record("an entry without a mode creates")
            return
        }
        #expect(tags == JSONObject([("a", 1)]))
        #expect(desired == JSONObject([("c", 2)]))
    }

    @Test(arguments: [
        ("[]", ErrorCode.argumentInvalid, "1 to 100 devices; it has 0."),
        ("[\(Array(repeating: "{}", count: 101).joined(separator: ","))]", .argumentInvalid, "it has 101."),
        ("[5]", .deserializationError, "devices[0] must be an object; it is a number."),
        ("[{}]", .argumentNull, "devices[0].id is missing."),
        (#"[{"id":"a"},{"id":"b c"}]"#, .argumentInvalid, "devices[1].id may contain only"),
        (#"[{"id":"a"},{"id":"a"}]"#, .deviceDefinedMultipleTimes, "devices[1].id is 'a', which occurs before."),
        (#"[{"id":"a","importMode":"upsert"}]"#, .argumentInvalid, "devices[0].importMode must be one of create"),
        (#"[{"id":"a","importMode":5}]"#, .deserializationError, "devices[0].importMode must be a string"),
        (#"[{"id":"a","moduleId":"m"}]"#, .argumentInvalid, "devices[0].moduleId"),
        (#"[{"id":"a","importMode":"update"}]"#, .argumentInvalid, "devices[0].status is missing"),
        (#"[{"id":"a","importMode":"deleteIfMatchETag"}]"#, .argumentNull, "devices[0].eTag is missing"),
        (#"[{"id":"a","status":"on"}]"#, .argumentInvalid, "devices[0].status must be enabled or disabled"),
        (#"[{"id":"a","tags":{"x.y":1}}]"#, .argumentInvalid, "devices[0].tags.x.y has a key with the forbidden"),
    ])
    func refused(_ text: String, _ code: ErrorCode, _ message: String) {
        let error = #expect(throws: APIError.self) { try parse(text) }
        #expect(error?.code == code)
        #expect(error?.text.contains(message) == true, "\(error?.text ?? "-")")
    }
}
