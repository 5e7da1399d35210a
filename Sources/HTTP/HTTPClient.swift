// An HTTP/1.1 client of one endpoint, with a pool of kept-alive connections.

package import Sockets

package struct HTTPClientRequest: Sendable {
    package var method: String
    /// Path and query, percent-encoded by the caller.
    package var target: String
    package var headers: HTTPHeaders
    package var body: [UInt8]

    package init(method: String, target: String, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
    }
}

package struct HTTPClientError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The name does not resolve.
        case resolution
        /// Nobody listens there, or no route leads there.
        case refused
        /// The server's certificate is not trusted, expired, or of another name.
        case certificate
        /// TLS failed in another way, for example against a plain-text port.
        case tls
        /// No complete answer within the caller's time.
        case timeout
        /// The connection broke before the answer was complete.
        case disconnected
        /// What came back is no HTTP, or exceeds a limit.
        case malformed
        /// The caller's task was cancelled.
        case cancelled
        /// `close()` was called.
        case closed
    }

    package let code: Code
    /// False when the request certainly never reached a handler, and may be sent again whatever its method.
    package let mayHaveBeenProcessed: Bool
    package let message: String

    package var description: String { message }
}

package final class HTTPClient: Sendable {
    package init(endpoint: (host: String, port: Int), tls: TLSConfiguration.Client?, maximumConnections: Int = 8) {
        fatalError("not there yet")
    }

    package func send(_ request: HTTPClientRequest, timeout: Duration) async throws(HTTPClientError) -> HTTPResponse {
        fatalError("not there yet")
    }

    package func close() {
        fatalError("not there yet")
    }
}
