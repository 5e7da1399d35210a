// An explicit transaction, for the few places that need several dependent statements; one fused statement or
// `runAtomically` is cheaper.

package import ServiceKit

package enum Isolation: Sendable, Hashable {
    case readCommitted
    /// With the id of an exported snapshot, or one of its own.
    case repeatableRead(snapshot: String? = nil)

    var begin: String {
        switch self {
        case .readCommitted: return "BEGIN ISOLATION LEVEL READ COMMITTED"
        case .repeatableRead(nil): return "BEGIN ISOLATION LEVEL REPEATABLE READ"
        case .repeatableRead(let snapshot?):
            // The id comes from pg_export_snapshot(): hexadecimal and dashes. SET TRANSACTION takes no parameter.
            precondition(
                !snapshot.isEmpty && snapshot.allSatisfy { $0.isHexDigit || $0 == "-" }, "no snapshot id: \(snapshot)")
            return "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '\(snapshot)'"
        }
    }
}

/// Valid inside the body of `PostgresPool.transaction` only. Errors of its statements have effect `none`: what was
/// not committed did not happen.
package struct PostgresTransaction: Sendable {
    let connection: PostgresConnection
    let clock: any ServiceClock
    let statementTimeout: Duration

    package func run(_ statement: Statement, _ parameters: [Parameter] = [], timeout: Duration? = nil)
        async throws(StoreError) -> Rows
    {
        try await connection.runInTransaction(
            statement, parameters, deadline: Deadline(clock, after: timeout ?? statementTimeout))
    }

    /// Several statements without parameters, as a migration has them; the rows of the last one.
    @discardableResult
    package func runScript(_ text: String, name: String = "script", timeout: Duration? = nil)
        async throws(StoreError) -> Rows
    {
        try await connection.runScriptInTransaction(
            text, operation: name, deadline: Deadline(clock, after: timeout ?? statementTimeout))
    }

    /// `COPY … FROM STDIN`; returns the number of rows.
    package func copyIn(
        _ statement: Statement, rows: some Sequence<[UInt8]> & Sendable, timeout: Duration? = nil
    ) async throws(StoreError) -> Int {
        try await connection.copyInTransaction(
            statement, chunks: rows, deadline: Deadline(clock, after: timeout ?? statementTimeout))
    }
}
