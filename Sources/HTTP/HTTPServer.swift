// An HTTP/1.1 server: keep-alive, pipelining, Content-Length and chunked bodies, `Expect: 100-continue`, TLS.
//
// Reading and writing happen on the event loops (`HTTPServerConnection`), parsing in a pure value
// (`HTTPRequestParser`), handlers as tasks off the loops. Requests arrive complete; every limit is in `HTTPLimits`.

package import ServiceKit
package import Sockets
private import Synchronization

package final class HTTPServer: Sendable {
    package typealias Handler = @Sendable (HTTPRequest) async -> HTTPResponse

    package struct Configuration: Sendable {
        package var address: SocketAddress
        package var tls: TLSConfiguration?
        package var limits = HTTPLimits()
        /// Makes the response for what the server itself refuses; it is sent with `Connection: close`.
        package var errorResponse: @Sendable (HTTPProtocolError) -> HTTPResponse = HTTPServer.plainErrorResponse
        /// Says which requests ask for a WebSocket, mostly by their path; the server checks the rest of the handshake and
        /// refuses what is none. All other requests go to the handler. Called on the loop, so it must not work long.
        package var upgrade: (@Sendable (HTTPRequest) -> WebSocketUpgrade?)?

        package init(address: SocketAddress, tls: TLSConfiguration? = nil) {
            self.address = address
            self.tls = tls
        }
    }

    /// The error's text as it is.
    package static let plainErrorResponse: @Sendable (HTTPProtocolError) -> HTTPResponse = { error in
        HTTPResponse(
            status: error.status, headers: HTTPHeaders([("Content-Type", "text/plain; charset=utf-8")]),
            body: Array(error.text.utf8))
    }

    private struct Running {
        var listener: Listener
        var loopStates: [LoopBound<HTTPServerLoopState>]
    }

    private let configuration: Configuration
    private let shared: HTTPServerShared
    private let group: EventLoopGroup
    private let running = Mutex<Running?>(nil)

    /// The handler runs as a task of its own for every request, off the event loops. It is cancelled when its client
    /// goes away or `shutdown`'s grace is over; whatever it then returns is sent if it still can be.
    package init(
        configuration: Configuration, log: Log, metrics: Metrics, clock: any ServiceClock,
        group: EventLoopGroup = .shared, handler: @escaping Handler
    ) {
        self.configuration = configuration
        self.group = group
        shared = HTTPServerShared(configuration, log: log, metrics: metrics, clock: clock, handler: handler)
    }

    /// Listens; returns the address with the port that was chosen. Throws when the address cannot be listened on or a
    /// TLS file is unusable. To be called once.
    package func start() async throws(SocketError) -> SocketAddress {
        var tls: TLSContext?
        if let files = configuration.tls { tls = try TLSContext(server: files) }
        var listening = Listener.Configuration(
            address: configuration.address, tls: tls, connections: configuration.limits.connections)
        let shared = self.shared
        listening.onTrouble = { shared.acceptFailed($0) }

        var loopStates: [LoopBound<HTTPServerLoopState>] = []
        for loop in group.loops {
            loopStates.append(await loop.run { LoopBound(HTTPServerLoopState(), on: $0) })
        }
        let states = loopStates
        let listener = try await Listener.listen(listening, group: group) { reactor in
            guard let state = states.first(where: { $0.loop === reactor.loop }) else {
                preconditionFailure("a connection on a loop of another group")
            }
            return HTTPServerConnection(shared, state.value(on: reactor))
        }
        running.withLock { running in
            precondition(running == nil, "the server was started twice")
            running = Running(listener: listener, loopStates: states)
        }
        return listener.address
    }

    /// Open connections go on. To be followed by `shutdown`.
    package func stopAccepting() async {
        await running.withLock { $0 }?.listener.close()
    }

    /// Stops accepting, closes idle connections and WebSockets (1001), lets running requests finish (answered with
    /// `Connection: close`), and after `grace` cancels and drops what is left. Returns when no connection is open. A
    /// cancelled caller cuts the grace short. Harmless when not started, or a second time.
    package func shutdown(grace: Duration) async {
        guard let running = running.withLock({ $0 }) else { return }
        shared.beginDraining()
        await running.listener.close()
        await onEachLoop(running) { state in
            for connection in state.all { connection.drain() }
            for channel in state.allChannels { channel.goAway() }
        }
        let end = shared.clock.now + grace
        while running.listener.connectionCount > 0, shared.clock.now < end, await rest() {}
        guard running.listener.connectionCount > 0 else { return }
        await onEachLoop(running) { state in
            for connection in state.all { connection.cancelAndAbort() }
            for channel in state.allChannels { channel.abort() }
        }
    }

    private func onEachLoop(_ running: Running, _ body: @escaping @Sendable (HTTPServerLoopState) -> Void) async {
        for state in running.loopStates {
            await state.loop.run { reactor in body(state.value(on: reactor)) }
        }
    }

    /// False when the caller's task is cancelled.
    private func rest() async -> Bool {
        do {
            try await shared.clock.sleep(for: .milliseconds(20))
            return true
        } catch {
            return false
        }
    }
}
