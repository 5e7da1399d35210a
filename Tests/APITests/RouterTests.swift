// Goal: exactly the contract's paths are answered, in the contract's error forms, with the permission each needs.
// Method: tables.

import API
import Access
import HTTP
import JSON
import ServiceKit
import Testing

private func segments(_ path: String) throws -> [String] {
    try #require(HTTPRequest(method: "GET", target: path)).segments
}

@Suite struct RouterTests {
    @Test(arguments: [
        ("PUT", "/jobs/v2/a-1", Operation.createJob("a-1"), Permission.serviceConnect),
        ("GET", "/jobs/v2/a-1", .readJob("a-1"), .serviceConnect),
        ("POST", "/jobs/v2/a-1/cancel", .cancelJob("a-1"), .serviceConnect),
        ("GET", "/jobs/v2/query", .listJobs, .serviceConnect),
        ("PUT", "/jobs/v2/query", .createJob("query"), .serviceConnect),
        ("POST", "/devices/query", .queryDevices, .serviceConnect),
        ("GET", "/devices/query", .readDevice("query"), .registryRead),
        ("GET", "/devices", .listDevices, .registryRead),
        ("POST", "/devices", .bulkDevices, .registryWrite),
        ("GET", "/devices/a%25b%2Bc%23", .readDevice("a%b+c#"), .registryRead),
        ("GET", "/devices/a+b", .readDevice("a+b"), .registryRead),
        ("PUT", "/devices/d", .putDevice("d"), .registryWrite),
        ("DELETE", "/devices/d", .deleteDevice("d"), .registryWrite),
        ("GET", "/twins/d", .readTwin("d"), .serviceConnect),
        ("PATCH", "/twins/d", .patchTwin("d"), .serviceConnect),
        ("PUT", "/twins/d", .replaceTwin("d"), .serviceConnect),
        ("POST", "/twins/d/methods", .invokeMethod("d"), .serviceConnect),
        ("GET", "/statistics/devices", .deviceStatistics, .registryRead),
        ("GET", "/statistics/service", .serviceStatistics, .serviceConnect),
    ])
    func routes(_ method: String, _ path: String, _ operation: API.Operation, _ permission: Permission) throws {
        #expect(Router.route(method: method, segments: try segments(path)) == .operation(operation))
        #expect(operation.permission == permission)
    }

    @Test(arguments: [("/livez", Operation.live), ("/readyz", .ready), ("/metrics", .metrics)])
    func open(_ path: String, _ operation: API.Operation) throws {
        #expect(Router.route(method: "GET", segments: try segments(path)) == .operation(operation))
        #expect(operation.permission == nil)
    }

    @Test(arguments: [
        ("GET", "/", ErrorCode.genericNotFound), ("GET", "/nothing", .genericNotFound),
        ("GET", "/jobs/v2", .genericNotFound), ("GET", "/jobs/v2/", .genericNotFound),
        ("POST", "/jobs/v2/d/methods/j", .genericNotFound), ("POST", "/twins/d/methods/m", .genericNotFound),
        ("GET", "/twins/d/methods", .genericMethodNotAllowed),
        ("GET", "/jobs", .genericNotFound), ("POST", "/jobs/create", .genericNotFound),
        ("DELETE", "/jobs/1", .genericNotFound), ("GET", "/devices/", .genericNotFound),
        ("GET", "/devices/d/", .genericNotFound), ("GET", "/livez/x", .genericNotFound),
        ("GET", "//devices", .genericNotFound), ("GET", "/Devices", .genericNotFound),
        ("GET", "/devices/d/modules", .moduleNotFound), ("PUT", "/devices/d/modules/m", .moduleNotFound),
        ("GET", "/twins/d/modules/m", .moduleNotFound),
        ("POST", "/jobs/v2/j", .genericMethodNotAllowed), ("GET", "/jobs/v2/j/cancel", .genericMethodNotAllowed),
        ("DELETE", "/twins/d", .genericMethodNotAllowed), ("PATCH", "/devices/d", .genericMethodNotAllowed),
        ("POST", "/livez", .genericMethodNotAllowed), ("get", "/livez", .genericMethodNotAllowed),
    ])
    func refusals(_ method: String, _ path: String, _ code: ErrorCode) throws {
        guard case .failure(let error, _) = Router.route(method: method, segments: try segments(path)) else {
            Issue.record("\(method) \(path) has a route")
            return
        }
        #expect(error.code == code)
        #expect(error.allowedMethods.isEmpty == (code != .genericMethodNotAllowed))
    }
}

@Suite struct ErrorResponseTests {
    private let tracking = TrackingID(random: SeededRandom(seed: 1), unixTime: 1_925_089_445.5)

    @Test("Names of codes are the contract's")
    func names() {
        #expect(ErrorCode.iotHubUnauthorizedAccess.name == "IotHubUnauthorizedAccess")
        #expect(ErrorCode.jobAlreadyExists.name == "JobAlreadyExists")
        #expect(ErrorCode.allCases.allSatisfy { (400...505).contains($0.status) })
    }

    @Test func plain() throws {
        let response = APIError(.jobNotFound, "There is no job.").response(form: .plain, tracking: tracking)
        #expect(response.status == 404)
        #expect(response.headers.first("iothub-errorcode") == "JobNotFound")
        #expect(response.headers.first("Content-Type") == "application/json; charset=utf-8")
        let body = try JSONValue(parsing: response.body)
        #expect(body["Message"] == "ErrorCode:JobNotFound;There is no job.")
        let pattern = /Tracking ID:[0-9a-f]{32}-G:0-TimeStamp:01\/02\/2031 \d\d:\d\d:\d\d/
        #expect(try #require(body["ExceptionMessage"]?.stringValue).wholeMatch(of: pattern) != nil)
    }

    @Test func nested() throws {
        let response = APIError(.deviceNotFound, "d").response(form: .nested, tracking: tracking)
        let body = try JSONValue(parsing: response.body)
        #expect(body["ExceptionMessage"] == "")
        let inner = try JSONValue(parsing: try #require(body["Message"]?.stringValue))
        #expect(inner["errorCode"] == 404_001)
        #expect(inner["message"] == "d")
        #expect(inner["trackingId"]?.stringValue?.contains("-G:0-TimeStamp:") == true)
        #expect(inner["timestampUtc"]?.stringValue?.hasPrefix("2031-01-02T") == true)
    }

    @Test func headers() {
        let busy = APIError(.serverBusy, "x", retryAfterSeconds: 2).response(form: .plain, tracking: tracking)
        #expect(busy.headers.first("Retry-After") == "2")
        let method = APIError(.genericMethodNotAllowed, "x", allowedMethods: ["GET", "PUT"])
        #expect(method.response(form: .plain, tracking: tracking).headers.first("Allow") == "GET, PUT")
    }
}
