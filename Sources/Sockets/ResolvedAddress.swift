// A socket address in the system's own form, and the way there: names are resolved on a queue of their own, because
// getaddrinfo blocks.

private import Dispatch
internal import Glibc

package struct ResolvedAddress: Sendable, Hashable, CustomStringConvertible {
    let bytes: [UInt8]

    var family: Int32 {
        withPointer { address, _ in Int32(address.pointee.sa_family) }
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        bytes.withUnsafeBytes { bytes in
            // At least as long as a sockaddr, see `init`.
            guard let start = bytes.baseAddress else { preconditionFailure("an empty socket address") }
            return body(start.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
    }

    init(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) {
        var bytes = Array(UnsafeRawBufferPointer(start: address, count: Int(length)))
        let missing = MemoryLayout<sockaddr>.size - bytes.count
        if missing > 0 { bytes += Array(repeating: 0, count: missing) }
        self.bytes = bytes
    }

    init(unixPath path: String) throws(SocketError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let characters = Array(path.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard !characters.isEmpty, characters.count <= capacity, !characters.contains(0) else {
            throw SocketError(code: .address, message: "a Unix socket's path has 1 to \(capacity) bytes: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: characters) }
        bytes = withUnsafeBytes(of: &address) { Array($0) }
    }

    /// An address to connect from, `127.0.0.0` plus `offset`, with a port that the system chooses. All of 127.0.0.0/8
    /// belongs to this machine.
    package init(loopback offset: UInt16) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr = in_addr(s_addr: (0x7F00_0000 | UInt32(offset)).bigEndian)
        bytes = withUnsafeBytes(of: &address) { Array($0) }
    }

    /// Within 127.0.0.0/8.
    package var isIPv4Loopback: Bool {
        family == AF_INET
            && bytes.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr) >> 24 }
                == 127
    }

    /// The name of the descriptor's own side, or of its peer.
    static func of(_ descriptor: Int32, peer: Bool) -> ResolvedAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let result =
                    peer ? getpeername(descriptor, address, &length) : getsockname(descriptor, address, &length)
                return result == 0 ? ResolvedAddress(address, length) : nil
            }
        }
    }

    var port: Int? {
        switch family {
        case AF_INET: bytes.withUnsafeBytes { Int(UInt16(bigEndian: $0.loadUnaligned(as: sockaddr_in.self).sin_port)) }
        case AF_INET6:
            bytes.withUnsafeBytes { Int(UInt16(bigEndian: $0.loadUnaligned(as: sockaddr_in6.self).sin6_port)) }
        default: nil
        }
    }

    /// `127.0.0.1:8080`, `[::1]:8080`, or `unix`.
    package var description: String {
        guard let port else { return "unix" }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { host in
            let result = withPointer { address, length in
                getnameinfo(address, length, host.baseAddress, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
            }
            guard result == 0, let start = host.baseAddress else { return "unknown" }
            return SocketAddress.host(String(cString: start), port: port).description
        }
    }

    private static let queue = DispatchQueue(label: "resolve", attributes: .concurrent)

    /// The addresses of a name, best first; at least one. Does not end early on cancellation.
    package static func resolve(_ address: SocketAddress) async throws(SocketError) -> [ResolvedAddress] {
        switch address {
        case .unix(let path):
            return [try ResolvedAddress(unixPath: path)]
        case .host(let host, let port):
            guard (0...65535).contains(port) else {
                throw SocketError(code: .address, message: "port \(port) is not between 0 and 65535")
            }
            let result = await withCheckedContinuation { continuation in
                queue.async { continuation.resume(returning: lookUp(host, port)) }
            }
            return try result.get()
        }
    }

    private static func lookUp(_ host: String, _ port: Int) -> Result<[ResolvedAddress], SocketError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, String(port), &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard result == 0 else {
            let reason = gai_strerror(result).map { String(cString: $0) } ?? "error \(result)"
            return .failure(SocketError(code: .resolution, message: "cannot resolve \(host): \(reason)"))
        }
        var addresses: [ResolvedAddress] = []
        var entry = list
        while let current = entry?.pointee, addresses.count < SocketLimits.addressesPerName {
            if let address = current.ai_addr { addresses.append(ResolvedAddress(address, current.ai_addrlen)) }
            entry = current.ai_next
        }
        guard !addresses.isEmpty else {
            return .failure(SocketError(code: .resolution, message: "\(host) has no address"))
        }
        return .success(addresses)
    }
}
