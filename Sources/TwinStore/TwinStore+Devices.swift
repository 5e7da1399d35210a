// Single identities: create, read, update, delete, list, count.

package import JSON
import Postgres
package import ServiceKit
package import TwinModel

/// A device that shall be created. Keys are filled in: the store makes none.
package struct NewDevice: Sendable {
    package let deviceID: DeviceID
    /// Random; tells this creation from every other one of the same id.
    package let generationID: String
    package let definition: DeviceDefinition
    package let tags: JSONObject
    package let desired: JSONObject

    package init(
        deviceID: DeviceID, generationID: String, definition: DeviceDefinition, tags: JSONObject = JSONObject(),
        desired: JSONObject = JSONObject()
    ) {
        self.deviceID = deviceID
        self.generationID = generationID
        self.definition = definition
        self.tags = tags
        self.desired = desired
    }
}

/// A change of an identity. Members that are nil in the definition keep what is stored, but for the status, which an
/// update must have.
package struct DeviceUpdate: Sendable {
    package let deviceID: DeviceID
    package let condition: ETagCondition
    package let definition: DeviceDefinition
    /// Used where a device shall have keys and has none.
    package let generatedKeys: (primary: String, secondary: String)

    package init(
        deviceID: DeviceID, condition: ETagCondition, definition: DeviceDefinition,
        generatedKeys: (primary: String, secondary: String)
    ) {
        self.deviceID = deviceID
        self.condition = condition
        self.definition = definition
        self.generatedKeys = generatedKeys
    }
}

package struct DeviceCounts: Sendable, Hashable {
    package let total: Int64
    package let enabled: Int64
    package let connected: Int64
}

private enum Statements {
    static let create = Statement("create_devices", PackageResources.create_devices_sql)
    static let count = Statement("count_devices", PackageResources.count_devices_sql)
    static let delete = Statement("delete_devices", PackageResources.delete_devices_sql)
    static let list = Statement("list_devices", PackageResources.list_devices_sql)
    static let read = Statement("read_device", PackageResources.read_device_sql)
    static let update = Statement("update_devices", PackageResources.update_devices_sql)
}

extension TwinStore {
    package func readDevice(_ id: DeviceID) async throws(StoreError) -> DeviceRecord? {
        guard let row = try await run(Statements.read, [.text(id.text)]).first else { return nil }
        return try DeviceRecord(row)
    }

    /// The first devices by id.
    package func listDevices(limit: Int) async throws(StoreError) -> [DeviceRecord] {
        var devices: [DeviceRecord] = []
        for row in try await run(Statements.list, [.integer(Int64(limit))]) { devices.append(try DeviceRecord(row)) }
        return devices
    }

    package func countDevices() async throws(StoreError) -> DeviceCounts {
        let row = try await run(Statements.count)[0]
        return DeviceCounts(
            total: try row.get("total"), enabled: try row.get("enabled"), connected: try row.get("connected"))
    }

    /// Creates those that do not exist and returns their records. Safe to repeat: a device that a lost first try created
    /// is known by its generation id.
    package func createDevices(_ devices: [NewDevice]) async throws(StoreError) -> [DeviceID: DeviceRecord] {
        var created: [DeviceID: DeviceRecord] = [:]
        let rows: Rows
        do {
            rows = try await run(Statements.create, [.json(.array(devices.map(Self.record)))])
        } catch  where error.effect == .unknown {
            // Done or not done? Trying again settles it: what exists now is ours exactly if the generation is ours.
            rows = try await run(Statements.create, [.json(.array(devices.map(Self.record)))])
            for device in devices {
                guard let found = try await readDevice(device.deviceID) else { continue }
                if found.generationID == device.generationID { created[device.deviceID] = found }
            }
        }
        for row in rows {
            let record = try DeviceRecord(row)
            created[record.deviceID] = record
        }
        return created
    }

    /// One outcome for each update; the new record where it was done.
    package func updateDevices(
        _ updates: [DeviceUpdate]
    ) async throws(StoreError) -> [DeviceID: (outcome: WriteOutcome, device: DeviceRecord?)] {
        var outcomes: [DeviceID: (outcome: WriteOutcome, device: DeviceRecord?)] = [:]
        for row in try await run(Statements.update, [.json(.array(updates.map(Self.record)))]) {
            let outcome = try WriteOutcome(row)
            outcomes[DeviceID(stored: try row.get("device_id"))] = (
                outcome, outcome == .done ? try DeviceRecord(row) : nil
            )
        }
        return outcomes
    }

    /// One outcome for each device. After a lost answer the repeat may say `absent` of a device that the first try
    /// deleted; it is gone either way.
    package func deleteDevices(
        _ devices: [(deviceID: DeviceID, condition: ETagCondition)]
    ) async throws(StoreError) -> [DeviceID: WriteOutcome] {
        let records = devices.map { device in
            JSONValue.object(
                JSONObject([("device_id", .string(device.deviceID.text)), ("etag", Self.etag(device.condition))]))
        }
        var outcomes: [DeviceID: WriteOutcome] = [:]
        for row in try await run(Statements.delete, [.json(.array(records))]) {
            outcomes[DeviceID(stored: try row.get("device_id"))] = try WriteOutcome(row)
        }
        return outcomes
    }

    static func etag(_ condition: ETagCondition) -> JSONValue {
        switch condition {
        case .any: .null
        case .matching(let text): .string(text)
        }
    }

    private static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }

    private static func record(_ device: NewDevice) -> JSONValue {
        let definition = device.definition
        var record = JSONObject()
        record["device_id"] = .string(device.deviceID.text)
        record["generation_id"] = .string(device.generationID)
        record["status"] = .string((definition.status ?? .enabled).rawValue)
        record["status_reason"] = optional(definition.statusReason)
        record["authentication_type"] = .string((definition.authenticationType ?? .sas).rawValue)
        record["primary_key"] = optional(definition.primaryKey)
        record["secondary_key"] = optional(definition.secondaryKey)
        record["primary_thumbprint"] = optional(definition.primaryThumbprint)
        record["secondary_thumbprint"] = optional(definition.secondaryThumbprint)
        record["edge"] = .bool(definition.isEdge ?? false)
        if !device.tags.isEmpty { record["tags"] = .object(device.tags) }
        if !device.desired.isEmpty {
            record["desired"] = .object(device.desired)
            record["desired_paths"] = .array(TwinMetadata.paths(of: device.desired).map { .string($0) })
        }
        return .object(record)
    }

    private static func record(_ update: DeviceUpdate) -> JSONValue {
        let definition = update.definition
        var record = JSONObject()
        record["device_id"] = .string(update.deviceID.text)
        record["etag"] = etag(update.condition)
        record["status"] = .string((definition.status ?? .enabled).rawValue)
        record["status_reason"] = optional(definition.statusReason)
        record["authentication_type"] = optional(definition.authenticationType?.rawValue)
        record["primary_key"] = optional(definition.primaryKey)
        record["secondary_key"] = optional(definition.secondaryKey)
        record["generated_primary_key"] = .string(update.generatedKeys.primary)
        record["generated_secondary_key"] = .string(update.generatedKeys.secondary)
        record["primary_thumbprint"] = optional(definition.primaryThumbprint)
        record["secondary_thumbprint"] = optional(definition.secondaryThumbprint)
        record["edge"] = definition.isEdge.map { .bool($0) } ?? .null
        return .object(record)
    }
}
