// From a column's text to a Swift value.

package import JSON

package protocol PostgresDecodable {
    /// Nil when the text is no such value. `text` is nil for NULL, which only an Optional accepts.
    static func decode(_ text: UnsafeBufferPointer<UInt8>?) -> Self?
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
    package static func decode(_ text: UnsafeBufferPointer<UInt8>?) -> Self? {
        guard let text else { return .some(nil) }
        return Wrapped.decode(text).map { .some($0) }
    }
}

extension PostgresDecodable where Self: FixedWidthInteger {
    package static func decode(_ text: UnsafeBufferPointer<UInt8>?) -> Self? {
        guard let text, !text.isEmpty else { return nil }
        let isNegative = text[0] == UInt8(ascii: "-")
        var value: Self = 0
        for index in (isNegative ? 1 : 0)..<text.count {
            guard case UInt8(ascii: "0")...UInt8(ascii: "9") = text[index] else { return nil }
            let digit = Self(text[index] - UInt8(ascii: "0"))
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) =
                isNegative
                ? shifted.subtractingReportingOverflow(digit) : shifted.addingReportingOverflow(digit)
            if overflow || sumOverflow { return nil }
            value = sum
        }
        return isNegative && text.count == 1 ? nil : value
    }
}

extension Int: PostgresDecodable {}
extension Int32: PostgresDecodable {}
extension Int64: PostgresDecodable {}

extension Bool: PostgresDecodable {
    package static func decode(_ text: UnsafeBufferPointer<UInt8>?) -> Bool? {
        guard let text, text.count == 1 else { return nil }
        switch text[0] {
        case UInt8(ascii: "t"): return true
        case UInt8(ascii: "f"): return false
        default: return nil
        }
    }
}

extension Double: PostgresDecodable {
    package static func decode(_ text: UnsafeBufferPointer<UInt8>?) -> Double? {
        String.decode(text).flatMap { Double($0) }
    }
}

extension String: PostgresDecodable {
    package static func decode(_ text: UnsafeBufferPointer<UInt8>?) -> String? {
        text.map { String(decoding: $0, as: UTF8.self) }
    }
}

extension JSONValue: PostgresDecodable {
    /// Documents come from our own columns: the limits are PostgreSQL's, not the network's.
    private static let limits = JSONLimits(depth: 512, bytes: 1 << 28)

    package static func decode(_ text: UnsafeBufferPointer<UInt8>?) -> JSONValue? {
        guard let text else { return nil }
        do {
            return try JSONValue(parsing: Array(text), limits: limits)
        } catch {
            return nil
        }
    }
}

/// An array of the element type; of `UInt8` a bytea.
extension Array: PostgresDecodable where Element: PostgresDecodable {
    package static func decode(_ text: UnsafeBufferPointer<UInt8>?) -> [Element]? {
        guard let text else { return nil }
        if Element.self == UInt8.self { return ByteText.bytes(text) as? [Element] }
        guard let parts = ArrayText.elements(text) else { return nil }
        var elements: [Element] = []
        elements.reserveCapacity(parts.count)
        for part in parts {
            let element = part.map { $0.withUnsafeBufferPointer { Element.decode($0) } } ?? Element.decode(nil)
            guard let element else { return nil }
            elements.append(element)
        }
        return elements
    }
}

/// Only for bytea, as `[UInt8]`.
extension UInt8: PostgresDecodable {}
