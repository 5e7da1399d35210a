// Requests on one connection: send, flush, read to the end. After each of them the connection is idle again or marked
// as broken; a request never leaves answers behind for the next one.

private import CLibPQ
import ServiceKit

extension ConnectionHandle {
    /// Statements that a connection keeps prepared at most; then it forgets all and starts again. Far more than the
    /// product has, so only compiled statements get there.
    private static let preparedMax = 256

    /// One statement with parameters: extended protocol, one implicit transaction unless a BEGIN is open.
    func run(_ statement: Statement, _ parameters: [Parameter], keepsPrepared: Bool, deadline: Deadline)
        throws(StoreError) -> Rows
    {
        let operation = statement.name
        let encoded = try EncodedParameters(parameters, operation: operation)
        var deadline = deadline
        if keepsPrepared { try prepare(statement, deadline: &deadline) }
        try checkCancellation(operation)
        var progress = PostgresErrors.Progress()
        guard send(statement, encoded, isPrepared: keepsPrepared) else { throw lost(progress, operation) }
        try flush(&progress, operation: operation, deadline: &deadline)
        return try lastRows(&progress, operation, &deadline)
    }

    /// Text without parameters, several statements allowed: simple protocol. `isCommit` when it ends a transaction.
    func runScript(_ text: String, operation: String, isCommit: Bool = false, deadline: Deadline)
        throws(StoreError) -> Rows
    {
        var deadline = deadline
        var progress = PostgresErrors.Progress(isCommit: isCommit)
        guard PQsendQuery(raw, text) == 1 else { throw lost(progress, operation) }
        try flush(&progress, operation: operation, deadline: &deadline)
        return try lastRows(&progress, operation, &deadline)
    }

    /// All steps in one round trip and one implicit transaction: the only Sync, which commits, stands at the end.
    func runAtomically(_ steps: [(Statement, [Parameter])], keepsPrepared: Bool, deadline: Deadline)
        throws(StoreError) -> [Rows]
    {
        var encoded: [EncodedParameters] = []
        for (statement, parameters) in steps {
            encoded.append(try EncodedParameters(parameters, operation: statement.name))
        }
        var deadline = deadline
        if keepsPrepared {
            for (statement, _) in steps where statement.isPrepared { try prepare(statement, deadline: &deadline) }
        }
        let operation = steps.map(\.0.name).joined(separator: "+")
        try checkCancellation(operation)
        var progress = PostgresErrors.Progress()
        guard PQenterPipelineMode(raw) == 1 else { throw lost(progress, operation) }
        for (step, parameters) in zip(steps, encoded) {
            guard send(step.0, parameters, isPrepared: keepsPrepared && step.0.isPrepared) else {
                throw lost(progress, operation)
            }
        }
        guard PQpipelineSync(raw) == 1 else { throw lost(progress, operation) }
        try flush(&progress, operation: operation, deadline: &deadline)
        let rows = try pipelineRows(steps.map(\.0.name), &progress, operation, &deadline)
        guard PQexitPipelineMode(raw) == 1 else { throw lost(progress, operation) }
        return rows
    }

    /// COPY … FROM STDIN. `chunks` may cut the data anywhere. Returns the number of rows.
    func copyIn(_ statement: Statement, chunks: some Sequence<[UInt8]>, deadline: Deadline) throws(StoreError) -> Int {
        let operation = statement.name
        var deadline = deadline
        var progress = PostgresErrors.Progress()
        try checkCancellation(operation)
        guard PQsendQuery(raw, statement.text) == 1 else { throw lost(progress, operation) }
        try flush(&progress, operation: operation, deadline: &deadline)
        // Until CopyDone has left the server cannot commit.
        progress.hasLeft = false
        try awaitResult(progress, operation: operation, deadline: &deadline)
        guard let start = PQgetResult(raw) else { throw lost(progress, operation) }
        let isOpen = PQresultStatus(start) == PGRES_COPY_IN
        let refusal = isOpen ? nil : failure(start, progress, operation)
        PQclear(start)
        guard isOpen else {
            let ended = try drain(&progress, operation, &deadline).failure
            throw refusal ?? ended
                ?? StoreError(code: .fatal, effect: .none, operation: operation, message: "no COPY FROM STDIN")
        }
        for chunk in chunks {
            while true {
                let taken = chunk.withUnsafeBytes { bytes in
                    PQputCopyData(raw, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
                }
                if taken < 0 { throw lost(progress, operation) }
                // libpq buffers without a bound when it may; flushing after each chunk bounds it to one.
                try flush(&progress, operation: operation, deadline: &deadline)
                progress.hasLeft = false
                if taken == 1 { break }
            }
        }
        while true {
            let taken = PQputCopyEnd(raw, nil)
            if taken < 0 { throw lost(progress, operation) }
            try flush(&progress, operation: operation, deadline: &deadline)
            if taken == 1 { break }
            progress.hasLeft = false
        }
        return try lastRows(&progress, operation, &deadline).affected
    }

    private func prepare(_ statement: Statement, deadline: inout Deadline) throws(StoreError) {
        guard !prepared.contains(statement.preparedName) else { return }
        let operation = statement.name
        if prepared.count >= Self.preparedMax {
            _ = try runScript("DEALLOCATE ALL", operation: operation, deadline: deadline)
            prepared.removeAll()
        }
        var progress = PostgresErrors.Progress()
        guard PQsendPrepare(raw, statement.preparedName, statement.text, 0, nil) == 1 else {
            throw lost(progress, operation)
        }
        try flush(&progress, operation: operation, deadline: &deadline)
        // Preparing changes nothing that anybody else sees: whatever happens now, the statement itself did not run.
        progress.hasLeft = false
        _ = try lastRows(&progress, operation, &deadline)
        prepared.insert(statement.preparedName)
    }

    private func send(_ statement: Statement, _ encoded: EncodedParameters, isPrepared: Bool) -> Bool {
        encoded.withPointers { count, values, lengths, formats in
            isPrepared
                ? PQsendQueryPrepared(raw, statement.preparedName, count, values, lengths, formats, 0) == 1
                : PQsendQueryParams(raw, statement.text, count, nil, values, lengths, formats, 0) == 1
        }
    }

    private func checkCancellation(_ operation: String) throws(StoreError) {
        if Task.isCancelled { throw PostgresErrors.cancelled(operation: operation) }
    }

    private func lastRows(_ progress: inout PostgresErrors.Progress, _ operation: String, _ deadline: inout Deadline)
        throws(StoreError) -> Rows
    {
        let (rows, failure) = try drain(&progress, operation, &deadline)
        if let failure { throw failure }
        guard let rows else { throw lost(progress, operation) }
        return rows
    }

    /// Reads to the end of one request: the last rows, or the first failure.
    private func drain(_ progress: inout PostgresErrors.Progress, _ operation: String, _ deadline: inout Deadline)
        throws(StoreError) -> (rows: Rows?, failure: StoreError?)
    {
        var rows: Rows?
        var failure: StoreError?
        while true {
            try awaitResult(progress, operation: operation, deadline: &deadline)
            guard let result = PQgetResult(raw) else { break }
            if let error = self.failure(result, progress, operation) {
                failure = failure ?? error
                PQclear(result)
                // A COPY that nobody feeds or reads never ends by itself.
                if error.code == .fatal, isInCopy { markBroken() }
                if isBrokenForReading { break }
            } else {
                progress.isAnswered = true
                rows = Rows(owning: result, operation: operation)
            }
        }
        if PQstatus(raw) == CONNECTION_BAD { markBroken() }
        return (rows, failure)
    }

    /// The results of a pipeline up to its Sync: one of each step, or the first failure.
    private func pipelineRows(
        _ names: [String], _ progress: inout PostgresErrors.Progress, _ operation: String, _ deadline: inout Deadline
    ) throws(StoreError) -> [Rows] {
        var rows: [Rows] = []
        var failure: StoreError?
        while true {
            try awaitResult(progress, operation: operation, deadline: &deadline)
            guard let result = PQgetResult(raw) else {
                // Nil ends each step; on a lost connection it comes for ever.
                if PQstatus(raw) == CONNECTION_BAD { throw failure ?? lost(progress, operation) }
                continue
            }
            let status = PQresultStatus(result)
            if status == PGRES_PIPELINE_SYNC {
                PQclear(result)
                break
            }
            let name = rows.count < names.count ? names[rows.count] : operation
            if status == PGRES_PIPELINE_ABORTED {
                PQclear(result)
            } else if let error = self.failure(result, progress, name) {
                PQclear(result)
                failure = failure ?? error
                if PQstatus(raw) == CONNECTION_BAD { throw error }
            } else {
                rows.append(Rows(owning: result, operation: name))
                progress.isAnswered = rows.count == names.count
            }
        }
        if let failure {
            guard PQexitPipelineMode(raw) == 1 else { throw lost(progress, operation) }
            throw failure
        }
        precondition(rows.count == names.count, "a pipeline of \(names.count) steps gave \(rows.count) results")
        return rows
    }

    /// Nil when the result is a success.
    private func failure(_ result: OpaquePointer, _ progress: PostgresErrors.Progress, _ operation: String)
        -> StoreError?
    {
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            return nil
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            markBroken()
            return StoreError(
                code: .fatal, effect: .none, operation: operation, message: "COPY where a statement was expected")
        default:
            let error = PostgresErrors.error(of: result, operation: operation, progress: progress)
            if !(error.serverCode.map(PostgresErrors.leavesConnectionUsable(sqlState:)) ?? false) { markBroken() }
            return error
        }
    }

    private var isInCopy: Bool { PQtransactionStatus(raw) == PQTRANS_ACTIVE && isBroken }

    /// After a COPY in the wrong place PQgetResult gives the same result for ever.
    private var isBrokenForReading: Bool { isInCopy && PQstatus(raw) == CONNECTION_OK && PQisBusy(raw) == 0 }
}
