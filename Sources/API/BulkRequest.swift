// The body of `POST /devices` (wire contract 6.4): what each entry wants, checked as a whole before anything is changed.

import Crypto
package import JSON
package import TwinModel

package enum ImportMode: String, Sendable, CaseIterable {
    case create
    case delete
    case deleteIfMatchETag
    case update
    case updateIfMatchETag
    case updateTwin
    case updateTwinIfMatchETag

    /// In any case: Node sends `Update`, C# `updateIfMatchETag`.
    package init?(wire: String) {
        guard let mode = Self.allCases.first(where: { $0.rawValue.lowercased() == wire.lowercased() }) else {
            return nil
        }
        self = mode
    }
}

package struct BulkEntry: Sendable {
    package enum Wish: Sendable {
        case create(DeviceDefinition, tags: JSONObject, desired: JSONObject)
        case update(DeviceDefinition, ETagCondition)
        case delete(ETagCondition)
        case updateTwin(TwinPatch, ETagCondition)
    }

    package let deviceID: DeviceID
    package let mode: ImportMode
    package let wish: Wish

    package static func parse(_ body: [JSONValue]) throws(APIError) -> [BulkEntry] {
        guard !body.isEmpty, body.count <= TwinLimits.bulkDevices else {
            throw APIError(
                .argumentInvalid,
                "The body must be an array of 1 to \(TwinLimits.bulkDevices) devices; it has \(body.count).")
        }
        var entries: [BulkEntry] = []
        var seen: Set<DeviceID> = []
        for (index, value) in body.enumerated() {
            guard let object = value.objectValue else {
                throw APIError(.deserializationError, "devices[\(index)] must be an object; it is \(value.kind).")
            }
            let entry = try parse(object, field: "devices[\(index)].")
            guard seen.insert(entry.deviceID).inserted else {
                throw APIError(
                    .deviceDefinedMultipleTimes, "devices[\(index)].id is '\(entry.deviceID)', which occurs before.")
            }
            entries.append(entry)
        }
        return entries
    }

    private static func parse(_ object: JSONObject, field: String) throws(APIError) -> BulkEntry {
        let reader = MemberReader(object, prefix: field)
        guard let id = try reader.string("id") else {
            throw APIError(.argumentNull, "\(field)id is missing.")
        }
        if try reader.string("moduleId") != nil {
            throw APIError(.argumentInvalid, "\(field)moduleId is set; modules are not part of this service.")
        }
        let modeText = try reader.string("importMode")
        guard let mode = modeText.map({ ImportMode(wire: $0) }) ?? .create else {
            throw APIError(
                .argumentInvalid,
                "\(field)importMode must be one of \(ImportMode.allCases.map(\.rawValue).joined(separator: ", ")); it is "
                    + "'\(modeText?.prefix(40) ?? "")'.")
        }
        do {
            let deviceID = try DeviceID(id, field: field + "id")
            return BulkEntry(deviceID: deviceID, mode: mode, wish: try wish(mode, object, reader, field))
        } catch let error as TwinModelError {
            throw APIError(.argumentInvalid, error.message.hasPrefix(field) ? error.message : field + error.message)
        } catch let error as APIError {
            throw error
        } catch {
            preconditionFailure("an error that nothing here throws: \(error)")
        }
    }

    private static func wish(
        _ mode: ImportMode, _ object: JSONObject, _ reader: MemberReader, _ field: String
    ) throws -> Wish {
        switch mode {
        case .create:
            let twin = try TwinPatch.parse(twinReplacement: .object(object))
            return .create(try APIServer.definition(object, field: field), tags: twin.tags, desired: twin.desired)
        case .update, .updateIfMatchETag:
            let definition = try APIServer.definition(object, field: field)
            guard definition.status != nil else {
                throw APIError(.argumentInvalid, "\(field)status is missing; an update must say enabled or disabled.")
            }
            return .update(definition, try condition(reader, "eTag", isNeeded: mode == .updateIfMatchETag))
        case .delete, .deleteIfMatchETag:
            return .delete(try condition(reader, "eTag", isNeeded: mode == .deleteIfMatchETag))
        case .updateTwin, .updateTwinIfMatchETag:
            return .updateTwin(
                try TwinPatch.parse(twinPatch: .object(object)),
                try condition(reader, "twinETag", isNeeded: mode == .updateTwinIfMatchETag))
        }
    }

    private static func condition(
        _ reader: MemberReader, _ name: String, isNeeded: Bool
    ) throws(APIError) -> ETagCondition {
        guard isNeeded else { return .any }
        guard let text = try reader.string(name) else {
            throw APIError(.argumentNull, "\(reader.prefix)\(name) is missing; the import mode compares it.")
        }
        return ETagCondition(text)
    }
}
