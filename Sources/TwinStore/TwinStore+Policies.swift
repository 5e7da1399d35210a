// Shared access policies.

package import Access
import Postgres
package import ServiceKit

private enum Statements {
    static let create = Statement("create_policy", PackageResources.create_policy_sql)
    static let list = Statement("list_policies", PackageResources.list_policies_sql)
    static let lock = Statement("lock_policies", PackageResources.lock_policies_sql)
}

extension TwinStore {
    package enum PolicyCreation: String, Sendable {
        case created
        case exists
        /// There are as many policies as a hub may have.
        case full
    }

    package func policies() async throws(StoreError) -> [Policy] {
        var policies: [Policy] = []
        for row in try await run(Statements.list) {
            let permissions: [String] = try row.get("permissions")
            policies.append(
                Policy(
                    name: try row.get("name"), permissions: Set(permissions.compactMap(Permission.init(rawValue:))),
                    primaryKey: try row.get("primary_key"), secondaryKey: try row.get("secondary_key")))
        }
        return policies
    }

    package func createPolicy(_ policy: Policy) async throws -> PolicyCreation {
        try await transaction { transaction in
            _ = try await transaction.run(Statements.lock, [])
            let rows = try await transaction.run(
                Statements.create,
                [
                    .text(policy.name), .textArray(policy.permissions.map(\.rawValue).sorted()),
                    .bytes(policy.primaryKey), .bytes(policy.secondaryKey), .integer(Int64(Policy.countMaximum)),
                ])
            let text: String = try rows[0].get("outcome")
            guard let outcome = PolicyCreation(rawValue: text) else {
                throw StoreError(code: .fatal, effect: .unknown, operation: "create_policy", message: text)
            }
            return outcome
        }
    }
}
