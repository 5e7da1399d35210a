// Goal: every bad input gets the status, the code and a message that names field and limit, and changes nothing.
// Method: one table; each line is sent over HTTP, and the tables of the store are compared before and after.

import HTTP
import JSON
import Testing

private let twinJob = #""type":"scheduleUpdateTwin","updateTwin":{"tags":{"a":1}}"#

private func job(_ condition: String) -> String {
    let text = JSONValue.string(condition).text
    return #"{\#(twinJob),"queryCondition":\#(text)}"#
}

/// One line of the table. `known` and `job-1` exist; the job has the body of `twinJob` for all devices.
private struct BadInput: Sendable {
    let name: String
    let method: String
    let path: String
    var headers: [(String, String)] = []
    var body: String = ""
    let status: Int
    let code: String
    /// Parts of the message.
    let says: [String]

    init(
        _ name: String, _ method: String, _ path: String, headers: [(String, String)] = [], _ body: String = "",
        _ status: Int, _ code: String, _ says: String...
    ) {
        self.name = name
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.status = status
        self.code = code
        self.says = says
    }
}

private let newJob = "/jobs/v2/new-job"

private let bodies: [BadInput] = [
    BadInput("no body", "PUT", newJob, "", 400, "ArgumentNull", "no body"),
    BadInput("half a body", "PUT", newJob, "{\"type\":", 400, "DeserializationError", "not JSON", "byte 8"),
    BadInput("JavaScript", "PUT", newJob, "{type:'x'}", 400, "DeserializationError", "not JSON", "byte 1"),
    BadInput("an array", "PUT", newJob, "[]", 400, "DeserializationError", "must be an object", "an array"),
    BadInput(
        "too deep", "PUT", newJob, String(repeating: "[", count: 5000), 400, "DeserializationError",
        "deeper than 64 levels"),
    BadInput(
        "over the job's limit", "PUT", newJob, "{\"x\":\"\(String(repeating: "x", count: 256 * 1024))\"}", 413,
        "MessageTooLarge", "262144 bytes", "262152"),
    BadInput(
        "over the server's limit", "POST", "/devices", String(repeating: " ", count: 4 * 1024 * 1024 + 1), 413,
        "MessageTooLarge", "4194304"),
    BadInput("U+0000", "PUT", newJob, #"{"type":"a\u0000"}"#, 400, "ArgumentInvalid", "U+0000", "type"),
]

private let jobMembers: [BadInput] = [
    BadInput(
        "unknown type", "PUT", newJob, #"{"type":"reboot","queryCondition":"*"}"#, 400, "GenericBadRequest", "type",
        "'reboot'"),
    BadInput(
        "type of an import job", "PUT", newJob, #"{"type":"import","queryCondition":"*"}"#, 400, "GenericBadRequest",
        "type"),
    BadInput("no type", "PUT", newJob, #"{"queryCondition":"*"}"#, 400, "ArgumentNull", "type is missing"),
    BadInput(
        "type is a number", "PUT", newJob, #"{"type":1,"queryCondition":"*"}"#, 400, "DeserializationError",
        "type must be a string", "a number"),
    BadInput(
        "condition is a number", "PUT", newJob, "{\(twinJob),\"queryCondition\":5}", 400, "DeserializationError",
        "queryCondition must be a string"),
    BadInput(
        "updateTwin is a text", "PUT", newJob, #"{"type":"scheduleUpdateTwin","updateTwin":"x","queryCondition":"*"}"#,
        400, "DeserializationError", "updateTwin must be an object", "a string"),
    BadInput("no condition", "PUT", newJob, "{\(twinJob)}", 400, "ArgumentNull", "queryCondition is missing"),
    BadInput(
        "condition too long", "PUT", newJob, job("tags.a = '\(String(repeating: "x", count: 8182))'"), 400,
        "ArgumentInvalid", "queryCondition is longer than 8192 characters", "8193"),
    BadInput(
        "seconds of 0", "PUT", newJob, "{\(twinJob),\"queryCondition\":\"*\",\"maxExecutionTimeInSeconds\":0}", 400,
        "ArgumentInvalid", "maxExecutionTimeInSeconds must be within [1; 315360000]", "it is 0"),
    BadInput(
        "seconds below 0", "PUT", newJob, "{\(twinJob),\"queryCondition\":\"*\",\"maxExecutionTimeInSeconds\":-1}", 400,
        "ArgumentInvalid", "maxExecutionTimeInSeconds", "it is -1"),
    BadInput(
        "seconds of a text", "PUT", newJob, "{\(twinJob),\"queryCondition\":\"*\",\"maxExecutionTimeInSeconds\":\"9\"}",
        400, "DeserializationError", "maxExecutionTimeInSeconds must be an integer"),
    BadInput(
        "start is no date", "PUT", newJob, "{\(twinJob),\"queryCondition\":\"*\",\"startTime\":\"tomorrow\"}", 400,
        "ArgumentInvalid", "startTime must be an ISO 8601 date", "'tomorrow'"),
    BadInput(
        "start with a space", "PUT", newJob,
        "{\(twinJob),\"queryCondition\":\"*\",\"startTime\":\"2031-01-01 00:00:00Z\"}",
        400, "ArgumentInvalid", "startTime"),
    BadInput(
        "start on February 30", "PUT", newJob,
        "{\(twinJob),\"queryCondition\":\"*\",\"startTime\":\"2031-02-30T00:00:00Z\"}",
        400, "ArgumentInvalid", "startTime"),
    BadInput("id with a space", "PUT", "/jobs/v2/a%20b", job("*"), 400, "ArgumentInvalid", "jobId may contain only"),
    BadInput(
        "id too long", "PUT", "/jobs/v2/\(String(repeating: "x", count: 65))", job("*"), 400, "ArgumentInvalid",
        "jobId must have 1 to 64 characters", "65"),
    BadInput("id of the list", "PUT", "/jobs/v2/query", job("*"), 400, "ArgumentInvalid", "'query' is reserved"),
    BadInput(
        "another id in the body", "PUT", newJob, "{\"jobId\":\"x\",\(twinJob),\"queryCondition\":\"*\"}", 400,
        "ArgumentInvalid", "jobId", "must agree"),
    BadInput("id taken", "PUT", "/jobs/v2/job-1", job("tags.a = 1"), 409, "JobAlreadyExists", "job-1"),
    BadInput("unknown job", "GET", "/jobs/v2/nobody", "", 404, "JobNotFound", "nobody"),
    BadInput("cancel of an unknown job", "POST", "/jobs/v2/nobody/cancel", "", 404, "JobNotFound", "nobody"),
    BadInput(
        "no updateTwin", "PUT", newJob, #"{"type":"scheduleUpdateTwin","queryCondition":"*"}"#, 400,
        "ArgumentNull", "updateTwin is missing"),
    BadInput(
        "a call of an unknown device", "POST", "/twins/nobody/methods", #"{"methodName":"m"}"#, 404, "DeviceNotFound",
        "nobody"),
    BadInput("a call without a method", "POST", "/twins/nobody/methods", "{}", 400, "ArgumentNull", "methodName"),
    BadInput(
        "a call's connect timeout", "POST", "/twins/nobody/methods",
        #"{"methodName":"m","connectTimeoutInSeconds":-1}"#, 400, "ArgumentInvalid",
        "connectTimeoutInSeconds must be within [0; 300]", "-1"),
    BadInput(
        "no method", "PUT", newJob, #"{"type":"scheduleDeviceMethod","queryCondition":"*"}"#, 400, "ArgumentNull",
        "cloudToDeviceMethod is missing"),
    BadInput(
        "response timeout", "PUT", newJob,
        #"{"type":"scheduleDeviceMethod","queryCondition":"*","cloudToDeviceMethod":{"methodName":"m","responseTimeoutInSeconds":301}}"#,
        400, "ArgumentInvalid", "responseTimeoutInSeconds must be within [5; 300]", "301"),
]

/// The contract's malformed conditions, with the column that the message cites.
private let conditions: [BadInput] =
    [
        ("deviceId IN ['MyDevice1'", 25), ("deviceId IN ['MyDevice1]", 25), ("\"deviceId IN ['MyDevice1']", 27),
        ("deviceId IN ['a',", 18), ("deviceId IN ('a')", 13), ("deviceId = 'a", 14), ("tags.group = 'g'", 6),
        ("tags.a = 1 tags.b = 2", 12), ("SELECT * FROM devices", 1), ("**", 2), ("   ", 1), ("tags.a LIKE 'x'", 8),
        ("COUNT() > 1", 1), ("tags.a = 1;", 11),
    ].map { condition, column in
        BadInput(
            "condition \(condition)", "PUT", newJob, job(condition), 400, "ArgumentInvalid",
            "queryCondition does not parse",
            "line 1, column \(column)")
    } + [
        BadInput(
            "10,000 parentheses", "PUT", newJob, job(String(repeating: "(", count: 8000)), 400, "ArgumentInvalid",
            "queryCondition does not parse")
    ]

private func patched(_ twin: String) -> String {
    #"{"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":\#(twin)}"#
}

private let patches: [(String, String, [String])] = [
    ("a key with a dot", #"{"tags":{"a.b":1}}"#, ["tags.a.b", "U+002E"]),
    ("a key with a dollar", #"{"tags":{"$a":1}}"#, ["tags.$a", "U+0024"]),
    ("a key with a space", #"{"properties":{"desired":{"x":{"a b":1}}}}"#, ["properties.desired.x.a b", "U+0020"]),
    ("a key with a control character", #"{"tags":{"a\u0001":1}}"#, ["U+0001"]),
    ("an empty key", #"{"tags":{"":1}}"#, ["empty key"]),
    ("a long key", #"{"tags":{"\#(String(repeating: "k", count: 1025))":1}}"#, ["1024 bytes", "1025"]),
    ("a long text", #"{"tags":{"a":"\#(String(repeating: "v", count: 4097))"}}"#, ["tags.a", "4096 bytes", "4097"]),
    ("a large integer", #"{"tags":{"a":4503599627370496}}"#, ["tags.a", "4503599627370495", "4503599627370496"]),
    ("null in an array", #"{"tags":{"a":[null]}}"#, ["tags.a[0]", "null"]),
    (
        "eleven levels",
        "{\"tags\":" + String(repeating: "{\"k\":", count: 12) + "1" + String(repeating: "}", count: 13),
        ["10 levels"]
    ),
    (
        "large tags",
        #"{"tags":{"a":"\#(String(repeating: "v", count: 4096))","b":"\#(String(repeating: "v", count: 4096))"}}"#,
        ["tags is larger than 8192", "8194"]
    ),
    (
        "large desired properties",
        "{\"properties\":{\"desired\":{"
            + (0..<9).map { "\"k\($0)\":\"\(String(repeating: "v", count: 4000))\"" }.joined(separator: ",") + "}}}",
        ["properties.desired is larger than 32768", "36018"]
    ),
]

private let patchLines: [BadInput] =
    patches.flatMap { name, twin, says in
        [("PUT", newJob, patched(twin)), ("PATCH", "/twins/known", twin), ("PUT", "/twins/known", twin)].map {
            method, path, body in
            var line = BadInput("\(method) \(path) with \(name)", method, path, body, 400, "ArgumentInvalid")
            line = BadInput(copying: line, says: says)
            return line
        }
    } + [
        BadInput("a patch of nothing", "PUT", newJob, patched("{}"), 400, "ArgumentInvalid", "updateTwin", "neither"),
        BadInput(
            "reported in a job", "PUT", newJob, patched(#"{"tags":{},"properties":{"reported":{"a":1}}}"#), 400,
            "ArgumentInvalid", "properties.reported"),
        BadInput(
            "tags are a text", "PATCH", "/twins/known", #"{"tags":"x"}"#, 400, "ArgumentInvalid",
            "tags must be an object"),
        BadInput(
            "a twin with another etag", "PATCH", "/twins/known", headers: [("If-Match", "\"AAAAAAAAAAk=\"")],
            #"{"tags":{"a":1}}"#, 412, "PreconditionFailed", "etag"),
        BadInput("an unknown twin", "PATCH", "/twins/nobody", #"{"tags":{"a":1}}"#, 404, "DeviceNotFound", "nobody"),
    ]

private let paging: [BadInput] = [
    BadInput(
        "page of 0", "GET", "/jobs/v2/query", headers: [("x-ms-max-item-count", "0")], "", 400, "ArgumentInvalid",
        "x-ms-max-item-count must be an integer of at least 1", "'0'"),
    BadInput("page of 0 as parameter", "GET", "/jobs/v2/query?pageSize=0", "", 400, "ArgumentInvalid", "pageSize"),
    BadInput(
        "page of a word", "POST", "/devices/query", headers: [("x-ms-max-item-count", "ten")],
        #"{"query":"SELECT * FROM devices"}"#, 400, "ArgumentInvalid", "x-ms-max-item-count", "'ten'"),
    BadInput(
        "foreign token", "GET", "/jobs/v2/query", headers: [("x-ms-continuation", "eyJ2IjoyfQ")], "", 400,
        "ArgumentInvalid", "continuation token"),
    BadInput(
        "foreign token as parameter", "GET", "/jobs/v2/query?continuationToken=abc", "", 400, "ArgumentInvalid",
        "continuation token"),
    BadInput(
        "foreign token of a query", "POST", "/devices/query", headers: [("x-ms-continuation", "abcd")],
        #"{"query":"SELECT * FROM devices"}"#, 400, "ArgumentInvalid", "continuation token"),
    BadInput(
        "unknown status", "GET", "/jobs/v2/query?jobStatus=happy", "", 400, "ArgumentInvalid", "jobStatus", "'happy'"),
    BadInput(
        "unknown job type", "GET", "/jobs/v2/query?jobType=paint", "", 400, "ArgumentInvalid", "jobType", "'paint'"),
]

private let queries: [BadInput] = [
    BadInput("no query", "POST", "/devices/query", "{}", 400, "ArgumentNull", "query is missing"),
    BadInput("null query", "POST", "/devices/query", #"{"query":null}"#, 400, "ArgumentNull", "query is missing"),
    BadInput(
        "no SQL", "POST", "/devices/query", #"{"query":"devices"}"#, 400, "ArgumentInvalid", "query does not parse"),
    BadInput(
        "ORDER BY", "POST", "/devices/query", #"{"query":"SELECT * FROM devices ORDER BY deviceId"}"#, 400,
        "ArgumentInvalid", "query does not parse", "column 23"),
    BadInput(
        "long query", "POST", "/devices/query",
        #"{"query":"SELECT * FROM devices WHERE tags.a = '\#(String(repeating: "x", count: 8192))'"}"#, 400,
        "ArgumentInvalid", "query is longer than 8192 characters"),
    BadInput(
        "projection of job records", "POST", "/devices/query", #"{"query":"SELECT deviceId FROM devices.jobs"}"#,
        400, "ArgumentInvalid", "query does not parse"),
]

private let registry: [BadInput] = [
    BadInput("id with a slash", "PUT", "/devices/a%2Fb", "{}", 400, "ArgumentInvalid", "deviceId may contain only"),
    BadInput(
        "id too long", "PUT", "/devices/\(String(repeating: "x", count: 129))", "{}", 400, "ArgumentInvalid",
        "deviceId must have 1 to 128 characters", "129"),
    BadInput("another id", "PUT", "/devices/d", #"{"deviceId":"e"}"#, 400, "ArgumentInvalid", "deviceId", "must agree"),
    BadInput(
        "short key", "PUT", "/devices/d", #"{"authentication":{"symmetricKey":{"primaryKey":"AAAA"}}}"#, 400,
        "ArgumentInvalid", "authentication.symmetricKey.primaryKey", "16 to 64 bytes", "3 bytes"),
    BadInput("bad status", "PUT", "/devices/d", #"{"status":"on"}"#, 400, "ArgumentInvalid", "status", "'on'"),
    BadInput("exists", "PUT", "/devices/known", "{}", 409, "DeviceAlreadyExists", "known"),
    BadInput(
        "update without status", "PUT", "/devices/known", headers: [("If-Match", "*")], "{}", 400,
        "ArgumentInvalid", "status is missing"),
    BadInput(
        "update with another etag", "PUT", "/devices/known", headers: [("If-Match", "\"AAAA\"")],
        #"{"status":"disabled"}"#, 412, "PreconditionFailed", "If-Match"),
    BadInput(
        "update of nobody", "PUT", "/devices/nobody", headers: [("If-Match", "*")], #"{"status":"disabled"}"#,
        404, "DeviceNotFound", "nobody"),
    BadInput(
        "delete with another etag", "DELETE", "/devices/known", headers: [("If-Match", "\"AAAA\"")], "", 412,
        "PreconditionFailed", "If-Match"),
    BadInput("delete of nobody", "DELETE", "/devices/nobody", "", 404, "DeviceNotFound", "nobody"),
    BadInput("read of nobody", "GET", "/devices/nobody", "", 404, "DeviceNotFound", "nobody"),
    BadInput("list of a word", "GET", "/devices?top=ten", "", 400, "ArgumentInvalid", "top", "'ten'"),
    BadInput("bulk of none", "POST", "/devices", "[]", 400, "ArgumentInvalid", "1 to 100 devices"),
    BadInput(
        "bulk of 101", "POST", "/devices", "[" + Array(repeating: "{}", count: 101).joined(separator: ",") + "]",
        400, "ArgumentInvalid", "1 to 100 devices", "101"),
    BadInput(
        "bulk with one bad entry", "POST", "/devices", #"[{"id":"a"},{"id":"b","tags":{"x y":1}}]"#, 400,
        "ArgumentInvalid", "devices[1].tags.x y"),
    BadInput(
        "bulk with a device twice", "POST", "/devices", #"[{"id":"a"},{"id":"a"}]"#, 400,
        "DeviceDefinedMultipleTimes", "devices[1].id"),
]

private let protocolLines: [BadInput] = [
    BadInput(
        "no api-version", "GET", "/devices?api-version=", "", 400, "InvalidProtocolVersion", "api-version is missing"),
    BadInput(
        "old api-version", "GET", "/jobs/v2/x?api-version=2015-01-01", "", 400, "InvalidProtocolVersion",
        "2016-11-14", "'2015-01-01'"),
    BadInput("no such path", "GET", "/nothing", "", 404, "GenericNotFound", "no such path"),
    BadInput("the seed's wrong path", "POST", "/jobs/v2/d/methods/j", "", 404, "GenericNotFound"),
    BadInput("wrong method", "DELETE", "/jobs/v2/job-1", "", 405, "GenericMethodNotAllowed", "GET, PUT"),
    BadInput("import job", "POST", "/jobs/create", "{}", 404, "GenericNotFound", "/jobs/v2"),
    BadInput("module", "GET", "/devices/known/modules/m", "", 404, "ModuleNotFound", "Modules"),
]

extension BadInput {
    fileprivate init(copying line: BadInput, says: [String]) {
        name = line.name
        method = line.method
        path = line.path
        headers = line.headers
        body = line.body
        status = line.status
        code = line.code
        self.says = says
    }
}

@Suite struct BadInputTests {
    @Test("Every bad input is refused by name and changes nothing")
    func table() async throws {
        try await APIWorld.run { world in
            try await world.prepare()
            let before = try await world.fingerprint()
            let lines =
                bodies + jobMembers + conditions + patchLines + paging + queries + registry + protocolLines
            for line in lines {
                let reply = try await world.send(
                    line.method, line.path, bytes: Array(line.body.utf8), headers: line.headers)
                #expect(reply.status == line.status, "\(line.name): \(reply.errorText)")
                #expect(reply.errorCode == line.code, "\(line.name): \(reply.errorText)")
                #expect(reply.headers.first("Content-Type")?.contains("application/json") == true, "\(line.name)")
                for part in line.says {
                    #expect(reply.errorText.contains(part), "\(line.name): '\(reply.errorText)' lacks '\(part)'")
                }
            }
            #expect(try await world.fingerprint() == before, "a refused request changed something")
        }
    }

    @Test("Every refused token is answered alike and changes nothing")
    func tokens() async throws {
        try await APIWorld.run { world in
            try await world.prepare()
            let before = try await world.fingerprint()
            let good = try world.token("iothubowner")
            let lines: [(String, String)] = [
                ("none", ""), ("bearer", "Bearer abc"), ("malformed", "SharedAccessSignature sr=localhost"),
                ("expired", try world.token("iothubowner", expiresIn: -1)),
                ("wrongly signed", good.replacing("se=", with: "se=1")),
                ("of another host", try world.token("iothubowner", resource: "elsewhere")),
                ("of another path", try world.token("iothubowner", resource: "localhost/devices")),
                ("of an unknown policy", good.replacing("skn=iothubowner", with: "skn=nobody")),
                ("without a policy", good.replacing("&skn=iothubowner", with: "")),
                ("without the permission", try world.token("registryReadWrite")),
                ("of the read-only policy", try world.token("registryRead")),
            ]
            for (name, token) in lines {
                let reply = try await world.send(
                    "PUT", newJob, bytes: Array(job("*").utf8), headers: [("Authorization", token)])
                #expect(reply.status == 401, "\(name)")
                #expect(reply.errorCode == "IotHubUnauthorizedAccess", "\(name)")
                #expect(reply.json["Message"] == "ErrorCode:IotHubUnauthorizedAccess;Unauthorized", "\(name)")
            }
            #expect(try await world.fingerprint() == before)
            let accepted = try await world.send(
                "PUT", newJob, bytes: Array(job("*").utf8), headers: [("Authorization", good)])
            #expect(accepted.status == 200)
        }
    }
}

extension APIWorld {
    /// The device `known` and the job `job-1` that the lines refer to.
    fileprivate func prepare() async throws {
        #expect(try await send("PUT", "/devices/known", [:]).status == 200)
        let start = #"{\#(twinJob),"queryCondition":"*","startTime":"2099-01-01T00:00:00Z"}"#
        #expect(try await send("PUT", "/jobs/v2/job-1", bytes: Array(start.utf8)).status == 200)
    }
}
