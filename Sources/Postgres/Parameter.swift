// Values for a statement's `$n`. They travel in text form with the type left to the server, which takes it from the
// statement; where the statement says nothing (`to_jsonb($1)`, `unnest($1)`), the SQL writes a cast (`$1::text[]`).
// Only bytes travel in binary form, which halves their size.

package import JSON
import ServiceKit

package enum Parameter: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case text(String)
    case json(JSONValue)
    case bytes([UInt8])
    case boolArray([Bool?])
    case integerArray([Int64?])
    case doubleArray([Double?])
    case textArray([String?])
    case jsonArray([JSONValue?])
    case bytesArray([[UInt8]?])
}

extension Parameter: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(nilLiteral: ()) { self = .null }
}

/// Values that may be absent: nil becomes NULL.
extension Parameter {
    package init(_ value: Bool?) { self = value.map(Parameter.bool) ?? .null }
    package init(_ value: Int?) { self = value.map { .integer(Int64($0)) } ?? .null }
    package init(_ value: Int64?) { self = value.map(Parameter.integer) ?? .null }
    package init(_ value: Double?) { self = value.map(Parameter.double) ?? .null }
    package init(_ value: String?) { self = value.map(Parameter.text) ?? .null }
    package init(_ value: JSONValue?) { self = value.map(Parameter.json) ?? .null }
    package init(_ value: [UInt8]?) { self = value.map(Parameter.bytes) ?? .null }
}

/// All parameters of one execution in one buffer, each ended by a NUL byte, as libpq wants them.
struct EncodedParameters {
    private var buffer: [UInt8] = []
    private var offsets: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    /// The wire protocol counts parameters in 16 bits.
    static let countMax = 65_535

    init(_ parameters: [Parameter], operation: String) throws(StoreError) {
        guard parameters.count <= Self.countMax else {
            throw StoreError(
                code: .invalidData, effect: .none, operation: operation,
                message: "\(parameters.count) parameters; at most \(Self.countMax) fit into one statement")
        }
        for (index, parameter) in parameters.enumerated() {
            let start = buffer.count
            let isNull = parameter.writeText(to: &buffer)
            offsets.append(isNull ? nil : start)
            lengths.append(Int32(buffer.count - start))
            let isBinary = if case .bytes = parameter { true } else { false }
            formats.append(isBinary ? 1 : 0)
            // libpq measures text with strlen: a NUL inside would silently cut the value, and no text type holds one.
            guard isBinary || !buffer[start...].contains(0) else {
                throw StoreError(
                    code: .invalidData, effect: .none, operation: operation, serverCode: "22021",
                    message: "parameter \(index + 1) contains the character NUL")
            }
            buffer.append(0)
        }
    }

    /// Calls `body` with the count and the four arrays of PQsendQueryParams; they live as long as the call.
    func withPointers<Result>(
        _ body: (
            Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
        ) -> Result
    ) -> Result {
        guard !offsets.isEmpty else { return body(0, nil, nil, nil) }
        return buffer.withUnsafeBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            let values = offsets.map { offset in offset.flatMap { position in base.map { $0 + position } } }
            return values.withUnsafeBufferPointer { values in
                lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        body(Int32(offsets.count), values.baseAddress, lengths.baseAddress, formats.baseAddress)
                    }
                }
            }
        }
    }
}

extension Parameter {
    /// Appends the text form, bytes as they are; returns true for NULL, which has none.
    func writeText(to buffer: inout [UInt8]) -> Bool {
        switch self {
        case .null: return true
        case .bool(let value): buffer.append(UInt8(ascii: value ? "t" : "f"))
        case .integer(let value): buffer.append(contentsOf: String(value).utf8)
        case .double(let value): buffer.append(contentsOf: "\(value)".utf8)
        case .text(let value): buffer.append(contentsOf: value.utf8)
        case .json(let value): buffer.append(contentsOf: value.bytes)
        case .bytes(let value): buffer.append(contentsOf: value)
        case .boolArray(let values):
            ArrayText.write(values, to: &buffer) { $1.append(UInt8(ascii: $0 ? "t" : "f")) }
        case .integerArray(let values):
            ArrayText.write(values, to: &buffer) { $1.append(contentsOf: String($0).utf8) }
        case .doubleArray(let values):
            ArrayText.write(values, to: &buffer) { $1.append(contentsOf: "\($0)".utf8) }
        case .textArray(let values):
            ArrayText.write(values, to: &buffer) { ArrayText.writeQuoted($0.utf8, to: &$1) }
        case .jsonArray(let values):
            ArrayText.write(values, to: &buffer) { ArrayText.writeQuoted($0.bytes, to: &$1) }
        case .bytesArray(let values):
            ArrayText.write(values, to: &buffer) { ArrayText.writeQuoted(ByteText.hexadecimal($0).utf8, to: &$1) }
        }
        return false
    }
}
