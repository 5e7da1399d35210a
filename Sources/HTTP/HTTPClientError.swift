// How a request of the client can fail, and what the server may have done by then (invariant I10).

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
        /// The client's own set-up is wrong: a trust file that cannot be read.
        case configuration
    }

    package let code: Code
    /// False when the request certainly never reached a handler, and may be sent again whatever its method.
    package let mayHaveBeenProcessed: Bool
    package let message: String

    package var description: String { message }
}
