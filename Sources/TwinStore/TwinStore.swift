// The registry of devices, their twins, and the policies, in PostgreSQL. One statement a file in Queries/.
//
// Writes judge etags in the statement itself, so that of two writers with the same etag one loses. A call whose effect is
// unknown is resolved where repeating it gives the same (create by its generation id, delete); where it does not, the
// caller gets the error and its client decides.
//
// Where to read next: TwinStore+Devices, +Twins, +Bulk, +Query, +Policies.

package import Postgres
import ServiceKit

package final class TwinStore: Sendable {
    let pool: PostgresPool

    package init(_ pool: PostgresPool) { self.pool = pool }

    /// How a write that names an etag ended.
    package enum WriteOutcome: String, Sendable {
        case done
        case absent
        case mismatch
    }

    /// Times a statement is repeated after a deadlock or serialization failure before the caller hears of it.
    private static let repeats = 4

    /// Runs the statement, again after a deadlock: it then had no effect.
    func run(_ statement: Statement, _ parameters: [Parameter] = []) async throws(StoreError) -> Rows {
        var attempt = 0
        while true {
            do {
                return try await pool.run(statement, parameters)
            } catch  where error.code == .retry && error.effect == .none && attempt < Self.repeats {
                attempt += 1
            }
        }
    }

    /// Runs a transaction, again after a deadlock: it was then rolled back.
    func transaction<Value: Sendable>(
        _ body: (PostgresTransaction) async throws -> Value
    ) async throws -> Value {
        var attempt = 0
        while true {
            do {
                return try await pool.transaction(.readCommitted, timeout: nil, body)
            } catch let error as StoreError
                where error.code == .retry && error.effect == .none && attempt < Self.repeats
            {
                attempt += 1
            }
        }
    }
}
