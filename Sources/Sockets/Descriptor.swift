// The system calls on sockets, each in a function that repeats after EINTR and reports errors as values. All
// descriptors are non-blocking and close on exec.

private import CLinux
private import Glibc

enum Descriptor {
    /// What a system call on a non-blocking descriptor did.
    enum Result {
        case count(Int)
        case wouldBlock
        case failed(Int32)
    }

    static func open(family: Int32) throws(SocketError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { throw SocketError(errno: errno, "socket") }
        return descriptor
    }

    /// After an error the descriptor is closed all the same (Linux), so there is nothing to repeat or to report.
    static func close(_ descriptor: Int32) {
        _ = Glibc.close(descriptor)
    }

    /// Answers and method calls are small and wait for nobody.
    static func disableDelay(_ descriptor: Int32) {
        setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY)
    }

    /// Fixes the address that a connection will leave from. The port is chosen when it connects, so that one port serves
    /// connections to different targets. False with `errno` set.
    static func bind(_ descriptor: Int32, to address: ResolvedAddress) -> Bool {
        setOption(descriptor, Int32(IPPROTO_IP), bindAddressNoPort)
        return address.withPointer { Glibc.bind(descriptor, $0, $1) == 0 }
    }

    /// IP_BIND_ADDRESS_NO_PORT, which the importer of the headers does not see.
    private static let bindAddressNoPort: Int32 = 24

    static func setOption(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32 = 1) {
        var value = value
        // Fails only for an option that does not fit the family, such as TCP_NODELAY on a Unix socket: no harm.
        _ = setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    static func receive(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Result {
        result { recv(descriptor, buffer.baseAddress, buffer.count, 0) }
    }

    /// Never raises SIGPIPE.
    static func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Result {
        result { Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)) }
    }

    static func accept(_ descriptor: Int32) -> Result {
        let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        return result { Int(muster_accept4(descriptor, nil, nil, flags)) }
    }

    static func finishWriting(_ descriptor: Int32) {
        // Fails when the peer is gone already; then there is nothing to finish.
        _ = shutdown(descriptor, Int32(SHUT_WR))
    }

    /// The next `close` drops what the kernel has not sent yet, and tells the peer by a reset.
    static func resetOnClose(_ descriptor: Int32) {
        var value = linger(l_onoff: 1, l_linger: 0)
        // Fails only for a descriptor that is no socket.
        _ = setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// The error that the kernel holds for the socket; 0 when there is none.
    static func takeError(_ descriptor: Int32) -> Int32 {
        var number: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size) == 0 ? number : errno
    }

    private static func result(_ call: () -> Int) -> Result {
        while true {
            let value = call()
            if value >= 0 { return .count(value) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let number: return .failed(number)
            }
        }
    }
}
