// One request and its answer on their way through the client: shared by the caller's task, a connection's loop, a timer
// and a cancellation, of which exactly one ends it.

internal import Sockets
private import Synchronization

final class HTTPClientExchange: Sendable {
    typealias Outcome = Result<HTTPResponse, HTTPClientError>

    private struct State {
        var continuation: CheckedContinuation<Outcome, Never>?
        /// Set when the exchange ended before it began.
        var outcome: Outcome?
        var hasEnded = false
        /// The request's first byte has been handed to a socket: from here on it may have been processed.
        var wasSent = false
        var hasBeenRepeated = false
        var timer: Reactor.TimerID?
        /// Drops the connection that works on it.
        var abandon: (@Sendable () -> Void)?
    }

    let bytes: [UInt8]
    let isHead: Bool
    private let isIdempotent: Bool
    private let state = Mutex(State())

    init(_ request: HTTPClientRequest, bytes: [UInt8]) {
        self.bytes = bytes
        isHead = request.method == "HEAD"
        isIdempotent = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"].contains(request.method)
    }

    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    func begin(_ continuation: CheckedContinuation<Outcome, Never>) {
        let outcome = state.withLock { state in
            if state.outcome == nil { state.continuation = continuation }
            return state.outcome
        }
        if let outcome { continuation.resume(returning: outcome) }
    }

    func succeed(_ response: HTTPResponse) { end { _ in .success(response) } }

    func fail(_ failure: HTTPClientFailure) { end { .failure(failure.error(wasSent: $0)) } }

    /// A connection begins to work on it; false when it has ended meanwhile. `abandon` is called when it ends without
    /// the connection's doing.
    func assign(abandon: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            guard !state.hasEnded else { return false }
            state.wasSent = true
            state.abandon = abandon
            return true
        }
    }

    /// True once, for a request that may be sent again after a kept-alive connection was found closed.
    func mayRepeat() -> Bool {
        state.withLock { state in
            guard !state.hasEnded, isIdempotent, !state.hasBeenRepeated else { return false }
            state.hasBeenRepeated = true
            state.abandon = nil
            return true
        }
    }

    func setTimer(_ timer: Reactor.TimerID) { state.withLock { $0.timer = timer } }

    func takeTimer() -> Reactor.TimerID? {
        state.withLock { state in
            defer { state.timer = nil }
            return state.timer
        }
    }

    private func end(_ outcome: (_ wasSent: Bool) -> Outcome) {
        let (continuation, abandon, ended) = state.withLock { state in
            guard !state.hasEnded else { return (nil, nil, nil) as EndParts }
            state.hasEnded = true
            let ended = outcome(state.wasSent)
            if state.continuation == nil { state.outcome = ended }
            defer {
                state.continuation = nil
                state.abandon = nil
            }
            return (state.continuation, state.abandon, ended)
        }
        abandon?()
        if let ended { continuation?.resume(returning: ended) }
    }

    private typealias EndParts = (CheckedContinuation<Outcome, Never>?, (@Sendable () -> Void)?, Outcome?)
}
