// Goal: bytes arrive complete and in order under back-pressure, deadlines fire, and every end is told exactly once.
// Method: pairs of connections over 127.0.0.1 and Unix sockets, on loops of the process.

import ServiceKit
import Synchronization
import Testing

@testable import Sockets

/// What happened on a connection, with waits that end by themselves.
final class Probe: Sendable {
    struct State {
        var bytes = 0
        /// A checksum that depends on the order.
        var sum: UInt64 = 0
        var opened = 0
        var closed = 0
        var drained = 0
        var deadlines = 0
        var peerLeft = 0
        var reason: CloseReason?
    }

    struct TimedOut: Error {}

    private let state = Mutex(State())
    private struct Waiter {
        let wanted: @Sendable (State) -> Bool
        let continuation: CheckedContinuation<Bool, Never>
    }

    private let waiter = Mutex<Waiter?>(nil)

    var current: State { state.withLock { $0 } }

    func update(_ body: (inout State) -> Void) {
        state.withLock { body(&$0) }
        settle(timedOut: false)
    }

    func wait(on loop: EventLoop, _ wanted: @escaping @Sendable (State) -> Bool) async throws {
        loop.execute { reactor in
            reactor.schedule(at: reactor.now + Duration.seconds(60)) { _ in self.settle(timedOut: true) }
        }
        let isThere = await withCheckedContinuation { continuation in
            waiter.withLock { $0 = Waiter(wanted: wanted, continuation: continuation) }
            settle(timedOut: false)
        }
        if !isThere { throw TimedOut() }
    }

    private func settle(timedOut: Bool) {
        let state = current
        var isThere = false
        let continuation = waiter.withLock { waiter -> CheckedContinuation<Bool, Never>? in
            guard let current = waiter else { return nil }
            isThere = current.wanted(state)
            guard isThere || timedOut else { return nil }
            waiter = nil
            return current.continuation
        }
        continuation?.resume(returning: isThere)
    }
}

final class ProbeHandler: ConnectionHandler {
    private let probe: Probe
    private let onOpen: (Connection) -> Void
    private let onBytes: ([UInt8], Connection) -> Void
    private let closesWithPeer: Bool

    init(
        _ probe: Probe, closesWithPeer: Bool = true, onOpen: @escaping (Connection) -> Void = { _ in },
        onBytes: @escaping ([UInt8], Connection) -> Void = { _, _ in }
    ) {
        self.probe = probe
        self.closesWithPeer = closesWithPeer
        self.onOpen = onOpen
        self.onBytes = onBytes
    }

    func opened(_ connection: Connection) {
        onOpen(connection)
        probe.update { $0.opened += 1 }
    }

    func received(_ bytes: Span<UInt8>, _ connection: Connection) {
        let array = bytes.withUnsafeBufferPointer { Array($0) }
        probe.update { state in
            state.bytes += array.count
            for byte in array { state.sum = state.sum &* 31 &+ UInt64(byte) }
        }
        onBytes(array, connection)
    }

    func peerLeft(_ connection: Connection) { probe.update { $0.peerLeft += 1 } }
    func peerFinished(_ connection: Connection) { if closesWithPeer { connection.close() } }
    func outputDrained(_ connection: Connection) { probe.update { $0.drained += 1 } }
    func deadlinePassed(_ connection: Connection) { probe.update { $0.deadlines += 1 } }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        probe.update { state in
            state.closed += 1
            state.reason = reason
        }
    }
}

@Suite struct ConnectionTests {
    private let loop = EventLoopGroup.shared.next()

    private func listen(
        _ address: SocketAddress = .host("127.0.0.1", port: 0), connections: Int = 100,
        _ make: @escaping @Sendable () -> ProbeHandler
    ) async throws -> Listener {
        try await Listener.listen(
            Listener.Configuration(address: address, tls: nil, connections: connections)
        ) { _ in make() }
    }

    private func connect(_ address: SocketAddress, _ make: @escaping @Sendable () -> ProbeHandler) async throws {
        let addresses = try await ResolvedAddress.resolve(address)
        loop.execute { reactor in
            Connection.open(
                to: addresses, on: reactor, tls: nil, serverName: "localhost", timeout: .seconds(30), handler: make())
        }
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 &* 31 &+ UInt64($1) } }

    @Test(arguments: [
        SocketAddress.host("127.0.0.1", port: 0), .unix(path: "/tmp/muster-\(SystemRandom().next()).sock"),
    ])
    func largeOutputArrivesWhole(address: SocketAddress) async throws {
        let bytes = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
        let (server, client) = (Probe(), Probe())
        let listener = try await listen(address) { ProbeHandler(server) }
        try await connect(listener.address) {
            ProbeHandler(
                client,
                onOpen: { connection in
                    connection.outputLimit = .max
                    connection.write(bytes)
                    connection.close()
                })
        }
        try await server.wait(on: loop) { $0.closed == 1 }
        try await client.wait(on: loop) { $0.closed == 1 }
        #expect(server.current.bytes == bytes.count)
        #expect(server.current.sum == Self.checksum(bytes))
        #expect(client.current.opened == 1)
        await listener.close()
        #expect(listener.connectionCount == 0)
    }

    @Test func pausedReaderHoldsTheWriterBack() async throws {
        let (server, client) = (Probe(), Probe())
        let paused = Mutex<LoopBound<Connection>?>(nil)
        let listener = try await listen {
            ProbeHandler(
                server,
                onOpen: { connection in
                    connection.pauseReading()
                    paused.withLock { $0 = LoopBound(connection, on: connection.reactor) }
                })
        }
        let bytes = [UInt8](repeating: 7, count: 20_000_000)
        try await connect(listener.address) {
            ProbeHandler(
                client,
                onOpen: { connection in
                    connection.outputLimit = .max
                    connection.write(bytes)
                })
        }
        try await server.wait(on: loop) { $0.opened == 1 }
        #expect(client.current.drained == 0)
        #expect(server.current.bytes == 0)
        let connection = try #require(paused.withLock { $0 })
        connection.loop.execute { connection.value(on: $0).resumeReading() }
        try await client.wait(on: loop) { $0.drained == 1 }
        try await server.wait(on: loop) { $0.bytes == bytes.count }
        connection.loop.execute { connection.value(on: $0).abort() }
        try await client.wait(on: loop) { $0.closed == 1 }
        await listener.close()
    }

    @Test func outputBeyondItsLimitDropsTheConnection() async throws {
        let (server, client) = (Probe(), Probe())
        let listener = try await listen { ProbeHandler(server, onOpen: { $0.pauseReading() }) }
        try await connect(listener.address) {
            ProbeHandler(
                client,
                onOpen: { connection in
                    connection.outputLimit = 1000
                    connection.write(Array(repeating: 1, count: 1001))
                })
        }
        try await client.wait(on: loop) { $0.closed == 1 }
        guard case .failed(let error) = client.current.reason, error.code == .overflow else {
            Issue.record("\(String(describing: client.current.reason))")
            return
        }
        await listener.close()
    }

    @Test func peerThatLeavesIsNoticedWhilePaused() async throws {
        let (server, client) = (Probe(), Probe())
        let listener = try await listen { ProbeHandler(server, onOpen: { $0.pauseReading() }) }
        try await connect(listener.address) {
            ProbeHandler(
                client,
                onOpen: { connection in
                    connection.write([1, 2, 3])
                    connection.close()
                })
        }
        try await server.wait(on: loop) { $0.peerLeft == 1 }
        #expect(server.current.bytes == 0)
        // The lingering client gives up by itself.
        try await client.wait(on: loop) { $0.closed == 1 }
        await listener.close()
    }

    @Test func deadlinesFireOnceAndCanMove() async throws {
        let (server, client) = (Probe(), Probe())
        let listener = try await listen { ProbeHandler(server) }
        try await connect(listener.address) {
            ProbeHandler(
                client,
                onOpen: { connection in
                    let now = connection.reactor.now
                    connection.deadline = now + Duration.milliseconds(20)
                    connection.deadline = now + Duration.seconds(100)
                    connection.deadline = nil
                    connection.deadline = now + Duration.milliseconds(60)
                })
        }
        try await client.wait(on: loop) { $0.deadlines > 0 }
        #expect(client.current.deadlines == 1)
        #expect(client.current.closed == 0)
        await listener.close()
    }

    @Test func refusedConnectionIsToldOnce() async throws {
        let probe = Probe()
        // Port 1 is nobody's; a port that was free a moment ago may be another test's by now.
        try await connect(.host("127.0.0.1", port: 1)) { ProbeHandler(probe) }
        try await probe.wait(on: loop) { $0.closed == 1 }
        #expect(probe.current.opened == 0)
        guard case .failed(let error) = probe.current.reason, error.code == .refused else {
            Issue.record("\(String(describing: probe.current.reason))")
            return
        }
    }

    @Test func nextAddressIsTried() async throws {
        let (server, client) = (Probe(), Probe())
        let listener = try await listen { ProbeHandler(server) }
        let port = try #require(listener.address.port)
        // Nobody listens on the first: a name with two addresses, of which one is dead.
        let dead = try await ResolvedAddress.resolve(.host("::1", port: port))
        let live = try await ResolvedAddress.resolve(listener.address)
        loop.execute { reactor in
            Connection.open(
                to: dead + live, on: reactor, tls: nil, serverName: "localhost", timeout: .seconds(30),
                handler: ProbeHandler(client, onOpen: { $0.close() }))
        }
        try await client.wait(on: loop) { $0.closed == 1 }
        #expect(client.current.opened == 1)
        await listener.close()
    }

    @Test func connectionLeavesFromTheGivenAddress() async throws {
        let (server, client) = (Probe(), Probe())
        let peer = Mutex("")
        let listener = try await listen {
            ProbeHandler(server, onOpen: { connection in peer.withLock { $0 = connection.peer } })
        }
        let addresses = try await ResolvedAddress.resolve(listener.address)
        #expect(addresses.allSatisfy { $0.isIPv4Loopback })
        loop.execute { reactor in
            Connection.open(
                to: addresses, from: ResolvedAddress(loopback: 0x0107), on: reactor, tls: nil, serverName: "localhost",
                timeout: .seconds(30), handler: ProbeHandler(client, onOpen: { $0.close() }))
        }
        try await server.wait(on: loop) { $0.closed == 1 }
        #expect(peer.withLock { $0 }.hasPrefix("127.0.1.7:"))
        await listener.close()
    }

    @Test func manyConnectionsComeAndGo() async throws {
        let (server, client) = (Probe(), Probe())
        let listener = try await listen(connections: 50) {
            ProbeHandler(server, onBytes: { bytes, connection in connection.write(bytes) })
        }
        let count = 300
        for _ in 0..<count {
            try await connect(listener.address) {
                ProbeHandler(
                    client, onOpen: { $0.write([1, 2, 3]) }, onBytes: { _, connection in connection.close() })
            }
        }
        try await client.wait(on: loop) { $0.closed == count }
        try await server.wait(on: loop) { $0.closed == count }
        #expect(client.current.bytes == 3 * count)
        #expect(server.current.opened == count)
        #expect(listener.connectionCount == 0)
        await listener.close()
    }
}
