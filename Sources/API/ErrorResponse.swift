// Error replies: both body forms, the header that must agree with them, tracking ids, and what a failed store means to a
// client.

package import HTTP
package import JSON
package import JobModel
package import ServiceKit
package import TwinModel

/// Names one request in a reply and in the log, so that a user's report finds its log line.
package struct TrackingID: Sendable {
    /// 32 hexadecimal digits.
    package let id: String
    package let unixTime: Double

    package init(random: any RandomSource, unixTime: Double) {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        id = hex(random.next()) + hex(random.next())
        self.unixTime = unixTime
    }

    /// `<32 hex>-G:0-TimeStamp:MM/DD/YYYY HH:MM:SS`
    package var text: String {
        let iso = Array(TimestampFormatter().text(unixTime: unixTime))
        func part(_ range: Range<Int>) -> String { String(iso[range]) }
        return "\(id)-G:0-TimeStamp:\(part(5..<7))/\(part(8..<10))/\(part(0..<4)) \(part(11..<19))"
    }
}

extension APIError {
    package func response(form: ErrorForm, tracking: TrackingID) -> HTTPResponse {
        var response = HTTPResponse.json(status: code.status, body(form: form, tracking: tracking))
        response.headers.set("iothub-errorcode", code.name)
        if let retryAfterSeconds { response.headers.set("Retry-After", String(retryAfterSeconds)) }
        if !allowedMethods.isEmpty { response.headers.set("Allow", allowedMethods.joined(separator: ", ")) }
        return response
    }

    private func body(form: ErrorForm, tracking: TrackingID) -> JSONValue {
        switch form {
        case .plain:
            return [
                "Message": .string("ErrorCode:\(code.name);\(text)"),
                "ExceptionMessage": .string("Tracking ID:\(tracking.text)"),
            ]
        case .nested:
            var inner = JSONObject([
                ("errorCode", .integer(Int64(code.rawValue))), ("trackingId", .string(tracking.text)),
                ("message", .string(text)),
            ])
            if let info { inner["info"] = .object(info) }
            inner["timestampUtc"] = .string(TimestampFormatter().text(unixTime: tracking.unixTime))
            return ["Message": .string(JSONValue.object(inner).text), "ExceptionMessage": ""]
        }
    }

    package init(_ error: TwinModelError) { self.init(.argumentInvalid, error.message) }

    package init(_ error: JobModelError) { self.init(.argumentInvalid, error.message) }

    /// What a failed store call means to the client. Whether it was done is not known to the client either way; GET, PUT
    /// and DELETE may be repeated, and clients do so on a 503.
    package init(_ error: StoreError) {
        switch error.code {
        case .unavailable, .timeout, .cancelled:
            self.init(.serviceUnavailable, "The service cannot reach its store now.", retryAfterSeconds: 1)
        case .retry:
            self.init(.serverBusy, "The service is busy.", retryAfterSeconds: 1)
        case .conflict:
            self.init(.genericConflict, "Another request changed the same thing at the same time.")
        case .invalidData:
            self.init(.argumentInvalid, "The request holds a value that cannot be stored.")
        case .fatal:
            self.init(.serverError, "The service failed to carry out the request.")
        }
    }
}

extension HTTPResponse {
    package static func json(status: Int = 200, _ value: JSONValue) -> HTTPResponse {
        var response = HTTPResponse(status: status, body: value.bytes)
        response.headers.set("Content-Type", "application/json; charset=utf-8")
        return response
    }
}

extension APIError {
    /// What the HTTP server refuses by itself.
    package init(_ error: HTTPProtocolError) {
        let code: ErrorCode =
            switch error.status {
            case 405: .genericMethodNotAllowed
            case 408: .genericRequestTimeout
            case 413: .messageTooLarge
            case 414: .genericTargetTooLong
            case 417: .genericExpectationFailed
            case 426: .genericUpgradeRequired
            case 431: .genericHeadersTooLarge
            case 503: .serverBusy
            case 505: .genericVersionNotSupported
            default: .genericBadRequest
            }
        self.init(code, error.text, retryAfterSeconds: code == .serverBusy ? 1 : nil)
    }
}
