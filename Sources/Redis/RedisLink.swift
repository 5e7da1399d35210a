// The connection for ordinary commands, shared by all callers: while one round trip is under way, further calls queue up
// and then travel together. That gives pipelining without anybody asking for it, and keeps the order of calls.
//
// One queue drains; `Shared` is the only state that callers touch. A request that waits can still be cancelled or run out
// of time without effect; once in an exchange it is answered, or its effect is unknown.

private import Dispatch
import JSON
import ServiceKit
private import Synchronization

final class RedisLink: Sendable {
    typealias Answer = Result<[RedisReply], StoreError>

    private struct Waiting {
        let id: UInt64
        let request: RedisRequest
        let deadline: Instant
        let continuation: CheckedContinuation<Answer, Never>
    }

    private struct Shared {
        var waiting: [Waiting] = []
        var lastID: UInt64 = 0
        var isDraining = false
        var isClosed = false
        var runID: String?
    }

    /// Requests and bytes of one exchange: enough to fill a round trip, few enough that nobody waits for many others.
    private static let exchangeRequestsMax = 1_000
    private static let exchangeBytesMax = 1 << 20

    private let endpoint: RedisEndpoint
    private let configuration: RedisConfiguration
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private let queue = DispatchQueue(label: "redis.link")
    private let shared = Mutex(Shared())
    /// Used by the queue alone; the lock is there for `close`.
    private let connection = Mutex(Connection())

    private struct Connection {
        var handle: RedisHandle?
        var backoff = Backoff(initial: .milliseconds(20), maximum: .seconds(1))
    }

    init(
        _ endpoint: RedisEndpoint, _ configuration: RedisConfiguration, clock: any ServiceClock,
        random: any RandomSource, log: Log
    ) {
        self.endpoint = endpoint
        self.configuration = configuration
        self.clock = clock
        self.random = random
        self.log = log
    }

    var runID: String? { shared.withLock { $0.runID } }

    func submit(_ request: RedisRequest, timeout: Duration) async throws(StoreError) -> [RedisReply] {
        if Task.isCancelled { throw RedisErrors.cancelled(operation: request.operation) }
        let deadline = clock.now + timeout
        let id = shared.withLock { shared in
            shared.lastID += 1
            return shared.lastID
        }
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                append(Waiting(id: id, request: request, deadline: deadline, continuation: continuation))
                // The cancellation handler may have run before the request was there.
                if Task.isCancelled { abandon(id) }
            }
        } onCancel: {
            abandon(id)
        }
        return try answer.get()
    }

    /// Refuses what waits, lets a running exchange end, and closes the connection.
    func close() async {
        let waiting = shared.withLock { shared in
            shared.isClosed = true
            defer { shared.waiting = [] }
            return shared.waiting
        }
        for one in waiting {
            one.continuation.resume(returning: .failure(RedisErrors.closed(operation: one.request.operation)))
        }
        await withCheckedContinuation { continuation in
            queue.async {
                self.connection.withLock { $0.handle = nil }
                continuation.resume()
            }
        }
    }

    private func append(_ one: Waiting) {
        let operation = one.request.operation
        let (refusal, starts): (StoreError?, Bool) = shared.withLock { shared in
            if shared.isClosed { return (RedisErrors.closed(operation: operation), false) }
            guard shared.waiting.count < configuration.maximumPending else {
                return (
                    StoreError(
                        code: .unavailable, effect: .none, operation: operation,
                        message: "\(configuration.maximumPending) calls wait for Redis already"), false
                )
            }
            shared.waiting.append(one)
            defer { shared.isDraining = true }
            return (nil, !shared.isDraining)
        }
        if let refusal { one.continuation.resume(returning: .failure(refusal)) }
        if starts { queue.async { self.drain() } }
    }

    private func abandon(_ id: UInt64) {
        let one: Waiting? = shared.withLock { shared in
            shared.waiting.firstIndex { $0.id == id }.map { shared.waiting.remove(at: $0) }
        }
        guard let one else { return }
        one.continuation.resume(returning: .failure(RedisErrors.cancelled(operation: one.request.operation)))
    }

    // MARK: on the queue

    private func drain() {
        while hasWork() {
            let pause = connection.withLock { connection -> Duration? in
                do throws(StoreError) {
                    try connect(&connection)
                    exchange(&connection)
                    return nil
                } catch {
                    let pause = connection.backoff.next(random)
                    refuse(error, before: clock.now + pause)
                    return pause
                }
            }
            if let pause {
                Task {
                    do {
                        try await self.clock.sleep(for: pause)
                    } catch {
                        // Nobody cancels this task; a clock that stops early only makes the next attempt earlier.
                    }
                    self.queue.async { self.drain() }
                }
                return
            }
        }
    }

    private func hasWork() -> Bool {
        shared.withLock { shared in
            shared.isDraining = !shared.waiting.isEmpty
            return shared.isDraining
        }
    }

    private func connect(_ connection: inout Connection) throws(StoreError) {
        if let handle = connection.handle, handle.isUsable { return }
        let isReconnect = connection.handle != nil
        connection.handle = nil
        let handle = try RedisHandle(endpoint, connectTimeout: configuration.connectTimeout, clock: clock)
        connection.backoff.reset()
        connection.handle = handle
        shared.withLock { $0.runID = handle.runID }
        if isReconnect { log.info("redis_reconnected", [("run_id", .string(handle.runID))]) }
    }

    /// After a failed attempt: those whose time is over before the next one get its error; all of them get a fatal one.
    private func refuse(_ error: StoreError, before next: Instant) {
        let refused = shared.withLock { shared in
            let refused = shared.waiting.filter { !error.isTransient || $0.deadline <= next }
            shared.waiting.removeAll { !error.isTransient || $0.deadline <= next }
            return refused
        }
        for one in refused {
            one.continuation.resume(
                returning: .failure(
                    StoreError(
                        code: error.code, effect: .none, operation: one.request.operation,
                        serverCode: error.serverCode, message: error.message)))
        }
    }

    private func take() -> [Waiting] {
        shared.withLock { shared in
            var bytes = 0
            var count = 0
            while count < min(shared.waiting.count, Self.exchangeRequestsMax), bytes < Self.exchangeBytesMax {
                bytes += shared.waiting[count].request.bytes.count
                count += 1
            }
            defer { shared.waiting.removeFirst(count) }
            return Array(shared.waiting[..<count])
        }
    }

    private func exchange(_ connection: inout Connection) {
        var batch: [Waiting] = []
        for one in take() {
            if one.deadline > clock.now {
                batch.append(one)
            } else {
                one.continuation.resume(
                    returning: .failure(RedisErrors.timedOut(operation: one.request.operation, hasLeft: false)))
            }
        }
        guard let handle = connection.handle, !batch.isEmpty else { return }
        var exchange = RedisExchange(batch.map(\.request))
        var failure: StoreError?
        do {
            try handle.run(&exchange, clock: clock) { exchange in
                batch[exchange.answered...].lazy.map(\.deadline).min() ?? clock.now
            }
        } catch {
            failure = error
            connection.handle = nil
        }
        if exchange.replies.contains(where: { $0.contains(where: Self.spoilsConnection) }) { connection.handle = nil }
        let answered = exchange.answered
        for (index, one) in batch.enumerated() {
            guard let failure, index >= answered else {
                one.continuation.resume(returning: .success(exchange.replies[index]))
                continue
            }
            let operation = one.request.operation
            let hasLeft = exchange.hasLeft(index)
            let isLate = failure.code == .timeout && one.deadline <= clock.now
            one.continuation.resume(
                returning: .failure(
                    isLate
                        ? RedisErrors.timedOut(operation: operation, hasLeft: hasLeft)
                        : RedisErrors.lost(operation: operation, hasLeft: hasLeft, message: failure.message)))
        }
    }

    private static func spoilsConnection(_ reply: RedisReply) -> Bool {
        guard case .error(let text) = reply else { return false }
        return !RedisErrors.leavesConnectionUsable(word: RedisErrors.word(text))
    }
}
