// One connection of the client's pool, on its event loop: sends one request at a time and reads its answer.

internal import ServiceKit
internal import Sockets

final class HTTPClientConnection: ConnectionHandler {
    private let pool: HTTPConnectionPool
    private let reactor: Reactor
    private var connection: Connection?
    /// What the connection works on; before it is open, what it is opened for.
    private var exchange: HTTPClientExchange?
    private var parser: HTTPResponseParser
    private var answered = 0

    init(pool: HTTPConnectionPool, first exchange: HTTPClientExchange, reactor: Reactor) {
        self.pool = pool
        self.exchange = exchange
        self.reactor = reactor
        parser = HTTPResponseParser(limits: pool.limits, isHead: exchange.isHead)
    }

    /// Takes a request; on an idle connection only.
    func begin(_ exchange: HTTPClientExchange) {
        guard let connection, connection.isOpen else {
            // Closed between the pool's choice and now: nothing has been sent, any other connection will do.
            return pool.enqueue(exchange)
        }
        let bound = LoopBound(self, on: reactor)
        let isWanted = exchange.assign(abandon: { bound.loop.execute { bound.value(on: $0).abandon(exchange) } })
        guard isWanted else { return becomeIdle() }
        self.exchange = exchange
        parser = HTTPResponseParser(limits: pool.limits, isHead: exchange.isHead)
        connection.deadline = nil
        // The whole request is handed over at once; it is bounded by what the caller built.
        connection.outputLimit = .max
        connection.write(exchange.bytes)
    }

    func close() { connection?.close() }

    /// The exchange ended without us; its answer would be taken for the next one's.
    private func abandon(_ exchange: HTTPClientExchange) {
        guard self.exchange === exchange else { return }
        self.exchange = nil
        connection?.abort()
    }

    // MARK: Events

    func opened(_ connection: Connection) {
        self.connection = connection
        guard let exchange else { return becomeIdle() }
        self.exchange = nil
        begin(exchange)
    }

    func received(_ bytes: Span<UInt8>, _ connection: Connection) {
        // Nobody asked: a server that says goodbye (408) or one that is confused.
        guard exchange != nil else { return connection.abort() }
        bytes.withUnsafeBufferPointer { parser.append($0) }
        take(parser.next())
    }

    func peerFinished(_ connection: Connection) {
        if exchange != nil { take(parser.end()) }
        connection.close()
    }

    func deadlinePassed(_ connection: Connection) { connection.close() }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        self.connection = nil
        let exchange = self.exchange
        self.exchange = nil
        if let exchange {
            if answered > 0, !parser.hasBegun, exchange.mayRepeat() {
                pool.enqueue(exchange)
            } else {
                exchange.fail(Self.failure(reason))
            }
        }
        pool.closed(LoopBound(self, on: reactor), on: reactor)
    }

    private func take(_ event: HTTPResponseParser.Event) {
        switch event {
        case .needsMore:
            break
        case .response(let response, let keepsAlive):
            answered += 1
            exchange?.succeed(response)
            exchange = nil
            if keepsAlive { becomeIdle() } else { connection?.close() }
        case .failed(let error):
            exchange?.fail(.failed(.malformed, error.text))
            exchange = nil
            connection?.abort()
        }
    }

    private func becomeIdle() {
        guard let connection, connection.isOpen else { return }
        if let next = pool.next(for: LoopBound(self, on: reactor)) { return begin(next) }
        guard !pool.isClosed else { return connection.close() }
        connection.deadline = reactor.now + HTTPConnectionPool.idleTimeout
    }

    // MARK: Errors

    private static func failure(_ reason: CloseReason) -> HTTPClientFailure {
        switch reason {
        case .failed(let error): failure(error)
        case .local, .peer: .failed(.disconnected, "the server closed the connection")
        }
    }

    static func failure(_ error: SocketError) -> HTTPClientFailure {
        let code: HTTPClientError.Code =
            switch error.code {
            case .resolution: .resolution
            case .refused: .refused
            case .timeout: .timeout
            case .certificate: .certificate
            case .tls: .tls
            case .configuration: .configuration
            case .reset, .overflow: .disconnected
            case .address, .system: .refused
            }
        return .failed(code, error.message)
    }
}
