// Merge and size as the wire contract defines them (4.3, 4.4). PostgreSQL does both with compiled expressions; these
// plain functions are the reference that tests compare them with, and what validation uses.

package import JSON

package enum TwinMerge {
    /// Null deletes; an object merges into an object, which is created if the target is none; all else replaces.
    package static func merged(_ target: JSONObject, _ patch: JSONObject) -> JSONObject {
        var result = target
        for member in patch.members {
            switch member.value {
            case .null:
                result[member.name] = nil
            case .object(let inner):
                let existing = result[member.name]?.objectValue ?? JSONObject()
                result[member.name] = .object(merged(existing, inner))
            case .bool, .integer, .number, .string, .array:
                result[member.name] = member.value
            }
        }
        return result
    }
}

package enum TwinSize {
    /// Keys by characters, strings by characters without control characters, numbers 8, Booleans 4, containers the sum.
    package static func of(_ object: JSONObject) -> Int {
        object.members.reduce(0) { $0 + $1.name.unicodeScalars.count + of($1.value) }
    }

    package static func of(_ value: JSONValue) -> Int {
        switch value {
        case .null: 0
        case .bool: 4
        case .integer, .number: 8
        case .string(let text): text.unicodeScalars.count { !isControl($0) }
        case .array(let elements): elements.reduce(0) { $0 + of($1) }
        case .object(let object): of(object)
        }
    }

    /// C0, DEL and C1.
    package static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
    }
}
