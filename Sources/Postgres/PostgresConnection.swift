// One place of the pool: a connection on an executor of its own, which opens it again after a loss. At any moment one
// caller holds it, so nothing here interleaves.

import JSON
import ServiceKit

actor PostgresConnection {
    private nonisolated let executor: QueueExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let configuration: PostgresConfiguration
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private var handle: ConnectionHandle?
    private var hasConnected = false
    /// That the first connection does not come about is said once: whoever waits at a terminal should know why.
    private var hasReported = false

    init(_ configuration: PostgresConfiguration, clock: any ServiceClock, random: any RandomSource, log: Log) {
        executor = QueueExecutor(label: "postgres.connection")
        self.configuration = configuration
        self.clock = clock
        self.random = random
        self.log = log
    }

    func close() { handle = nil }

    /// Connects if need be and runs one statement. A plan that the server no longer accepts is prepared anew, once, on
    /// a new connection: that failure has no effect.
    func run(_ statement: Statement, _ parameters: [Parameter], deadline: Deadline) async throws(StoreError) -> Rows {
        let keepsPrepared = configuration.preparedStatements && statement.isPrepared
        do {
            return try await connected(deadline, statement.name)
                .run(statement, parameters, keepsPrepared: keepsPrepared, deadline: deadline)
        } catch {
            guard keepsPrepared, isStalePlan(error) else { throw error }
            handle = nil
            return try await connected(deadline, statement.name)
                .run(statement, parameters, keepsPrepared: keepsPrepared, deadline: deadline)
        }
    }

    func runAtomically(_ steps: [(Statement, [Parameter])], deadline: Deadline) async throws(StoreError) -> [Rows] {
        let keepsPrepared = configuration.preparedStatements
        let operation = steps.map(\.0.name).joined(separator: "+")
        do {
            return try await connected(deadline, operation)
                .runAtomically(steps, keepsPrepared: keepsPrepared, deadline: deadline)
        } catch {
            guard keepsPrepared, isStalePlan(error) else { throw error }
            handle = nil
            return try await connected(deadline, operation)
                .runAtomically(steps, keepsPrepared: keepsPrepared, deadline: deadline)
        }
    }

    func copyIn(_ statement: Statement, chunks: some Sequence<[UInt8]> & Sendable, deadline: Deadline)
        async throws(StoreError) -> Int
    {
        try await connected(deadline, statement.name).copyIn(statement, chunks: chunks, deadline: deadline)
    }

    // MARK: explicit transactions

    func begin(_ isolation: Isolation, deadline: Deadline) async throws(StoreError) {
        let handle = try await connected(deadline, "begin")
        if Task.isCancelled { throw PostgresErrors.cancelled(operation: "begin") }
        _ = try handle.runScript(isolation.begin, operation: "begin", deadline: deadline)
    }

    func runInTransaction(_ statement: Statement, _ parameters: [Parameter], deadline: Deadline)
        throws(StoreError) -> Rows
    {
        let keepsPrepared = configuration.preparedStatements && statement.isPrepared
        do {
            return try open(statement.name)
                .run(statement, parameters, keepsPrepared: keepsPrepared, deadline: deadline)
        } catch {
            throw settled(error)
        }
    }

    func runScriptInTransaction(_ text: String, operation: String, deadline: Deadline) throws(StoreError) -> Rows {
        let handle = try open(operation)
        if Task.isCancelled { throw PostgresErrors.cancelled(operation: operation) }
        do {
            return try handle.runScript(text, operation: operation, deadline: deadline)
        } catch {
            throw settled(error)
        }
    }

    func copyInTransaction(_ statement: Statement, chunks: some Sequence<[UInt8]> & Sendable, deadline: Deadline)
        throws(StoreError) -> Int
    {
        do {
            return try open(statement.name).copyIn(statement, chunks: chunks, deadline: deadline)
        } catch {
            throw settled(error)
        }
    }

    /// Throws `.fatal` when a statement had failed and the body went on regardless: the server rolls back then.
    func commit(deadline: Deadline) throws(StoreError) {
        let handle = try open("commit")
        if Task.isCancelled {
            rollBack(deadline: deadline)
            throw PostgresErrors.cancelled(operation: "commit")
        }
        let rows = try handle.runScript("COMMIT", operation: "commit", isCommit: true, deadline: deadline)
        guard rows.command == "COMMIT" else {
            throw StoreError(
                code: .fatal, effect: .none, operation: "commit",
                message: "the transaction had failed before it was committed; the server rolled it back")
        }
    }

    /// Never refuses: when the server cannot be told, closing the connection rolls back as well.
    func rollBack(deadline: Deadline) {
        guard let handle else { return }
        do {
            _ = try handle.runScript("ROLLBACK", operation: "rollback", deadline: deadline)
        } catch {
            self.handle = nil
        }
        if !handle.isUsable() { self.handle = nil }
    }

    // MARK: connecting

    private func open(_ operation: String) throws(StoreError) -> ConnectionHandle {
        guard let handle, !handle.isBroken else {
            throw StoreError(
                code: .unavailable, effect: .none, operation: operation,
                message: "the connection of this transaction is lost")
        }
        return handle
    }

    /// An uncommitted statement has no effect, whatever became of its answer: the transaction cannot commit any more.
    private func settled(_ error: StoreError) -> StoreError {
        guard error.effect == .unknown else { return error }
        handle = nil
        return StoreError(
            code: error.code, effect: .none, operation: error.operation, serverCode: error.serverCode,
            constraint: error.constraint, message: error.message)
    }

    private func isStalePlan(_ error: StoreError) -> Bool {
        error.effect == .none && error.serverCode.map(PostgresErrors.isStalePlan(sqlState:)) ?? false
    }

    /// A connection that can take a request; waits for the server with growing pauses until the deadline.
    private func connected(_ deadline: Deadline, _ operation: String) async throws(StoreError) -> ConnectionHandle {
        if let handle, handle.isUsable() { return handle }
        handle = nil
        var backoff = Backoff(initial: .milliseconds(20), maximum: .seconds(1))
        while true {
            if Task.isCancelled { throw PostgresErrors.cancelled(operation: operation) }
            do {
                let fresh = try ConnectionHandle(
                    configuration, deadline: deadline.atMost(configuration.connectTimeout))
                handle = fresh
                if hasConnected { log.info("postgres_reconnected") }
                hasConnected = true
                return fresh
            } catch {
                let pause = backoff.next(random)
                guard error.isTransient, pause < deadline.remaining else { throw error }
                if !hasConnected, !hasReported { log.warning("postgres_unreachable", [("error", .string("\(error)"))]) }
                hasReported = true
                do {
                    try await clock.sleep(for: pause)
                } catch {
                    throw PostgresErrors.cancelled(operation: operation)
                }
            }
        }
    }
}
