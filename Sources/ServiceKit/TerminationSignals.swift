// SIGTERM and SIGINT as something to wait for. The first asks the process to end in order; the second ends it at once,
// which is safe at any time: leases run out and the work goes on elsewhere.

private import Foundation
private import Synchronization

package final class TerminationSignals: Sendable {
    /// What a process ends with at the second signal: the shell's number for Ctrl-C.
    package static let secondSignalExitCode: Int32 = 130

    private struct State {
        var received = 0
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())
    /// Kept alive, and touched by nobody after `init`.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    /// From now on the two signals no longer end the process by themselves. `second` runs at the second one and must not
    /// return.
    package init(second: @escaping @Sendable () -> Void) {
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        for source in sources {
            source.setEventHandler { [weak self] in self?.receive(second) }
            source.resume()
        }
    }

    private func receive(_ second: @Sendable () -> Void) {
        let (count, waiter) = state.withLock { state in
            state.received += 1
            defer { state.waiter = nil }
            return (state.received, state.waiter)
        }
        waiter?.resume()
        if count > 1 { second() }
    }

    /// Returns at the first signal, or at once if it has come. One caller only.
    package func first() async {
        await withCheckedContinuation { continuation in
            let isReceived = state.withLock { state in
                if state.received == 0 { state.waiter = continuation }
                return state.received > 0
            }
            if isReceived { continuation.resume() }
        }
    }

    /// Runs `body` until it ends by itself or a signal comes; then it is cancelled and awaited.
    package func run(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let task = Task { try await body() }
        let watcher = Task {
            await first()
            task.cancel()
        }
        defer { watcher.cancel() }
        try await task.value
    }
}
