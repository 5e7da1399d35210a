// A connection for one blocking command at a time.
//
// Cancelling: closing the connection could lose an element that the server has just popped for us. So the server is asked
// to end the wait (CLIENT UNBLOCK, over the ordinary connection), and the lane reads its answer: nothing, or the element.
// Only when that cannot be done is the socket shut down.

private import Dispatch
import ServiceKit
private import Synchronization

final class RedisLane: Sendable {
    private struct Progress {
        var isCancelled = false
        /// While the command is with the server.
        var blockedClient: Int64?
        var breaker: RedisBreaker?
    }

    private let endpoint: RedisEndpoint
    private let configuration: RedisConfiguration
    private let clock: any ServiceClock
    private let queue = DispatchQueue(label: "redis.lane")
    private let handle = Mutex<RedisHandle?>(nil)
    private let progress = Mutex(Progress())

    init(_ endpoint: RedisEndpoint, _ configuration: RedisConfiguration, clock: any ServiceClock) {
        self.endpoint = endpoint
        self.configuration = configuration
        self.clock = clock
    }

    /// Runs a command that the server may hold for `timeout`. The answer may come that much later plus the ordinary time.
    func run(_ request: RedisRequest, timeout: Duration) async throws(StoreError) -> RedisReply {
        let answer: Result<RedisReply, StoreError> = await withCheckedContinuation { continuation in
            queue.async {
                do throws(StoreError) {
                    continuation.resume(returning: .success(try self.exchange(request, timeout)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try answer.get()
    }

    /// Marks the running or next command as cancelled. Returns the client to unblock when the server holds it.
    func cancel() -> Int64? {
        progress.withLock { progress in
            progress.isCancelled = true
            return progress.blockedClient
        }
    }

    var blockedClient: Int64? { progress.withLock { $0.blockedClient } }

    /// The last resort: the command ends with a lost connection.
    func abort() { progress.withLock { $0.breaker }?.trip() }

    func close() async {
        await withCheckedContinuation { continuation in
            queue.async {
                self.handle.withLock { $0 = nil }
                continuation.resume()
            }
        }
    }

    private func exchange(_ request: RedisRequest, _ timeout: Duration) throws(StoreError) -> RedisReply {
        let result: Result<RedisReply, StoreError> = handle.withLock { handle in
            do throws(StoreError) {
                return .success(try exchange(request, timeout, &handle))
            } catch {
                handle = nil
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func exchange(_ request: RedisRequest, _ timeout: Duration, _ handle: inout RedisHandle?)
        throws(StoreError) -> RedisReply
    {
        if handle.map({ !$0.isUsable }) ?? true {
            handle = nil
            handle = try RedisHandle(endpoint, connectTimeout: configuration.connectTimeout, clock: clock)
        }
        guard let handle else { throw RedisErrors.closed(operation: request.operation) }
        let isCancelled = progress.withLock { progress in
            guard !progress.isCancelled else { return true }
            progress.blockedClient = handle.clientID
            progress.breaker = handle.breaker
            return false
        }
        if isCancelled { throw RedisErrors.cancelled(operation: request.operation) }
        defer {
            progress.withLock { progress in
                progress.blockedClient = nil
                progress.breaker = nil
            }
        }
        var exchange = RedisExchange([request])
        let deadline = clock.now + timeout + configuration.commandTimeout
        try handle.run(&exchange, clock: clock) { _ in deadline }
        let reply = exchange.replies[0][0]
        if case .error(let text) = reply { throw RedisErrors.error(text, operation: request.operation) }
        return reply
    }
}
