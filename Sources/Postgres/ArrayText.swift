// The text form of PostgreSQL's one-dimensional arrays, `{1,NULL,"a \"b\""}`, and of bytea, `\x0aff`. Pure.

enum ArrayText {
    static func write<Element>(
        _ values: [Element?], to buffer: inout [UInt8], element: (Element, inout [UInt8]) -> Void
    ) {
        buffer.append(UInt8(ascii: "{"))
        for (index, value) in values.enumerated() {
            if index > 0 { buffer.append(UInt8(ascii: ",")) }
            if let value {
                element(value, &buffer)
            } else {
                buffer.append(contentsOf: "NULL".utf8)
            }
        }
        buffer.append(UInt8(ascii: "}"))
    }

    /// Always in quotes, so that an empty text, a comma and the word NULL need no rule of their own.
    static func writeQuoted(_ bytes: some Sequence<UInt8>, to buffer: inout [UInt8]) {
        buffer.append(UInt8(ascii: "\""))
        for byte in bytes {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { buffer.append(UInt8(ascii: "\\")) }
            buffer.append(byte)
        }
        buffer.append(UInt8(ascii: "\""))
    }

    /// The elements' texts; nil for NULL. Nil as a whole when the text is no array of one dimension.
    static func elements(_ text: UnsafeBufferPointer<UInt8>) -> [[UInt8]?]? {
        var reader = ArrayReader(text: text)
        return reader.elements()
    }
}

private struct ArrayReader {
    let text: UnsafeBufferPointer<UInt8>
    var position = 0

    init(text: UnsafeBufferPointer<UInt8>) { self.text = text }

    mutating func elements() -> [[UInt8]?]? {
        guard take(UInt8(ascii: "{")) else { return nil }
        if take(UInt8(ascii: "}")) { return position == text.count ? [] : nil }
        var elements: [[UInt8]?] = []
        while true {
            guard let element = element() else { return nil }
            elements.append(element)
            if take(UInt8(ascii: ",")) { continue }
            return take(UInt8(ascii: "}")) && position == text.count ? elements : nil
        }
    }

    /// The outer nil is an error, the inner one NULL.
    private mutating func element() -> [UInt8]?? {
        var bytes: [UInt8] = []
        if take(UInt8(ascii: "\"")) {
            while position < text.count, text[position] != UInt8(ascii: "\"") {
                if text[position] == UInt8(ascii: "\\") { position += 1 }
                guard position < text.count else { return nil }
                bytes.append(text[position])
                position += 1
            }
            return take(UInt8(ascii: "\"")) ? .some(bytes) : nil
        }
        while position < text.count, text[position] != UInt8(ascii: ","), text[position] != UInt8(ascii: "}") {
            // A brace here starts a second dimension.
            guard text[position] != UInt8(ascii: "{") else { return nil }
            if text[position] == UInt8(ascii: "\\") { position += 1 }
            guard position < text.count else { return nil }
            bytes.append(text[position])
            position += 1
        }
        guard !bytes.isEmpty else { return nil }
        return bytes == Array("NULL".utf8) ? .some(nil) : .some(bytes)
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < text.count, text[position] == byte else { return false }
        position += 1
        return true
    }
}

enum ByteText {
    private static let digits = Array("0123456789abcdef".utf8)

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        var text = Array("\\x".utf8)
        text.reserveCapacity(2 + bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil when the text is not in the hexadecimal form (the server's `bytea_output` default).
    static func bytes(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.count >= 2, text.count.isMultiple(of: 2), text[0] == UInt8(ascii: "\\"),
            text[1] == UInt8(ascii: "x")
        else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2 - 1)
        for position in stride(from: 2, to: text.count, by: 2) {
            guard let high = value(text[position]), let low = value(text[position + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
