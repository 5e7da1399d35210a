// Why a socket could not be opened, or why a connection ended. One type, so that clients classify in one place.

internal import Glibc

package struct SocketError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The name does not resolve.
        case resolution
        /// Nobody listens there, or no route leads there.
        case refused
        /// Not connected, not shaken hands, or no byte taken within the time allowed.
        case timeout
        /// The peer's certificate is not trusted, expired, or of another name.
        case certificate
        /// TLS failed in another way.
        case tls
        /// The connection broke.
        case reset
        /// The peer does not take what is written to it, and the buffer's limit is reached.
        case overflow
        /// The address cannot be listened on: in use, not ours, or not permitted.
        case address
        /// A TLS file that is missing, unreadable or no PEM; a key that does not fit its certificate.
        case configuration
        /// Any other error of the system.
        case system
    }

    package let code: Code
    package let message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }

    /// Classifies an errno of `operation`.
    init(errno number: Int32, _ operation: String) {
        let code: Code =
            switch number {
            case ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, ENOENT: .refused
            case ETIMEDOUT: .timeout
            case ECONNRESET, EPIPE, ECONNABORTED, ENOTCONN: .reset
            case EADDRINUSE, EADDRNOTAVAIL, EACCES, EPERM: .address
            default: .system
            }
        self.init(code: code, message: "\(operation): \(Self.text(number))")
    }

    private static func text(_ number: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            guard let start = buffer.baseAddress, strerror_r(number, start, buffer.count) == 0 else {
                return "error \(number)"
            }
            return String(cString: start)
        }
    }
}

/// How a connection ended.
package enum CloseReason: Sendable {
    /// This side closed it.
    case local
    /// The peer closed it in an orderly way.
    case peer
    case failed(SocketError)
}
