// How a connection comes into being: accepted by a listener, or opened to one address of a name after the other.

private import CLinux
private import Glibc
import ServiceKit

extension Connection {
    // MARK: Coming into being

    /// Takes over a descriptor that was accepted.
    static func accepted(
        _ descriptor: Int32, on reactor: Reactor, tls: TLSContext?, handler: any ConnectionHandler,
        slots: ConnectionSlots
    ) {
        let connection = Connection(reactor, mode: .handshaking, handler: handler, slots: slots)
        Descriptor.disableDelay(descriptor)
        connection.descriptor = descriptor
        connection.register(EPOLLIN.rawValue)
        connection.begin(tls: tls.map { TLSSession($0) })
    }

    /// Opens a connection to the first of `addresses` that answers, each given `timeout`. The handler learns the
    /// outcome: `opened`, or `closed` with the reason. `serverName` is what the certificate must be for. Connections to
    /// addresses of `source`'s family leave from there: one source address has only so many ports towards one target.
    package static func open(
        to addresses: [ResolvedAddress], from source: ResolvedAddress? = nil, on reactor: Reactor, tls: TLSContext?,
        serverName: String, timeout: Duration, handler: any ConnectionHandler
    ) {
        let connection = Connection(reactor, mode: .connecting, handler: handler, slots: nil)
        connection.connector = Connector(
            addresses: addresses[...], source: source, timeout: timeout,
            makeTLS: { tls.map { TLSSession($0, serverName: serverName) } })
        connection.connectToNext()
    }

    struct Connector {
        var addresses: ArraySlice<ResolvedAddress>
        let source: ResolvedAddress?
        let timeout: Duration
        let makeTLS: () -> TLSSession?
        var lastError = SocketError(code: .refused, message: "no address to connect to")
    }

    func connectToNext() {
        while let address = connector?.addresses.popFirst() {
            do {
                descriptor = try Descriptor.open(family: address.family)
            } catch {
                connector?.lastError = error
                continue
            }
            if let source = connector?.source, source.family == address.family, !Descriptor.bind(descriptor, to: source)
            {
                connector?.lastError = SocketError(errno: errno, "bind to \(source)")
                Descriptor.close(descriptor)
                descriptor = -1
                continue
            }
            Descriptor.disableDelay(descriptor)
            let result = address.withPointer { connect(descriptor, $0, $1) }
            // EAGAIN: the backlog of a Unix socket is full, which is a refusal.
            if result == 0 || errno == EINPROGRESS {
                register(EPOLLOUT.rawValue)
                deadline = connector.map { reactor.now + $0.timeout }
                return
            }
            connector?.lastError = SocketError(errno: errno, "connect to \(address)")
            Descriptor.close(descriptor)
            descriptor = -1
        }
        if let connector { finish(.failed(connector.lastError)) }
    }

    func connectFailed(_ error: SocketError) {
        connector?.lastError = error
        releaseDescriptor()
        connectToNext()
    }

    func connected() {
        let session = connector?.makeTLS()
        connector = nil
        interest = EPOLLOUT.rawValue
        begin(tls: session)
        updateInterest()
    }

    func begin(tls session: TLSSession?) {
        guard let session else {
            mode = .open
            deadline = nil
            handler?.opened(self)
            return
        }
        tls = session
        mode = .handshaking
        deadline = reactor.now + SocketLimits.handshakeTimeout
        pump()
    }
}
