// What Redis answers (RESP2), as values.

package enum RedisReply: Sendable, Equatable {
    case integer(Int64)
    case string([UInt8])
    case status(String)
    case array([RedisReply])
    case null
    case error(String)

    /// The text of a string or status.
    package var text: String? {
        switch self {
        case .string(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        case .integer, .array, .null, .error: nil
        }
    }

    package var bytes: [UInt8]? {
        if case .string(let bytes) = self { bytes } else { nil }
    }

    /// An integer, also when it stands in a string, as counters do.
    package var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .string, .status: text.flatMap { Int64($0) }
        case .array, .null, .error: nil
        }
    }

    package var array: [RedisReply]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    package var isNull: Bool { self == .null }
}
