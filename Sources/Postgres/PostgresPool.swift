// The pool: what the stores call. It lends out connections, bounds those who wait, and measures.
//
// Every call ends by its deadline (the caller's timeout or the configuration's), which covers the wait for a connection,
// a reconnect and the answer. Cancelling the calling task ends it as `.cancelled` while nothing was sent; once the request
// has left, the answer is waited for, because an answer nobody reads is an unknown effect.

package import ServiceKit
private import Synchronization

package final class PostgresPool: Sendable {
    private typealias Waiter = CheckedContinuation<Result<PostgresConnection, StoreError>, Never>

    private struct Shared {
        var pool: PoolState<PostgresConnection>
        var waiters: [UInt64: Waiter] = [:]
        var lastWaiter: UInt64 = 0
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    package let configuration: PostgresConfiguration
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private let metrics: Metrics
    private let shared: Mutex<Shared>

    /// Opens no connection yet.
    package init(
        _ configuration: PostgresConfiguration, clock: any ServiceClock, random: any RandomSource, log: Log,
        metrics: Metrics
    ) {
        self.configuration = configuration
        self.clock = clock
        self.random = random
        self.log = log
        self.metrics = metrics
        shared = Mutex(
            Shared(
                pool: PoolState(
                    connectionsMax: configuration.maximumConnections, waitersMax: configuration.maximumWaiters)))
    }

    /// One statement in a transaction of its own.
    @discardableResult
    package func run(_ statement: Statement, _ parameters: [Parameter] = [], timeout: Duration? = nil)
        async throws(StoreError) -> Rows
    {
        let deadline = deadline(timeout)
        return try await measured(statement.name) { connection throws(StoreError) in
            try await connection.run(statement, parameters, deadline: deadline)
        } deadline: {
            deadline
        }
    }

    /// All steps in one round trip and one transaction: all happen or none. One result for each step.
    @discardableResult
    package func runAtomically(_ steps: [(Statement, [Parameter])], timeout: Duration? = nil)
        async throws(StoreError) -> [Rows]
    {
        guard !steps.isEmpty else { return [] }
        let deadline = deadline(timeout)
        return try await measured(steps.map(\.0.name).joined(separator: "+")) { connection throws(StoreError) in
            try await connection.runAtomically(steps, deadline: deadline)
        } deadline: {
            deadline
        }
    }

    /// `COPY … FROM STDIN` in a transaction of its own; see `CopyText` for rows. Returns the number of rows.
    package func copyIn(
        _ statement: Statement, rows: some Sequence<[UInt8]> & Sendable, timeout: Duration? = nil
    ) async throws(StoreError) -> Int {
        let deadline = deadline(timeout)
        return try await measured(statement.name) { connection throws(StoreError) in
            try await connection.copyIn(statement, chunks: rows, deadline: deadline)
        } deadline: {
            deadline
        }
    }

    /// BEGIN, the body, COMMIT. A throwing body rolls back and its error is passed on. A StoreError of the commit itself
    /// has effect `unknown` when its answer was lost. `timeout` is for each statement, not for the whole; a connection is
    /// waited for no longer than the configuration's timeout, as a server that is away is no long statement.
    package func transaction<Value: Sendable>(
        _ isolation: Isolation = .readCommitted, timeout: Duration? = nil,
        _ body: (PostgresTransaction) async throws -> Value
    ) async throws -> Value {
        let timeout = timeout ?? configuration.statementTimeout
        let beginning = Deadline(clock, after: min(timeout, configuration.statementTimeout))
        let connection = try await acquire(beginning, "begin")
        defer { release(connection) }
        try await connection.begin(isolation, deadline: beginning)
        let value: Value
        do {
            value = try await body(
                PostgresTransaction(connection: connection, clock: clock, statementTimeout: timeout))
        } catch {
            await connection.rollBack(deadline: Deadline(clock, after: timeout))
            throw error
        }
        do {
            try await connection.commit(deadline: Deadline(clock, after: timeout))
        } catch {
            count(error)
            throw error
        }
        return value
    }

    /// Refuses new calls and waiters, waits for the running ones, closes all connections. May be called again.
    package func close() async {
        let (idle, waiters) = shared.withLock { shared in
            let (idle, ids) = shared.pool.close()
            return (idle, ids.compactMap { shared.waiters.removeValue(forKey: $0) })
        }
        for waiter in waiters { waiter.resume(returning: .failure(closedError("close"))) }
        for connection in idle { await connection.close() }
        await withCheckedContinuation { continuation in
            let isDone = shared.withLock { shared in
                if shared.pool.inUse == 0 { return true }
                shared.closers.append(continuation)
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    // MARK: lending

    private func deadline(_ timeout: Duration?) -> Deadline {
        Deadline(clock, after: timeout ?? configuration.statementTimeout)
    }

    private func measured<Value>(
        _ operation: String, _ body: (PostgresConnection) async throws(StoreError) -> Value,
        deadline: () -> Deadline
    ) async throws(StoreError) -> Value {
        let start = clock.now
        do {
            let connection = try await acquire(deadline(), operation)
            defer { release(connection) }
            let value = try await body(connection)
            metrics.observe(
                "muster_postgres_statement_seconds", "Time from call to answer, waits included", clock.now - start,
                labels: [("statement", operation)])
            return value
        } catch {
            count(error)
            throw error
        }
    }

    private func count(_ error: any Error) {
        guard let error = error as? StoreError else { return }
        metrics.count(
            "muster_postgres_errors_total", "Failed statements by code and effect",
            labels: [("code", error.code.rawValue), ("effect", error.effect.rawValue)])
    }

    private func acquire(_ deadline: Deadline, _ operation: String) async throws(StoreError) -> PostgresConnection {
        if Task.isCancelled { throw PostgresErrors.cancelled(operation: operation) }
        let id = shared.withLock { shared in
            shared.lastWaiter += 1
            return shared.lastWaiter
        }
        let timer = Mutex<Task<Void, Never>?>(nil)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if lend(to: id, continuation, operation) {
                    let pause = deadline.remaining
                    timer.withLock { timer in
                        timer = Task { await self.expire(id, after: pause, operation) }
                    }
                }
                // The cancellation handler may have run before the waiter was there.
                if Task.isCancelled { abandon(id, PostgresErrors.cancelled(operation: operation)) }
            }
        } onCancel: {
            abandon(id, PostgresErrors.cancelled(operation: operation))
        }
        timer.withLock { $0?.cancel() }
        return try result.get()
    }

    /// Answers at once when it can; true when the caller has to wait.
    private func lend(to id: UInt64, _ waiter: Waiter, _ operation: String) -> Bool {
        let acquisition = shared.withLock { shared in
            let acquisition = shared.pool.acquire(id)
            if case .wait = acquisition { shared.waiters[id] = waiter }
            return acquisition
        }
        switch acquisition {
        case .use(let connection):
            waiter.resume(returning: .success(connection))
        case .create:
            waiter.resume(
                returning: .success(
                    PostgresConnection(configuration, clock: clock, random: random, log: log)))
        case .wait:
            return true
        case .refused:
            waiter.resume(
                returning: .failure(
                    StoreError(
                        code: .unavailable, effect: .none, operation: operation,
                        message: "\(configuration.maximumWaiters) callers wait for a connection already")))
        case .closed:
            waiter.resume(returning: .failure(closedError(operation)))
        }
        return false
    }

    private func expire(_ id: UInt64, after pause: Duration, _ operation: String) async {
        do {
            try await clock.sleep(for: pause)
        } catch {
            return  // The waiter was served.
        }
        abandon(
            id,
            StoreError(
                code: .timeout, effect: .none, operation: operation,
                message: "all \(configuration.maximumConnections) connections stayed in use"))
    }

    private func abandon(_ id: UInt64, _ error: StoreError) {
        let waiter = shared.withLock { shared in
            shared.pool.abandon(id) ? shared.waiters.removeValue(forKey: id) : nil
        }
        waiter?.resume(returning: .failure(error))
    }

    private func release(_ connection: PostgresConnection) {
        let (waiter, isDiscarded, closers) = shared.withLock { shared in
            switch shared.pool.release(connection) {
            case .handOver(let id, _):
                return (shared.waiters.removeValue(forKey: id), false, [CheckedContinuation<Void, Never>]())
            case .keep:
                return (nil, false, [])
            case .discard(let isLast):
                defer { if isLast { shared.closers = [] } }
                return (nil, true, isLast ? shared.closers : [])
            }
        }
        waiter?.resume(returning: .success(connection))
        guard isDiscarded else { return }
        Task {
            await connection.close()
            for closer in closers { closer.resume() }
        }
    }

    private func closedError(_ operation: String) -> StoreError {
        StoreError(code: .unavailable, effect: .none, operation: operation, message: "the pool is closed")
    }
}
