// Where to listen or to connect: a host and port, or the path of a Unix socket.

package enum SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or a numeric address; IPv6 without brackets. Port 0 lets the system choose one when listening.
    case host(String, port: Int)
    case unix(path: String)

    /// Nil for a Unix socket.
    package var port: Int? {
        switch self {
        case .host(_, let port): port
        case .unix: nil
        }
    }

    package var description: String {
        switch self {
        case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
