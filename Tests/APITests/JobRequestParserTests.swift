// Goal: the body of a job's PUT is read as the wire contract's 1.2 to 1.4 say, and every refusal has its code and names
// field and limit. Method: tables of JSON texts.

import API
import JSON
import JobModel
import Testing

private func parse(_ text: String, id: String = "job-1") throws -> JobDefinition {
    let object = try #require(try JSONValue(parsing: text).objectValue)
    return try JobRequestParser.parse(object, jobID: id)
}

private func twinJob(_ members: String) -> String {
    #"{"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{"a":1}}\#(members)}"#
}

private func methodJob(_ members: String) -> String {
    #"{"type":"scheduleDeviceMethod","queryCondition":"*","cloudToDeviceMethod":{"methodName":"m"\#(members)}}"#
}

@Suite struct JobRequestParserTests {
    @Test("The contract's minimal example gets its defaults")
    func minimal() throws {
        let job = try parse(
            #"""
            {"type":"scheduleUpdateTwin","queryCondition":"*",
             "updateTwin":{"etag":"*","tags":{"ring":2},"properties":{"desired":{"fw":"4.1","old":null}}}}
            """#)
        #expect(job.jobID.text == "job-1")
        #expect(job.startTime == nil)
        #expect(job.maxExecutionTimeInSeconds == 3600)
        #expect(
            try .object(job.action.document)
                == JSONValue(
                    parsing: #"{"etag":"*","tags":{"ring":2},"properties":{"desired":{"fw":"4.1","old":null}}}"#))
    }

    @Test("The contract's full example")
    func full() throws {
        let job = try parse(
            #"""
            {"jobId":"night-reboot-01","type":"scheduleDeviceMethod",
             "cloudToDeviceMethod":{"methodName":"reboot","payload":{"delay":10},
               "responseTimeoutInSeconds":30,"connectTimeoutInSeconds":0},
             "queryCondition":"tags.site = 'north' AND properties.reported.battery > 20",
             "startTime":"2031-01-02T03:04:05.678Z","maxExecutionTimeInSeconds":600}
            """#, id: "night-reboot-01")
        #expect(job.startTime == 1_925_089_445_678_000)
        #expect(job.maxExecutionTimeInSeconds == 600)
        #expect(job.action.document["payload"] == ["delay": 10])
    }

    @Test(
        "Aliases of types, in any case",
        arguments: [
            ("scheduleUpdateTwin", JobType.updateTwin), ("ScheduleUpdateTwin", .updateTwin),
            ("scheduleTwinUpdate", .updateTwin), ("scheduledUpdateTwin", .updateTwin),
            ("scheduleDeviceMethod", .deviceMethod), ("scheduleDirectRequest", .deviceMethod),
            ("scheduledDeviceMethod", .deviceMethod), ("scheduleDirectMethod", .deviceMethod),
        ])
    func types(_ wire: String, _ type: JobType) throws {
        let text =
            #"{"type":"\#(wire)","queryCondition":"*","updateTwin":{"tags":{}},"cloudToDeviceMethod":{"methodName":"m"}}"#
        #expect(try parse(text).action.type == type)
    }

    @Test("Nulls count as absent, and the seeds' spellings are accepted")
    func leniency() throws {
        let job = try parse(
            twinJob(
                #","jobId":null,"startTime":null,"maxExecutionTimeInSeconds":null,"cloudToDeviceMethod":null,"x":1"#))
        #expect(job.startTime == nil)
        #expect(job.maxExecutionTimeInSeconds == 3600)
        #expect(try parse(twinJob(#","maxExecutionTimeSeconds":7"#)).maxExecutionTimeInSeconds == 7)
        #expect(try parse(twinJob(#","maxExecutionTimeInSeconds":5.0"#)).maxExecutionTimeInSeconds == 5)
        let seed = try parse(
            #"""
            {"type":"scheduleTwinUpdate","queryCondition":"deviceId IN ['myDeviceId']",
             "updateTwin":{"etag":"*","desired":{"building":"43","floor":3}}}
            """#)
        #expect(seed.action.document["properties"] == ["desired": ["building": "43", "floor": 3]])
        let method = try parse(methodJob(#","payload":null,"responseTimeoutInSeconds":null"#))
        #expect(
            method.action.document
                == JSONObject([
                    ("methodName", "m"), ("payload", nil), ("responseTimeoutInSeconds", 30),
                    ("connectTimeoutInSeconds", 0),
                ]))
    }

    @Test("A repeated request has the same canonical text however its members are ordered")
    func canonical() throws {
        let first = try parse(twinJob(#","startTime":"2031-01-02T03:04:05Z""#))
        let second = try parse(
            #"""
            {"updateTwin":{"etag":"\"*\"","tags":{"a":1}},"startTime":"2031-01-02T04:04:05.000+01:00",
             "queryCondition":"*","type":"scheduledUpdateTwin","maxExecutionTimeInSeconds":3600}
            """#)
        #expect(first.canonicalText == second.canonicalText)
        #expect(first.canonicalText != (try parse(twinJob("")).canonicalText))
    }

    static let refusals: [(String, ErrorCode, String)] = [
        (#"{"queryCondition":"*","updateTwin":{"tags":{}}}"#, .argumentNull, "type is missing"),
        (#"{"type":"reboot","queryCondition":"*"}"#, .genericBadRequest, "type must be scheduleUpdateTwin or"),
        (#"{"type":"export","queryCondition":"*"}"#, .genericBadRequest, "it is 'export'."),
        (#"{"type":5,"queryCondition":"*"}"#, .deserializationError, "type must be a string; it is a number."),
        (twinJob(#","jobId":"other""#), .argumentInvalid, "jobId in the body is 'other', in the path it is 'job-1'"),
        (twinJob(#","jobId":7"#), .deserializationError, "jobId must be a string"),
        (#"{"type":"scheduleUpdateTwin","queryCondition":"*"}"#, .argumentNull, "updateTwin is missing"),
        (#"{"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":[]}"#, .deserializationError, "an array"),
        (#"{"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{}}"#, .argumentInvalid, "it has neither"),
        (
            #"{"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":{"a b":1}}}"#, .argumentInvalid,
            "tags.a b has a key with the forbidden character U+0020"
        ),
        (#"{"type":"scheduleUpdateTwin","updateTwin":{"tags":{}}}"#, .argumentNull, "queryCondition is missing"),
        (#"{"type":"scheduleUpdateTwin","queryCondition":"","updateTwin":{"tags":{}}}"#, .argumentNull, "empty"),
        (#"{"type":"scheduleUpdateTwin","queryCondition":null,"updateTwin":{"tags":{}}}"#, .argumentNull, "missing"),
        (
            #"{"type":"scheduleUpdateTwin","queryCondition":"  ","updateTwin":{"tags":{}}}"#, .argumentInvalid,
            "queryCondition does not parse"
        ),
        (
            #"{"type":"scheduleUpdateTwin","queryCondition":"deviceId IN ['MyDevice1","updateTwin":{"tags":{}}}"#,
            .argumentInvalid, "queryCondition does not parse: line 1, column"
        ),
        (
            #"{"type":"scheduleUpdateTwin","queryCondition":"\#(String(repeating: "x", count: 8193))","updateTwin":{"tags":{}}}"#,
            .argumentInvalid, "queryCondition is longer than 8192 characters; it has 8193."
        ),
        (twinJob(#","startTime":"tomorrow""#), .argumentInvalid, "startTime must be an ISO 8601 date"),
        (twinJob(#","startTime":"2031-01-02 03:04:05""#), .argumentInvalid, "startTime must be an ISO 8601 date"),
        (twinJob(#","startTime":1925089445"#), .deserializationError, "startTime must be a string; it is a number."),
        (twinJob(#","maxExecutionTimeInSeconds":0"#), .argumentInvalid, "must be within [1; 315360000]; it is 0."),
        (twinJob(#","maxExecutionTimeInSeconds":-5"#), .argumentInvalid, "it is -5."),
        (twinJob(#","maxExecutionTimeInSeconds":315360001"#), .argumentInvalid, "within [1; 315360000]"),
        (twinJob(#","maxExecutionTimeInSeconds":1.5"#), .deserializationError, "must be an integer; it is 1.5."),
        (twinJob(#","maxExecutionTimeInSeconds":"60""#), .deserializationError, "must be an integer; it is a string."),
        (#"{"type":"scheduleDeviceMethod","queryCondition":"*"}"#, .argumentNull, "cloudToDeviceMethod is missing"),
        (
            #"{"type":"scheduleDeviceMethod","queryCondition":"*","cloudToDeviceMethod":{}}"#, .argumentNull,
            "cloudToDeviceMethod.methodName is missing or empty."
        ),
        (
            #"{"type":"scheduleDeviceMethod","queryCondition":"*","cloudToDeviceMethod":{"methodName":""}}"#,
            .argumentNull,
            "missing or empty"
        ),
        (
            #"{"type":"scheduleDeviceMethod","queryCondition":"*","cloudToDeviceMethod":{"methodName":"\#(String(repeating: "m", count: 101))"}}"#,
            .argumentInvalid, "methodName is longer than 100 characters; it has 101."
        ),
        (
            methodJob(#","responseTimeoutInSeconds":4"#), .argumentInvalid,
            "responseTimeoutInSeconds must be within [5; 300]; it is 4."
        ),
        (methodJob(#","responseTimeoutInSeconds":301"#), .argumentInvalid, "it is 301."),
        (
            methodJob(#","connectTimeoutInSeconds":-1"#), .argumentInvalid,
            "connectTimeoutInSeconds must be within [0; 300]; it is -1."
        ),
        (
            methodJob(#","payload":"\#(String(repeating: "p", count: 131_071))""#), .messageTooLarge,
            "payload is larger than 131072 bytes; it has 131073."
        ),
    ]

    @Test(arguments: refusals)
    func refused(_ text: String, _ code: ErrorCode, _ message: String) {
        let error = #expect(throws: APIError.self) { try parse(text) }
        #expect(error?.code == code, "\(error?.text ?? "-")")
        #expect(error?.text.contains(message) == true, "\(error?.text ?? "-")")
    }

    @Test("Bad ids", arguments: ["", "a b", "a_b", "é", "query", String(repeating: "x", count: 65)])
    func badIDs(_ id: String) {
        let error = #expect(throws: APIError.self) { try parse(twinJob(""), id: id) }
        #expect(error?.code == .argumentInvalid)
        #expect(error?.text.contains("jobId") == true)
    }
}
