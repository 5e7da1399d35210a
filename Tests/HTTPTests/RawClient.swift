// A client that sends bytes as they are and collects what comes back, for everything that a proper client never does.

import ServiceKit
import Sockets
import Synchronization

final class RawClient: Sendable {
    struct TimedOut: Error, CustomStringConvertible {
        let received: String
        var description: String { "nothing more within 60 s after: \(received)" }
    }

    private struct State {
        var bytes: [UInt8] = []
        var isOpen = false
        var reason: CloseReason?
        var wanted: (@Sendable ([UInt8], Bool) -> Bool)?
        var continuation: CheckedContinuation<Bool, Never>?
        var connection: LoopBound<Connection>?
    }

    private let state = Mutex(State())
    private let loop: EventLoop

    /// Begins to connect; a failure shows as the end of the connection.
    init(_ address: SocketAddress, tls: TLSContext? = nil, group: EventLoopGroup = .shared) async throws {
        loop = group.next()
        let addresses = try await ResolvedAddress.resolve(address)
        loop.execute { reactor in
            Connection.open(
                to: addresses, on: reactor, tls: tls, serverName: "localhost", timeout: .seconds(30),
                handler: Handler(self))
        }
        _ = try await wait { [self] _, ended in ended || state.withLock { $0.isOpen } }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        onConnection { connection in
            connection.outputLimit = .max
            connection.write(bytes)
        }
    }

    /// Says that nothing follows, as `shutdown(SHUT_WR)`; the answer can still come.
    func finishSending() { onConnection { $0.close() } }
    func abort() { onConnection { $0.abort() } }
    func pauseReading() { onConnection { $0.pauseReading() } }
    func resumeReading() { onConnection { $0.resumeReading() } }

    var received: String { state.withLock { String(decoding: $0.bytes, as: UTF8.self) } }
    var closeReason: CloseReason? { state.withLock { $0.reason } }

    /// Everything received so far, once it contains `text` that often.
    @discardableResult
    func wait(for text: String, times: Int = 1) async throws -> String {
        try await wait { received, _ in
            String(decoding: received, as: UTF8.self).partCount(separatedBy: text) > times
        }
    }

    /// Everything received, once the connection has ended.
    func waitForEnd() async throws -> String {
        try await wait { _, ended in ended }
    }

    /// Everything received, once it is at least so many bytes or the connection has ended.
    func waitForBytes(_ count: Int) async throws -> [UInt8] {
        _ = try await wait { received, ended in ended || received.count >= count }
        return state.withLock { $0.bytes }
    }

    private func wait(_ wanted: @escaping @Sendable ([UInt8], Bool) -> Bool) async throws -> String {
        loop.execute { [self] reactor in
            reactor.schedule(at: reactor.now + .seconds(60)) { [self] _ in settle(timedOut: true) }
        }
        let isThere = await withCheckedContinuation { continuation in
            state.withLock { state in
                precondition(state.continuation == nil, "two waits at once")
                state.wanted = wanted
                state.continuation = continuation
            }
            settle()
        }
        guard isThere else { throw TimedOut(received: received) }
        return received
    }

    private func settle(timedOut: Bool = false) {
        let (wanted, bytes, ended) = state.withLock { state in (state.wanted, state.bytes, state.reason != nil) }
        guard let wanted else { return }
        let isThere = wanted(bytes, ended)
        guard isThere || ended || timedOut else { return }
        let continuation = state.withLock { state in
            defer {
                state.wanted = nil
                state.continuation = nil
            }
            return state.continuation
        }
        continuation?.resume(returning: isThere)
    }

    private func onConnection(_ body: @escaping @Sendable (Connection) -> Void) {
        loop.execute { [self] reactor in
            if let connection = state.withLock({ $0.connection }) { body(connection.value(on: reactor)) }
        }
    }

    private final class Handler: ConnectionHandler {
        private let client: RawClient
        init(_ client: RawClient) { self.client = client }

        func opened(_ connection: Connection) {
            client.state.withLock { state in
                state.connection = LoopBound(connection, on: connection.reactor)
                state.isOpen = true
            }
            client.settle()
        }

        func received(_ bytes: Span<UInt8>, _ connection: Connection) {
            bytes.withUnsafeBufferPointer { bytes in
                client.state.withLock { $0.bytes.append(contentsOf: bytes) }
            }
            client.settle()
        }

        func closed(_ connection: Connection, _ reason: CloseReason) {
            client.state.withLock { state in
                state.reason = reason
                state.connection = nil
            }
            client.settle()
        }
    }
}

extension String {
    /// Parts between occurrences of `separator`, counted.
    fileprivate func partCount(separatedBy separator: String) -> Int {
        var count = 1
        var rest = Array(utf8)[...]
        let wanted = Array(separator.utf8)
        while rest.count >= wanted.count {
            if rest.starts(with: wanted) {
                count += 1
                rest = rest.dropFirst(wanted.count)
            } else {
                rest = rest.dropFirst()
            }
        }
        return count
    }
}
