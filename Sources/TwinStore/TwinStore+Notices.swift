// Desired changes of single twins that their devices are to be told of: written with the change itself, removed once they
// have been handed to gateways.

package import JSON
import Postgres
package import ServiceKit

private enum Statements {
    static let delete = Statement("delete_twin_notices", PackageResources.delete_twin_notices_sql)
    static let list = Statement("list_twin_notices", PackageResources.list_twin_notices_sql)
}

package struct TwinNotice: Sendable {
    package let deviceID: String
    package let version: Int64
    package let patch: JSONObject
}

extension TwinStore {
    /// Notices of these devices, or of all, whose marks are at least so old.
    package func notices(of devices: [String]?, age: Duration, limit: Int) async throws(StoreError) -> [TwinNotice] {
        var notices: [TwinNotice] = []
        let rows = try await run(
            Statements.list,
            [
                devices.map { .textArray($0.map { Optional($0) }) } ?? .null, .integer(age.milliseconds),
                .integer(Int64(limit)),
            ])
        for row in rows {
            let patch: JSONValue = try row.get("patch")
            notices.append(
                TwinNotice(
                    deviceID: try row.get("device_id"), version: try row.get("version"),
                    patch: patch.objectValue ?? JSONObject()))
        }
        return notices
    }

    package func remove(_ notices: [TwinNotice]) async throws(StoreError) {
        guard !notices.isEmpty else { return }
        _ = try await run(
            Statements.delete,
            [.textArray(notices.map { Optional($0.deviceID) }), .integerArray(notices.map { Optional($0.version) })])
    }
}
