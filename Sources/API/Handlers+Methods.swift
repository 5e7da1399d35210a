// Direct methods outside jobs: POST /twins/{id}/methods (wire contract, section 5).

import HTTP
import JSON
import RouteStore
import ServiceKit
import TwinModel
import TwinStore

extension APIServer {
    func invokeMethod(_ text: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let id = try deviceID(text)
        let body = try RequestBody.object(request, limit: APILimits.jobBodyBytes)
        let method = try JobRequestParser.method(body, prefix: "")
        func seconds(_ name: String) -> Int64 { method[name]?.integerValue ?? 0 }
        let connect = seconds("connectTimeoutInSeconds")
        guard try await twins.readDevice(id) != nil else { throw Self.notFound(id) }
        let call = MethodInvoker.Call(
            deviceID: id.text, method: method["methodName"]?.stringValue ?? "",
            payload: (method["payload"] ?? .null).text, response: .seconds(seconds("responseTimeoutInSeconds")),
            connect: .seconds(connect))
        switch try await methods.invoke(call) {
        case .notOnline:
            throw APIError(
                .deviceNotOnline, "Timed out waiting for device to connect.",
                info: JSONObject([("timeout", .string(Self.clockText(seconds: connect)))]))
        case .busy:
            throw APIError(.serverBusy, "Too many method calls are waiting.", retryAfterSeconds: 1)
        case .outcome(let outcome):
            return try Self.response(outcome)
        }
    }

    private static func response(_ outcome: CallOutcome) throws -> HTTPResponse {
        switch outcome {
        case .answered(let status, let payload):
            var response = HTTPResponse(status: 200, body: Array("{\"status\":\(status),\"payload\":\(payload)}".utf8))
            response.headers.set("Content-Type", "application/json; charset=utf-8")
            return response
        case .timedOut, .forgotten, .inFlight:
            throw APIError(.gatewayTimeout, "Timed out waiting for the response from device.")
        case .dropped:
            throw APIError(.deviceNotOnline, "Device unavailable: its connection ended before it answered.")
        case .invalidAnswer:
            throw APIError(.genericBadGateway, "The device's answer is not valid JSON.")
        case .tooManyInFlight:
            throw APIError(
                .deviceMaximumInflightMethodExceeded, "Too many method calls to this device are in flight.")
        case .notConnected, .tooLate, .neverSent:
            throw APIError(.deviceNotOnline, "The device is not connected.")
        }
    }

    /// hh:mm:ss
    private static func clockText(seconds: Int64) -> String {
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
    }
}
