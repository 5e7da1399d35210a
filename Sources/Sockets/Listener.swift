// A listening socket. One loop accepts and hands the connections to all loops of the group in turn, so that they are
// spread evenly, which SO_REUSEPORT does only on average and Unix sockets cannot do at all.
//
// Nearly out of descriptors (`DescriptorLimit`), connections are accepted and closed, so that clients learn quickly that
// nobody serves them. Should the last one go all the same, a spare is closed to make room for that. At the limit of
// connections nothing is accepted; clients wait in the kernel's backlog.

private import CLinux
private import Glibc
private import ServiceKit

package final class Listener: Sendable {
    package struct Configuration: Sendable {
        package var address: SocketAddress
        package var tls: TLSContext?
        /// Accepting pauses at this number of open connections.
        package var connections: Int
        /// Told when accepting meets an error or a limit; at most once a pause.
        package var onTrouble: @Sendable (SocketError) -> Void = { _ in }

        package init(address: SocketAddress, tls: TLSContext?, connections: Int) {
            self.address = address
            self.tls = tls
            self.connections = connections
        }
    }

    /// With the port that was chosen.
    package let address: SocketAddress
    private let acceptor: LoopBound<Acceptor>
    private let slots: ConnectionSlots

    /// Open connections, including those that are closing.
    package var connectionCount: Int { slots.count }

    private init(address: SocketAddress, acceptor: LoopBound<Acceptor>, slots: ConnectionSlots) {
        self.address = address
        self.acceptor = acceptor
        self.slots = slots
    }

    /// Listens. `makeHandler` is called on the loop that will own the connection.
    package static func listen(
        _ configuration: Configuration, group: EventLoopGroup = .shared,
        makeHandler: @escaping @Sendable (Reactor) -> any ConnectionHandler
    ) async throws(SocketError) -> Listener {
        DescriptorLimit.raise()
        // A name can have several addresses; the first is the one that clients of this machine try first.
        guard let resolved = try await ResolvedAddress.resolve(configuration.address).first else {
            throw SocketError(code: .resolution, message: "\(configuration.address) has no address")
        }
        let descriptor = try bind(resolved, configuration.address)
        var address = configuration.address
        if case .host(let host, _) = address, let port = ResolvedAddress.of(descriptor, peer: false)?.port {
            address = .host(host, port: port)
        }
        let slots = ConnectionSlots(limit: configuration.connections)
        let acceptor = await group.next().run { reactor in
            let acceptor = Acceptor(
                descriptor, reactor: reactor, group: group, configuration: configuration, slots: slots,
                makeHandler: makeHandler)
            return LoopBound(acceptor, on: reactor)
        }
        return Listener(address: address, acceptor: acceptor, slots: slots)
    }

    /// Accepts what already waits in the backlog, then stops. The connections live on.
    package func close() async {
        let acceptor = self.acceptor
        await acceptor.loop.run { reactor in acceptor.value(on: reactor).close() }
    }

    private static func bind(_ resolved: ResolvedAddress, _ address: SocketAddress) throws(SocketError) -> Int32 {
        let descriptor = try Descriptor.open(family: resolved.family)
        Descriptor.setOption(descriptor, SOL_SOCKET, SO_REUSEADDR)
        if resolved.family == AF_INET6 { Descriptor.setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        var result = resolved.withPointer { Glibc.bind(descriptor, $0, $1) }
        if result != 0, errno == EADDRINUSE, case .unix(let path) = address, isAbandoned(resolved) {
            unlink(path)
            result = resolved.withPointer { Glibc.bind(descriptor, $0, $1) }
        }
        guard result == 0, Glibc.listen(descriptor, SocketLimits.backlog) == 0 else {
            let error = SocketError(errno: errno, "listen on \(address)")
            Descriptor.close(descriptor)
            throw error
        }
        return descriptor
    }

    /// A socket file that nobody listens on any more, left by a process that was killed.
    private static func isAbandoned(_ address: ResolvedAddress) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { Descriptor.close(descriptor) }
        return address.withPointer { connect(descriptor, $0, $1) } != 0 && errno == ECONNREFUSED
    }
}

/// The listener's half on its loop.
private final class Acceptor: Channel {
    private let reactor: Reactor
    private let group: EventLoopGroup
    private let configuration: Listener.Configuration
    private let slots: ConnectionSlots
    private let makeHandler: @Sendable (Reactor) -> any ConnectionHandler
    private var descriptor: Int32
    private var registration: Reactor.Registration?
    private var spare: Int32

    init(
        _ descriptor: Int32, reactor: Reactor, group: EventLoopGroup, configuration: Listener.Configuration,
        slots: ConnectionSlots, makeHandler: @escaping @Sendable (Reactor) -> any ConnectionHandler
    ) {
        self.descriptor = descriptor
        self.reactor = reactor
        self.group = group
        self.configuration = configuration
        self.slots = slots
        self.makeHandler = makeHandler
        spare = Self.openSpare()
        registration = reactor.register(self, descriptor, EPOLLIN.rawValue)
    }

    private static func openSpare() -> Int32 { open("/dev/null", O_RDONLY | O_CLOEXEC) }

    func ready(_ events: UInt32) { accept(atMost: SocketLimits.acceptsPerTurn) }

    /// The end of a pause.
    func timerFired(_ deadline: Instant) { resume() }

    private func resume() {
        guard let registration else { return }
        if spare < 0 { spare = Self.openSpare() }
        reactor.update(registration, descriptor, EPOLLIN.rawValue)
    }

    private func accept(atMost limit: Int) {
        guard registration != nil else { return }
        let bound = LoopBound(self, on: reactor)
        for _ in 0..<limit {
            guard slots.take(orWait: { bound.loop.execute { bound.value(on: $0).resume() } }) else {
                trouble(SocketError(code: .overflow, message: "\(configuration.connections) connections are open"))
                return stopListening()
            }
            switch Descriptor.accept(descriptor) {
            case .count(let accepted):
                guard !DescriptorLimit.isNearlyReached(by: Int32(accepted)) else {
                    Descriptor.close(Int32(accepted))
                    slots.release()
                    trouble(SocketError(code: .overflow, message: "nearly all descriptors are in use"))
                    continue
                }
                handOver(Int32(accepted))
            case .wouldBlock:
                return slots.release()
            case .failed(ECONNABORTED), .failed(EPROTO):
                slots.release()
            case .failed(let number):
                slots.release()
                trouble(SocketError(errno: number, "accept"))
                let hasShed = (number == EMFILE || number == ENFILE) && shed()
                guard hasShed else { return pause() }
            }
        }
    }

    private func handOver(_ accepted: Int32) {
        let loop = group.next()
        let (tls, slots, makeHandler) = (configuration.tls, slots, makeHandler)
        guard loop !== reactor.loop else {
            return Connection.accepted(accepted, on: reactor, tls: tls, handler: makeHandler(reactor), slots: slots)
        }
        loop.execute { reactor in
            Connection.accepted(accepted, on: reactor, tls: tls, handler: makeHandler(reactor), slots: slots)
        }
    }

    /// Accepts one connection on the spare descriptor and closes it. False when that is not possible.
    private func shed() -> Bool {
        guard spare >= 0 else { return false }
        Descriptor.close(spare)
        spare = -1
        var hasShed = false
        if case .count(let accepted) = Descriptor.accept(descriptor) {
            Descriptor.close(Int32(accepted))
            hasShed = true
        }
        spare = Self.openSpare()
        return hasShed && spare >= 0
    }

    private func stopListening() {
        guard let registration else { return }
        reactor.update(registration, descriptor, 0)
    }

    private func pause() {
        guard let registration else { return }
        stopListening()
        reactor.arm(registration, at: reactor.now + SocketLimits.acceptPause)
    }

    private func trouble(_ error: SocketError) { configuration.onTrouble(error) }

    func close() {
        guard let registration else { return }
        accept(atMost: SocketLimits.acceptsPerTurn)
        reactor.unregister(registration)
        self.registration = nil
        Descriptor.close(descriptor)
        descriptor = -1
        if spare >= 0 { Descriptor.close(spare) }
        spare = -1
        if case .unix(let path) = configuration.address { unlink(path) }
    }
}
