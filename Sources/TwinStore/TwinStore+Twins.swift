// Single twins: read and replace. The merge patch stands in TwinStore+Patch.

package import JSON
import Postgres
package import ServiceKit
package import TwinModel

private enum Statements {
    static let read = Statement("read_twin", PackageResources.read_twin_sql)
    static let replace = Statement("replace_twin", PackageResources.replace_twin_sql)
}

extension TwinStore {
    package func readTwin(_ id: DeviceID) async throws(StoreError) -> TwinRecord? {
        guard let row = try await run(Statements.read, [.text(id.text)]).first else { return nil }
        return try TwinRecord(row)
    }

    /// Replaces tags and desired properties. Not repeated when its effect is unknown: the etag counts up each time.
    package func replaceTwin(
        _ id: DeviceID, tags: JSONObject, desired: JSONObject, condition: ETagCondition
    ) async throws(StoreError) -> WriteOutcome {
        let etag: Parameter =
            switch condition {
            case .any: .null
            case .matching(let text): .text(text)
            }
        let rows = try await run(
            Statements.replace,
            [
                .text(id.text), .json(.object(tags)), .json(.object(desired)),
                .textArray(TwinMetadata.paths(of: desired)), etag,
            ])
        guard let row = rows.first else { return .absent }
        return try WriteOutcome(row)
    }
}
