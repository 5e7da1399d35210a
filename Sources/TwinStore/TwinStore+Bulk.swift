// Bulk twin updates: up to a hundred different patches, each with its own etag, in one transaction of two statements.
//
// Job patches are compiled once and run over many devices; here each patch serves one device, so they are merged in this
// process by the reference merge, between a statement that locks the rows and one that writes them.

import JSON
import Postgres
import ServiceKit
package import TwinModel

private enum Statements {
    static let lock = Statement("lock_twins", PackageResources.lock_twins_sql)
    static let write = Statement("write_twins", PackageResources.write_twins_sql)
}

package struct TwinChange: Sendable {
    package let deviceID: DeviceID
    package let patch: TwinPatch
    package let condition: ETagCondition

    package init(deviceID: DeviceID, patch: TwinPatch, condition: ETagCondition) {
        self.deviceID = deviceID
        self.patch = patch
        self.condition = condition
    }
}

extension TwinStore {
    package enum TwinChangeOutcome: Sendable, Equatable {
        case done
        case absent
        case mismatch
        /// The merged twin would break a limit.
        case refused(TwinModelError)
    }

    /// One outcome for each change; those that are not done change nothing, the others are written together.
    package func changeTwins(_ changes: [TwinChange]) async throws -> [DeviceID: TwinChangeOutcome] {
        try await transaction { transaction in
            let ids = changes.map { Optional($0.deviceID.text) }
            var rows: [String: Row] = [:]
            for row in try await transaction.run(Statements.lock, [.textArray(ids)]) {
                rows[try row.get("device_id")] = row
            }
            var outcomes: [DeviceID: TwinChangeOutcome] = [:]
            var records: [JSONValue] = []
            for change in changes {
                let (outcome, record) = try Self.merge(change, rows[change.deviceID.text])
                outcomes[change.deviceID] = outcome
                if let record { records.append(.object(record)) }
            }
            if !records.isEmpty { _ = try await transaction.run(Statements.write, [.json(.array(records))]) }
            return outcomes
        }
    }

    /// What to write for one change, nil when nothing is to be written.
    private static func merge(
        _ change: TwinChange, _ row: Row?
    ) throws(StoreError) -> (TwinChangeOutcome, JSONObject?) {
        guard let row else { return (.absent, nil) }
        guard change.condition.allows(try row.get("etag_text")) else { return (.mismatch, nil) }
        guard !change.patch.isEmpty else { return (.done, nil) }
        var record = JSONObject([("device_id", .string(change.deviceID.text))])
        if let patch = change.patch.tags {
            let tags = TwinMerge.merged(try TwinRecord.object(row, "tags"), patch)
            let size = TwinSize.of(tags)
            guard size <= TwinLimits.tagsSize else { return (.refused(TwinRules.sizeError(.tags, size: size)), nil) }
            record["tags"] = .object(tags)
        }
        if let patch = change.patch.desired {
            let desired = TwinMerge.merged(try TwinRecord.object(row, "desired"), patch)
            let size = TwinSize.of(desired)
            guard size <= TwinLimits.desiredSize else {
                return (.refused(TwinRules.sizeError(.desired, size: size)), nil)
            }
            let version: Int64 = try row.get("desired_version")
            record["desired"] = .object(desired)
            record["notice"] = .object(patch)
            record["desired_metadata"] = .object(
                TwinMetadata.merged(
                    try TwinRecord.object(row, "desired_metadata"), patch: patch, microseconds: try row.get("stamp"),
                    version: version + 1))
        }
        return (.done, record)
    }
}
