// One connection of the HTTP server, on its event loop. It reads requests one at a time, hands each to the handler as a
// task of its own, and writes the answers in order; pipelined requests wait, parsed only when it is their turn.
//
// Modes and the allowed moves:
//   reading   waiting for a complete request; the parser's progress decides the timeout   -> running, closing
//   running   a handler works; bytes that arrive are kept up to a bound                    -> reading, closing
//   closing   nothing more is parsed or answered; also once the connection belongs to a WebSocket
//
// A client that closes its side while a handler runs has gone as far as one can know; the handler's task is cancelled,
// and its answer is still written in case the client only finished sending.

internal import ServiceKit
internal import Sockets

final class HTTPServerConnection: ConnectionHandler {
    private enum Mode {
        case reading
        case running(Task<Void, Never>, Exchange)
        case closing
    }

    private struct Exchange {
        let isHead: Bool
        let persistence: HTTPRequestParser.Persistence
    }

    /// Pipelined bytes that are kept while a handler runs, and output that may wait before the next request is begun.
    private static let pipelinedBytes = 64 * 1024

    /// A connection that is new when the server shuts down may have its request on the way.
    private static let drainGrace: Duration = .seconds(1)

    private let shared: HTTPServerShared
    private let loopState: HTTPServerLoopState
    private var parser: HTTPRequestParser
    private var mode = Mode.reading
    private var connection: Connection?
    private var served = 0
    private var hasPeerFinished = false
    private var isWaitingForOutput = false
    private var progress = HTTPRequestParser.Progress.nothing
    /// Bytes of this connection in the server's sum.
    private var counted = 0

    init(_ shared: HTTPServerShared, _ loopState: HTTPServerLoopState) {
        self.shared = shared
        self.loopState = loopState
        parser = HTTPRequestParser(limits: shared.limits)
    }

    // MARK: Events of the connection

    func opened(_ connection: Connection) {
        self.connection = connection
        connection.writeTimeout = shared.limits.writeTimeout
        // Only one answer at a time is written, and the next request begins when most of it is taken; so the output is
        // bounded by the largest response that the handler makes.
        connection.outputLimit = .max
        connection.deadline =
            connection.reactor.now + (shared.isDraining ? Self.drainGrace : shared.limits.headerTimeout)
        parser.peer = connection.peer
        loopState.add(self)
        shared.connectionsChanged(by: 1)
    }

    func received(_ bytes: Span<UInt8>, _ connection: Connection) {
        guard !isClosing else { return }
        bytes.withUnsafeBufferPointer { parser.append($0) }
        guard count() else {
            return refuse(HTTPProtocolError(status: 503, text: "the server holds too many unfinished requests"))
        }
        if case .running = mode {
            if parser.bufferedCount > Self.pipelinedBytes { connection.pauseReading() }
        } else {
            process()
        }
    }

    func peerLeft(_ connection: Connection) { cancelTask() }

    func peerFinished(_ connection: Connection) {
        hasPeerFinished = true
        cancelTask()
        if case .reading = mode, !isWaitingForOutput { connection.close() }
    }

    func outputDrained(_ connection: Connection) {
        if isWaitingForOutput { process() }
    }

    func deadlinePassed(_ connection: Connection) {
        guard case .reading = mode else { return }
        switch progress {
        case .nothing: connection.close()
        case .head: refuse(HTTPProtocolError(status: 408, text: "the headers did not arrive in time"))
        case .body: refuse(HTTPProtocolError(status: 408, text: "the body did not arrive in time"))
        }
    }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        cancelTask()
        mode = .closing
        release()
        if case .failed(let error) = reason { shared.connectionFailed(error) }
        leave()
    }

    private func release() {
        _ = shared.holdBytes(-counted)
        counted = 0
    }

    private func leave() {
        guard connection != nil else { return }
        connection = nil
        loopState.remove(self)
        shared.connectionsChanged(by: -1)
    }

    // MARK: Requests

    private var isClosing: Bool {
        if case .closing = mode { true } else { false }
    }

    private func process() {
        guard case .reading = mode, let connection else { return }
        // The client does not read; its next request waits until it does (`outputDrained`).
        isWaitingForOutput = connection.outputCount > Self.pipelinedBytes
        guard !isWaitingForOutput else { return connection.pauseReading() }
        connection.resumeReading()
        switch parser.next() {
        case .needsMore:
            if hasPeerFinished { return connection.close() }
            if parser.takeContinue() { connection.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
            updateDeadline(connection)
        case .request(let request, let persistence):
            if let upgrade = shared.upgrade?(request) {
                switchToWebSocket(upgrade, request, persistence, connection)
            } else {
                start(request, persistence, connection)
            }
        case .failed(let error):
            refuse(error)
        }
    }

    /// A timeout counts from when its phase began, whatever trickles in meanwhile.
    private func updateDeadline(_ connection: Connection) {
        let reached = parser.progress
        guard reached != progress || connection.deadline == nil else { return }
        progress = reached
        let timeout =
            switch reached {
            case .nothing: shared.limits.idleTimeout
            case .head: shared.limits.headerTimeout
            case .body: shared.limits.bodyTimeout
            }
        connection.deadline = connection.reactor.now + timeout
    }

    private func start(
        _ request: HTTPRequest, _ persistence: HTTPRequestParser.Persistence, _ connection: Connection
    ) {
        served += 1
        progress = .nothing
        connection.deadline = nil
        let exchange = Exchange(
            isHead: request.method == "HEAD",
            persistence: served < shared.limits.requestsPerConnection ? persistence : .close)
        let bound = LoopBound(self, on: connection.reactor)
        let handler = shared.handler
        let task = Task {
            let response = await handler(request)
            bound.loop.execute { reactor in bound.value(on: reactor).finished(response) }
        }
        mode = .running(task, exchange)
    }

    private func finished(_ response: HTTPResponse) {
        guard case .running(_, let exchange) = mode, let connection else { return }
        let persistence = shared.isDraining ? .close : exchange.persistence
        let framing = MessageWriter.Framing(
            date: loopState.date(shared.clock), isHead: exchange.isHead, persistence: persistence)
        connection.write(MessageWriter.bytes(of: response, framing))
        shared.answered(response.status)
        guard persistence != .close else {
            mode = .closing
            return connection.close()
        }
        mode = .reading
        _ = count()
        process()
    }

    /// Answers what is no request, and closes: what follows on this connection cannot be trusted.
    private func refuse(_ error: HTTPProtocolError, headers: [(String, String)] = []) {
        guard !isClosing, let connection else { return }
        cancelTask()
        mode = .closing
        let framing = MessageWriter.Framing(
            date: loopState.date(shared.clock), isHead: false, persistence: .close)
        var response = shared.errorResponse(error)
        for (name, value) in headers { response.headers.set(name, value) }
        connection.write(MessageWriter.bytes(of: response, framing))
        shared.refused(error)
        connection.close()
    }

    /// Answers a handshake and leaves the connection to its WebSocket, or refuses it.
    private func switchToWebSocket(
        _ upgrade: WebSocketUpgrade, _ request: HTTPRequest, _ persistence: HTTPRequestParser.Persistence,
        _ connection: Connection
    ) {
        guard !shared.isDraining else { return refuse(HTTPProtocolError(status: 503, text: "the server stops")) }
        // Nobody would tell the stream's handler about an end that has come already.
        guard !hasPeerFinished else { return connection.close() }
        let accept: String
        do {
            accept = try WebSocketHandshake.accept(request, persistence, subprotocol: upgrade.subprotocol)
        } catch {
            return refuse(error.error, headers: error.headers)
        }
        guard let handler = upgrade.makeHandler(connection.reactor) else {
            return refuse(HTTPProtocolError(status: 503, text: "no WebSocket can be taken now"))
        }
        connection.write(
            MessageWriter.switchToWebSocket(
                accept: accept, subprotocol: upgrade.subprotocol, date: loopState.date(shared.clock)))
        // TLS can fail in the write.
        guard connection.isOpen else { return }
        let (shared, loopState) = (self.shared, self.loopState)
        let channel = WebSocketChannel(connection, handler: handler) { channel, reason in
            if case .failed(let error) = reason { shared.connectionFailed(error) }
            loopState.remove(channel)
            shared.webSocketsChanged(by: -1)
        }
        mode = .closing
        release()
        leave()
        loopState.add(channel)
        shared.webSocketsChanged(by: 1)
        channel.begin(parser.takeRest())
    }

    private func cancelTask() {
        if case .running(let task, _) = mode { task.cancel() }
    }

    /// Brings the server's sum of held bytes up to date; false beyond its limit. Bodies that a handler works on count
    /// until it has answered.
    private func count() -> Bool {
        var held = parser.bufferedCount
        if case .running = mode { held = max(held, counted) }
        let change = held - counted
        guard change != 0 else { return true }
        counted = held
        return shared.holdBytes(change)
    }

    // MARK: Shutdown

    /// Closes the connection unless a request is running or arriving.
    func drain() {
        guard case .reading = mode, let connection, parser.progress == .nothing else { return }
        guard served == 0 else { return connection.close() }
        connection.deadline = connection.reactor.now + Self.drainGrace
    }

    func cancelAndAbort() {
        cancelTask()
        connection?.abort()
    }
}
