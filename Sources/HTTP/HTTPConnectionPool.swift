// The client's connections: which are idle, how many are open, and who waits. Decisions are made under the lock and
// carried out after it, so that no callback runs with the lock held.

internal import ServiceKit
internal import Sockets
private import Synchronization

final class HTTPConnectionPool: Sendable {
    private struct State {
        /// The one used last comes first, so that the others get old and are closed.
        var idle: [LoopBound<HTTPClientConnection>] = []
        /// Connections that are open or being opened.
        var open = 0
        var waiting: [HTTPClientExchange] = []
        var isClosed = false
    }

    private enum Decision {
        case use(LoopBound<HTTPClientConnection>)
        case open
        case wait
        case refuse
    }

    /// Connecting to one of the addresses of a name; the request's own timeout bounds the sum.
    private static let connectTimeout: Duration = .seconds(10)
    /// Idle connections are closed before the server's own timeout would (75 s), so that a request rarely meets a
    /// closing one.
    static let idleTimeout: Duration = .seconds(50)

    let group: EventLoopGroup
    let limits: HTTPLimits
    private let address: SocketAddress
    private let serverName: String
    private let host: String
    private let maximumConnections: Int
    /// The trust file is read once; the error is every request's.
    private let tls: Result<TLSContext?, SocketError>
    private let state = Mutex(State())

    init(
        address: SocketAddress, serverName: String, tls: TLSConfiguration.Client?, maximumConnections: Int,
        limits: HTTPLimits, group: EventLoopGroup
    ) {
        precondition(maximumConnections > 0, "a pool without connections")
        self.address = address
        self.serverName = serverName
        self.maximumConnections = maximumConnections
        self.limits = limits
        self.group = group
        do {
            self.tls = .success(try Self.context(tls))
        } catch {
            self.tls = .failure(error)
        }
        let defaultPort = tls == nil ? 80 : 443
        host =
            switch address {
            case .unix: "localhost"
            case .host(let name, let port) where port == defaultPort: name.contains(":") ? "[\(name)]" : name
            case .host: address.description
            }
    }

    private static func context(_ tls: TLSConfiguration.Client?) throws(SocketError) -> TLSContext? {
        guard let tls else { return nil }
        return try TLSContext(client: tls)
    }

    func bytes(of request: HTTPClientRequest) -> [UInt8] { MessageWriter.bytes(of: request, host: host) }

    func enqueue(_ exchange: HTTPClientExchange) {
        let decision = state.withLock { state -> Decision in
            guard !state.isClosed else { return .refuse }
            if let connection = state.idle.popLast() { return .use(connection) }
            guard state.open >= maximumConnections else {
                state.open += 1
                return .open
            }
            state.waiting.append(exchange)
            return .wait
        }
        switch decision {
        case .use(let connection): connection.loop.execute { connection.value(on: $0).begin(exchange) }
        case .open: open(for: exchange)
        case .wait: break
        case .refuse: exchange.fail(.closed)
        }
    }

    /// A connection has answered and can serve again: the next exchange for it, or nil when it is now idle.
    func next(for connection: LoopBound<HTTPClientConnection>) -> HTTPClientExchange? {
        state.withLock { state in
            if let exchange = Self.firstWaiting(&state) { return exchange }
            if !state.isClosed { state.idle.append(connection) }
            return nil
        }
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// A connection is gone; who waits gets a new one.
    func closed(_ connection: LoopBound<HTTPClientConnection>?, on reactor: Reactor?) {
        let exchange = state.withLock { state -> HTTPClientExchange? in
            if let connection, let reactor {
                let gone = connection.value(on: reactor)
                state.idle.removeAll { $0.loop === reactor.loop && $0.value(on: reactor) === gone }
            }
            let exchange = Self.firstWaiting(&state)
            if exchange == nil { state.open -= 1 }
            return exchange
        }
        if let exchange { open(for: exchange) }
    }

    func close() {
        let (idle, waiting) = state.withLock { state in
            defer {
                state.isClosed = true
                state.idle = []
                state.waiting = []
            }
            return (state.idle, state.waiting)
        }
        for connection in idle { connection.loop.execute { connection.value(on: $0).close() } }
        for exchange in waiting { exchange.fail(.closed) }
    }

    private static func firstWaiting(_ state: inout State) -> HTTPClientExchange? {
        guard let index = state.waiting.firstIndex(where: { !$0.hasEnded }) else {
            state.waiting = []
            return nil
        }
        defer { state.waiting.removeSubrange(...index) }
        return state.waiting[index]
    }

    private func open(for exchange: HTTPClientExchange) {
        Task { [self] in
            do throws(SocketError) {
                let context = try tls.get()
                let addresses = try await ResolvedAddress.resolve(address)
                let loop = group.next()
                loop.execute { [self] reactor in
                    Connection.open(
                        to: addresses, on: reactor, tls: context, serverName: serverName,
                        timeout: Self.connectTimeout,
                        handler: HTTPClientConnection(pool: self, first: exchange, reactor: reactor))
                }
            } catch {
                exchange.fail(HTTPClientConnection.failure(error))
                closed(nil, on: nil)
            }
        }
    }
}
