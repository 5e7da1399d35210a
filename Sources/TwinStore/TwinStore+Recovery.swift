// After a restore or an asynchronous failover devices and services may hold versions and etags that no longer exist.

internal import Postgres
package import ServiceKit

private enum Statements {
    static let raiseVersions = Statement("raise_versions", PackageResources.raise_versions_sql)
}

extension TwinStore {
    /// Twins that one statement raises: about a second of locks.
    private static let raisePage: Int64 = 20_000

    /// Raises versions and etags of all twins, page by page; returns how many. Repeating it raises them again.
    package func raiseVersions(by jump: Int64) async throws(StoreError) -> Int64 {
        var (raised, last): (Int64, String) = (0, "")
        while true {
            let rows = try await run(
                Statements.raiseVersions, [.text(last), .integer(Self.raisePage), .integer(jump)])
            let page: String? = try rows.first?.get("last")
            guard let row = rows.first, let page else { return raised }
            raised += try row.get("twins") as Int64
            last = page
        }
    }
}
