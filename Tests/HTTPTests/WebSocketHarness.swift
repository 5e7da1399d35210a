// A server whose /socket is a WebSocket, the stream behind it, and a client that speaks the protocol by hand.

import ServiceKit
import Sockets
import Synchronization

@testable import HTTP

/// What happened to the streams of a server, for tests to look at; and how they behave.
final class StreamProbe: Sendable {
    struct Seen {
        var received: [UInt8] = []
        var opened = 0
        var reasons: [CloseReason] = []
        var stream: LoopBound<ProbedStream>?
    }

    /// Done when a stream opens.
    let onOpen: @Sendable (any ByteChannel) -> Void
    /// Whether it sends back what it receives.
    let isEcho: Bool
    private let seen = Mutex(Seen())
    let opened = Signal()
    let closed = Signal()

    init(isEcho: Bool = true, onOpen: @escaping @Sendable (any ByteChannel) -> Void = { _ in }) {
        self.isEcho = isEcho
        self.onOpen = onOpen
    }

    var received: [UInt8] { seen.withLock { $0.received } }
    var openedCount: Int { seen.withLock { $0.opened } }
    var reasons: [CloseReason] { seen.withLock { $0.reasons } }

    func note(_ change: (inout Seen) -> Void) { seen.withLock { change(&$0) } }

    /// On the stream's loop; after everything that was to happen there before.
    func onChannel(_ body: @escaping @Sendable (any ByteChannel) -> Void) async {
        await opened.wait()
        guard let stream = seen.withLock({ $0.stream }) else { return }
        await stream.loop.run { reactor in
            if let channel = stream.value(on: reactor).channel { body(channel) }
        }
    }

    /// For `HTTPServer.Configuration`.
    var upgrade: @Sendable (HTTPRequest) -> WebSocketUpgrade? {
        { request in
            guard request.segments == ["$iothub", "websocket"] else { return nil }
            return WebSocketUpgrade(subprotocol: "mqtt") { _ in ProbedStream(self) }
        }
    }
}

final class ProbedStream: ByteStreamHandler {
    private let probe: StreamProbe
    var channel: (any ByteChannel)?

    init(_ probe: StreamProbe) { self.probe = probe }

    func opened(_ channel: any ByteChannel) {
        self.channel = channel
        let bound = LoopBound(self, on: channel.reactor)
        probe.note { seen in
            seen.opened += 1
            seen.stream = bound
        }
        probe.onOpen(channel)
        probe.opened.set()
    }

    func received(_ bytes: Span<UInt8>) {
        let copy = bytes.withUnsafeBufferPointer { Array($0) }
        probe.note { $0.received += copy }
        if probe.isEcho { channel?.write(copy) }
    }

    func outputDrained() {}
    func deadlinePassed() { channel?.close() }

    func closed(_ reason: CloseReason) {
        channel = nil
        probe.note { $0.reasons.append(reason) }
        probe.closed.set()
    }
}

enum WebSocketRequest {
    static let line = "GET /$iothub/websocket HTTP/1.1"
    static let fields = [
        "Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mqtt",
    ]

    static func text(_ line: String = line, _ fields: [String] = fields) -> String {
        ([line] + fields).joined(separator: "\r\n") + "\r\n\r\n"
    }

    /// The fields with one replaced, or taken away when it has no value.
    static func fields(_ name: String, _ value: String?) -> [String] {
        fields.filter { !$0.hasPrefix(name + ":") } + (value.map { ["\(name): \($0)"] } ?? [])
    }
}

extension RawClient {
    /// What came behind the head of the answer, once it is that much or the connection has ended.
    func waitForFrames(bytes count: Int = .max) async throws -> [UInt8] {
        let end = Array("\r\n\r\n".utf8)
        var bytes = try await waitForBytes(1)
        var start = 0
        while !bytes[start...].starts(with: end) {
            if start + end.count < bytes.count {
                start += 1
            } else {
                let more = try await waitForBytes(bytes.count + 1)
                guard more.count > bytes.count else { return [] }
                bytes = more
            }
        }
        start += end.count
        return Array(try await waitForBytes(count == .max ? .max : start + count)[start...])
    }
}
