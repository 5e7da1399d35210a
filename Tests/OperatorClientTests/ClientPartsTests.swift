// Goal: what the client sends and how it reads refusals. Method: tables; nothing here opens a connection.

import HTTP
import JSON
import Testing

@testable import OperatorClient

@Suite struct EndpointTests {
    private static let rest = ";SharedAccessKeyName=service;SharedAccessKey=a2V5"

    @Test(arguments: [
        ("hub.example", false, "hub.example", 443, "https://hub.example:443"),
        ("hub.example", true, "hub.example", 80, "http://hub.example:80"),
        ("localhost:8443", false, "localhost", 8443, "https://localhost:8443"),
        ("[::1]:8080", true, "::1", 8080, "http://[::1]:8080"), ("[::1]", false, "::1", 443, "https://[::1]:443"),
    ])
    func hosts(name: String, isPlain: Bool, host: String, port: Int, text: String) throws {
        let endpoint = try ServiceEndpoint(connectionString: "HostName=\(name)" + Self.rest, isPlain: isPlain)
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
        #expect(endpoint.text == text)
    }

    @Test(arguments: [
        ("", "HostName"), ("HostName=h", "SharedAccessKeyName"), ("HostName=h:0" + rest, "from 1 to 65535"),
        ("HostName=h:99999" + rest, "from 1 to 65535"), ("HostName=h:x" + rest, "host:port"),
        ("HostName=::1" + rest, "brackets"), ("HostName=http://h/" + rest, "host"),
        ("HostName=h;DeviceId=d;SharedAccessKey=a2V5", "of a device"), ("HostName=h;Color=red", "unknown name 'Color'"),
    ])
    func mistakes(text: String, message: String) {
        let error = #expect(throws: ServiceEndpoint.Failure.self) { try ServiceEndpoint(connectionString: text) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("a2V5") == false)
    }
}

@Suite struct RequestTests {
    @Test func pathsAreEncodedOnce() {
        #expect(
            RequestPath(["twins", "a/b?c+d é"]).text == "/twins/a%2Fb%3Fc%2Bd%20%C3%A9?api-version=2021-04-12")
        #expect(
            RequestPath(["jobs", "v2", "query"], query: [("jobStatus", "a&b")]).text
                == "/jobs/v2/query?jobStatus=a%26b&api-version=2021-04-12")
    }

    @Test func literalsOfTheQueryLanguage() {
        #expect(QueryText.string(#"it's a \ and "x""#) == #"'it\'s a \\ and "x"'"#)
        #expect(QueryText.string("a\nb") == #"'a\nb'"#)
    }

    @Test func batchesHaveLimits() {
        var batch = DeviceImport.Batch()
        #expect(batch.hasRoom(for: ImportLimits.bytesPerRequest * 2))
        batch.records = Array(repeating: DeviceRecord(line: 1, deviceID: "a", entry: [:]), count: 99)
        batch.bytes = ImportLimits.bytesPerRequest - 10
        #expect(batch.hasRoom(for: 10))
        #expect(!batch.hasRoom(for: 11))
        batch.records.append(batch.records[0])
        #expect(!batch.hasRoom(for: 1))
    }
}

@Suite struct ErrorTests {
    private func error(_ status: Int, _ body: String, code: String? = nil, retryAfter: String? = nil) -> OperatorError {
        var response = HTTPResponse(status: status, body: Array(body.utf8))
        if let code { response.headers.set("iothub-errorcode", code) }
        if let retryAfter { response.headers.set("Retry-After", retryAfter) }
        return OperatorError(response)
    }

    @Test(arguments: [
        (400, OperatorError.Kind.invalid), (401, .unauthorized), (403, .unauthorized), (404, .notFound),
        (405, .conflict), (408, .unavailable), (409, .conflict), (412, .conflict), (413, .invalid), (429, .unavailable),
        (500, .failed), (501, .failed), (503, .unavailable), (504, .unavailable), (302, .failed),
    ])
    func kinds(status: Int, kind: OperatorError.Kind) {
        #expect(error(status, "").kind == kind)
    }

    @Test func bodies() {
        let plain = error(
            404, #"{"Message":"ErrorCode:JobNotFound;There is none; sorry.","ExceptionMessage":"Tracking ID:x"}"#)
        #expect(plain.code == "JobNotFound")
        #expect(plain.description == "There is none; sorry. (HTTP 404 JobNotFound)")
        let nested = error(
            412, #"{"Message":"{\"errorCode\":412001,\"message\":\"etag\"}","ExceptionMessage":""}"#,
            code: "PreconditionFailed")
        #expect(nested.description == "etag (HTTP 412 PreconditionFailed)")
        #expect(error(502, "<html>").description == "Bad Gateway (HTTP 502)")
        #expect(error(503, "{}", retryAfter: "7").retryAfter == .seconds(7))
        #expect(error(503, "{}", retryAfter: "soon").retryAfter == nil)
    }

    @Test func whatIsRepeated() {
        let busy = OperatorError(.unavailable, "", mayHaveBeenProcessed: true)
        let refused = OperatorError(.unavailable, "", mayHaveBeenProcessed: false)
        #expect(OperatorClient.mayRepeat(busy, .always))
        #expect(!OperatorClient.mayRepeat(busy, .ifNotProcessed))
        #expect(OperatorClient.mayRepeat(refused, .ifNotProcessed))
        for kind in [OperatorError.Kind.invalid, .unauthorized, .notFound, .conflict, .configuration, .failed] {
            #expect(!OperatorClient.mayRepeat(OperatorError(kind, ""), .always))
        }
    }

    @Test(arguments: [("devices[17].id is missing.", 17, "id is missing."), ("devices[0]: x", 0, ": x")])
    func positionsInBulkRequests(message: String, index: Int, rest: String) {
        #expect(DeviceImport.index(message) == index)
        #expect(DeviceImport.withoutIndex(message) == rest)
    }

    @Test(arguments: ["", "devices[", "devices[x].id", "devices[-1].id", "tags.x"])
    func noPositions(message: String) {
        #expect(DeviceImport.index(message) == nil)
        #expect(DeviceImport.withoutIndex(message) == message)
    }

    @Test func refusedEntriesAreFoundByTheirDevice() {
        let records = ["a", "b"].enumerated().map { DeviceRecord(line: $0 + 2, deviceID: $1, entry: [:]) }
        let body: JSONValue = [
            "isSuccessful": false,
            "errors": [["deviceId": "b", "errorCode": "DeviceAlreadyExists", "errorStatus": "It exists."]],
        ]
        let once = Answer(response: HTTPResponse(status: 400), body: body, attempt: 1)
        #expect(
            DeviceImport.failures(once, records) == [
                ImportFailure(line: 3, deviceID: "b", code: "DeviceAlreadyExists", "It exists.")
            ])
        let twice = Answer(response: HTTPResponse(status: 400), body: body, attempt: 2)
        #expect(DeviceImport.failures(twice, records)[0].message.contains("may have created it"))
    }
}
