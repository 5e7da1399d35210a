// Everything that can go wrong between the operator and the service, as one type: what the service refused, and what
// never reached it.

package import HTTP
import JSON

package struct OperatorError: Error, Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// The service refuses the request as it is.
        case invalid
        case unauthorized
        case notFound
        /// It exists already, an etag does not match, or its state does not allow it.
        case conflict
        /// Not reached, busy, or no answer in time; trying again may help.
        case unavailable
        /// The connection cannot be set up as configured: certificate, CA file, TLS against plain text.
        case configuration
        /// The service failed, or answered with what it never should.
        case failed
    }

    package let kind: Kind
    /// Of the answer; nil when there was none.
    package let status: Int?
    /// The contract's name, such as `DeviceNotFound`.
    package let code: String?
    package let message: String
    /// False when the request certainly changed nothing.
    package let mayHaveBeenProcessed: Bool
    /// What the service asks to wait before the next try.
    package let retryAfter: Duration?

    package init(
        _ kind: Kind, status: Int? = nil, code: String? = nil, _ message: String, mayHaveBeenProcessed: Bool = false,
        retryAfter: Duration? = nil
    ) {
        self.kind = kind
        self.status = status
        self.code = code
        self.message = message
        self.mayHaveBeenProcessed = mayHaveBeenProcessed
        self.retryAfter = retryAfter
    }

    package var description: String {
        let origin = [status.map { "HTTP \($0)" }, code].compactMap { $0 }.joined(separator: " ")
        return origin.isEmpty ? message : "\(message) (\(origin))"
    }
}

extension OperatorError {
    /// What a refusal says, in either body form (wire contract 9.1), or in none when a proxy answered.
    package init(_ response: HTTPResponse) {
        var code = response.headers.first("iothub-errorcode")
        var text: String?
        if let body = Self.json(response.body), let message = body["Message"]?.stringValue {
            (code, text) = Self.read(message, code)
        }
        // The contract's text is the bare id; people need the sentence.
        if code == "DeviceNotFound", let id = text, !id.contains(" ") { text = "There is no device with id '\(id)'." }
        let reason = HTTPResponse.reasonPhrase(response.status)
        let seconds = response.headers.first("Retry-After").flatMap { Int($0) }
        self.init(
            Self.kind(status: response.status), status: response.status, code: code,
            text.flatMap { $0.isEmpty ? nil : $0 } ?? reason, mayHaveBeenProcessed: response.status >= 500,
            retryAfter: seconds.map { .seconds(max(0, min($0, 3600))) })
    }

    private static func read(_ message: String, _ code: String?) -> (code: String?, text: String) {
        if let inner = json(Array(message.utf8)), let text = inner["message"]?.stringValue {
            return (code, text)
        }
        let prefix = "ErrorCode:"
        guard message.hasPrefix(prefix) else { return (code, message) }
        let parts = message.dropFirst(prefix.count).split(
            separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
        return (code ?? String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }

    /// Nil for what is no JSON: a proxy's page says nothing that the status does not.
    private static func json(_ bytes: [UInt8]) -> JSONValue? {
        do {
            return try JSONValue(parsing: bytes)
        } catch {
            return nil
        }
    }

    private static func kind(status: Int) -> Kind {
        switch status {
        case 401, 403: .unauthorized
        case 404: .notFound
        case 405, 409, 412: .conflict
        case 408, 429, 502, 503, 504: .unavailable
        case 400..<500: .invalid
        default: .failed
        }
    }

    package init(_ error: HTTPClientError, endpoint: ServiceEndpoint) {
        let kind: Kind
        var hint = ""
        switch error.code {
        case .resolution, .refused, .timeout, .disconnected, .cancelled, .closed:
            kind = .unavailable
            if error.code == .disconnected, endpoint.isPlain { hint = "; does that port speak TLS?" }
        case .certificate:
            kind = .configuration
            hint = "; name the file of its certificate authority with --ca-file or MUSTER_CA_FILE"
        case .tls:
            kind = .configuration
            hint = "; if that port speaks plain HTTP on this machine, use --plain-http"
        case .configuration:
            kind = .configuration
        case .malformed:
            kind = .failed
            if endpoint.isPlain { hint = "; does that port speak TLS?" }
        }
        self.init(kind, "\(endpoint.text): \(error.message)\(hint)", mayHaveBeenProcessed: error.mayHaveBeenProcessed)
    }
}
