// Rows of the registry's statements as records. All statements that return a device name its columns the same.

import JSON
import Postgres
import ServiceKit
import TwinModel

extension DeviceRecord {
    init(_ row: Row) throws(StoreError) {
        self.init(
            deviceID: DeviceID(stored: try row.get("device_id")),
            generationID: try row.get("generation_id"),
            etag: try row.get("etag"),
            status: try Self.value(row, "status"),
            statusReason: try row.get("status_reason"),
            statusUpdatedTime: try row.get("status_updated"),
            authenticationType: try Self.value(row, "authentication_type"),
            primaryKey: try row.get("primary_key"),
            secondaryKey: try row.get("secondary_key"),
            primaryThumbprint: try row.get("primary_thumbprint"),
            secondaryThumbprint: try row.get("secondary_thumbprint"),
            isEdge: try row.get("edge"),
            modelID: try row.get("model_id"),
            createdTime: try row.get("created"),
            isConnected: try row.get("connected"),
            connectionStateUpdatedTime: try row.get("connected_at"),
            lastActivityTime: try row.get("last_activity"))
    }

    private static func value<T: RawRepresentable>(_ row: Row, _ column: String) throws(StoreError) -> T
    where T.RawValue == String {
        let text: String = try row.get(column)
        guard let value = T(rawValue: text) else {
            throw StoreError(
                code: .fatal, effect: .none, operation: "read_device", message: "column \(column) holds an unknown word"
            )
        }
        return value
    }
}

extension TwinRecord {
    init(_ row: Row) throws(StoreError) {
        self.init(
            device: try DeviceRecord(row),
            etag: try row.get("twin_etag"),
            desiredVersion: try row.get("desired_version"),
            reportedVersion: try row.get("reported_version"),
            tags: try Self.object(row, "tags"),
            desired: try Self.object(row, "desired"),
            reported: try Self.object(row, "reported"),
            desiredMetadata: try Self.object(row, "desired_metadata"),
            reportedMetadata: try Self.object(row, "reported_metadata"))
    }

    static func object(_ row: Row, _ column: String) throws(StoreError) -> JSONObject {
        let value: JSONValue = try row.get(column)
        guard let object = value.objectValue else {
            throw StoreError(
                code: .fatal, effect: .none, operation: "read_twin", message: "column \(column) is no object")
        }
        return object
    }
}

extension TwinStore.WriteOutcome {
    init(_ row: Row) throws(StoreError) {
        let text: String = try row.get("outcome")
        guard let outcome = Self(rawValue: text) else {
            throw StoreError(
                code: .fatal, effect: .unknown, operation: "write_outcome", message: "unknown outcome \(text)")
        }
        self = outcome
    }
}
