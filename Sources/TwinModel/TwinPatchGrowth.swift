// How much larger a patch can make the jsonb of a section, so that only twins near the limit need to be counted.

import JSON

enum TwinPatchGrowth {
    /// Of each member: two entries of 4 bytes, and up to 3 bytes of padding before it, before its own content, and before
    /// the next member, which it may shift.
    private static let memberBytes: Int64 = 8 + 9
    /// Header of an object or array, and its padding.
    private static let containerBytes: Int64 = 8
    /// A numeric's header and weight; it has at least one byte of text for each two of its digits' bytes.
    private static let numberBytes: Int64 = 16

    /// An upper bound of what `pg_column_size` grows by when `patch` is merged into any object.
    static func bytes(_ patch: JSONObject) -> Int64 {
        patch.members.reduce(containerBytes) { $0 + memberBytes + Int64($1.name.utf8.count) + bytes($1.value) }
    }

    private static func bytes(_ value: JSONValue) -> Int64 {
        switch value {
        case .null, .bool: 0
        case .integer, .number: numberBytes + Int64(value.text.utf8.count)
        case .string(let text): Int64(text.utf8.count)
        case .array(let values): values.reduce(containerBytes) { $0 + memberBytes + bytes($1) }
        case .object(let members): bytes(members)
        }
    }
}
