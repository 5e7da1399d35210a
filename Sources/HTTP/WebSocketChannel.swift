// One WebSocket on its event loop, from the answer 101 on: a stream of bytes for its handler, frames for the client.
//
// Modes: open, then closing (our close frame is written; the connection flushes and waits a moment for the client's,
// see `Connection.close`), then closed. The handler hears of the end as soon as it is certain: when the client's close
// frame or a fault arrives, not only when the last byte is gone.
//
// Back-pressure is the connection's: a handler that pauses gets at most what one read of the socket held. Pings are
// answered in turn; who sends them without reading meets the output limit.

package import ServiceKit
package import Sockets

package final class WebSocketChannel: ByteChannel {
    private let connection: Connection
    private var handler: (any ByteStreamHandler)?
    private var decoder = WebSocketDecoder()
    private var isClosing = false
    private let ended: (WebSocketChannel, CloseReason) -> Void

    /// `ended` is called on the loop when the connection is gone.
    init(
        _ connection: Connection, handler: any ByteStreamHandler,
        ended: @escaping (WebSocketChannel, CloseReason) -> Void
    ) {
        self.connection = connection
        self.handler = handler
        self.ended = ended
    }

    /// Takes the connection over. `rest` came behind the request's head.
    func begin(_ rest: [UInt8]) {
        connection.deadline = nil
        connection.outputLimit = WebSocketLimits.outputBytes
        connection.resumeReading()
        connection.handOver(to: self)
        handler?.opened(self)
        if !rest.isEmpty { received(rest.span, connection) }
    }

    /// Tells both sides that the server stops.
    func goAway() {
        end(WebSocketCloseCode.goingAway, "the server stops", .local)
    }

    // MARK: For the handler

    package var reactor: Reactor { connection.reactor }
    package var outputCount: Int { connection.outputCount }
    package var peer: String { connection.peer }

    package var deadline: Instant? {
        get { connection.deadline }
        set {
            // Once closing, the connection has a deadline of its own.
            if !isClosing { connection.deadline = newValue }
        }
    }

    package var outputLimit: Int {
        get { connection.outputLimit }
        set { connection.outputLimit = newValue }
    }

    package func write(_ bytes: [UInt8]) {
        guard !isClosing, !bytes.isEmpty else { return }
        connection.write(WebSocketFrame.bytes(.binary, bytes))
    }

    package func close() {
        guard !isClosing else { return }
        isClosing = true
        connection.write(WebSocketFrame.close(WebSocketCloseCode.normal))
        connection.close()
    }

    package func abort() {
        isClosing = true
        connection.abort()
    }

    package func pauseReading() { connection.pauseReading() }
    package func resumeReading() { connection.resumeReading() }

    // MARK: The end

    private func end(_ code: UInt16?, _ text: String, _ reason: CloseReason) {
        guard !isClosing else { return }
        isClosing = true
        connection.write(WebSocketFrame.close(code, text))
        connection.close()
        tell(reason)
    }

    private func tell(_ reason: CloseReason) {
        let handler = self.handler
        self.handler = nil
        handler?.closed(reason)
    }
}

extension WebSocketChannel: ConnectionHandler {
    /// It was open before it was handed over.
    package func opened(_ connection: Connection) {}

    package func received(_ bytes: Span<UInt8>, _ connection: Connection) {
        var offset = 0
        while !isClosing, connection.isOpen {
            do throws(WebSocketFault) {
                guard let event = try decoder.next(bytes, from: &offset) else { return }
                handle(event)
            } catch {
                let message = "WebSocket: \(error.text)"
                return end(error.code, error.text, .failed(SocketError(code: .reset, message: message)))
            }
        }
    }

    private func handle(_ event: WebSocketDecoder.Event) {
        switch event {
        case .data(let bytes): handler?.received(bytes.span)
        case .ping(let payload): connection.write(WebSocketFrame.bytes(.pong, payload))
        case .pong: break
        case .close(let code): end(code, "", .peer)
        }
    }

    package func outputDrained(_ connection: Connection) { handler?.outputDrained() }
    package func deadlinePassed(_ connection: Connection) { handler?.deadlinePassed() }

    package func closed(_ connection: Connection, _ reason: CloseReason) {
        isClosing = true
        tell(reason)
        ended(self, reason)
    }
}
