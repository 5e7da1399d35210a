// Twins as devices read and change them (wire contract 8.6 and 8.8).
//
// Each patch of reported properties serves one device, so it is merged in this process by the reference merge, between
// a statement that locks the rows and one that writes them; see TwinStore+Bulk for the service's side.

package import JSON
import Postgres
package import ServiceKit
package import TwinModel

/// A device's patch of its reported properties, checked by `TwinRules` before.
package struct ReportedChange: Sendable {
    package let deviceID: String
    package let patch: JSONObject
    /// The version that the device believes it changes; nil for any.
    package let version: Int64?

    package init(deviceID: String, patch: JSONObject, version: Int64?) {
        self.deviceID = deviceID
        self.patch = patch
        self.version = version
    }
}

package enum ReportedOutcome: Sendable, Equatable {
    /// With the version that the change made.
    case done(Int64)
    case absent
    /// With the version that is stored.
    case mismatch(Int64)
    /// The merged properties would break a limit.
    case refused(TwinModelError)
}

extension SessionStore {
    /// What devices read, as bytes of JSON, of the devices that exist.
    package func deviceTwins(of devices: [String]) async throws(StoreError) -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for row in try await run(Statements.readDeviceTwins, [.textArray(devices)]) {
            let document: String = try row.get("document")
            found[try row.get("device_id")] = Array(document.utf8)
        }
        return found
    }

    /// Desired properties that were changed within the time that has just passed.
    package func changedDesired(
        of devices: [String], within duration: Duration
    ) async throws -> [(deviceID: String, desired: JSONObject, version: Int64)] {
        var changed: [(String, JSONObject, Int64)] = []
        let parameters: [Parameter] = [.textArray(devices), .integer(duration.milliseconds)]
        for row in try await run(Statements.listChangedDesired, parameters) {
            let text: String = try row.get("desired")
            changed.append(
                (
                    try row.get("device_id"), try JSONValue(parsing: Array(text.utf8)).objectValue ?? JSONObject(),
                    try row.get("version")
                ))
        }
        return changed
    }

    /// One outcome for each change, in their order. A device may stand several times: its changes follow one another.
    /// All that are done are written together; an error that leaves the effect unknown is the callers' to resolve.
    package func changeReported(_ changes: [ReportedChange]) async throws -> [ReportedOutcome] {
        try await transaction { transaction in
            var twins: [String: ReportedState] = [:]
            let ids = Set(changes.map(\.deviceID)).sorted()
            for row in try await transaction.run(Statements.lockReported, [.textArray(ids)]) {
                twins[try row.get("device_id")] = try ReportedState(row)
            }
            let outcomes = changes.map { change in
                twins[change.deviceID]?.apply(change) ?? .absent
            }
            let changed = twins.filter(\.value.isChanged).sorted { $0.key < $1.key }
            if !changed.isEmpty {
                _ = try await transaction.run(
                    Statements.writeReported,
                    [
                        .textArray(changed.map(\.key)), .integerArray(changed.map(\.value.version)),
                        .jsonArray(changed.map { .object($0.value.reported) }),
                        .jsonArray(changed.map { .object($0.value.metadata) }),
                    ])
            }
            return outcomes
        }
    }
}

/// The reported properties of one locked twin while changes are merged into them.
private struct ReportedState {
    private(set) var version: Int64
    private(set) var reported: JSONObject
    private(set) var metadata: JSONObject
    private(set) var isChanged = false
    private let microseconds: Int64

    init(_ row: Row) throws(StoreError) {
        version = try row.get("reported_version")
        reported = try Self.object(row, "reported")
        metadata = try Self.object(row, "reported_metadata")
        microseconds = try row.get("stamp")
    }

    private static func object(_ row: Row, _ column: String) throws(StoreError) -> JSONObject {
        let value: JSONValue = try row.get(column)
        guard let object = value.objectValue else {
            throw StoreError(
                code: .fatal, effect: .none, operation: "lock_reported", message: "column \(column) is no object")
        }
        return object
    }

    mutating func apply(_ change: ReportedChange) -> ReportedOutcome {
        if let expected = change.version, expected != version { return .mismatch(version) }
        let merged = TwinMerge.merged(reported, change.patch)
        let size = TwinSize.of(merged)
        guard size <= TwinLimits.reportedSize else { return .refused(TwinRules.sizeError(.reported, size: size)) }
        metadata = TwinMetadata.merged(
            metadata, patch: change.patch, microseconds: microseconds, version: version + 1)
        reported = merged
        version += 1
        isChanged = true
        return .done(version)
    }
}
