// Rows in COPY's text format: columns divided by tabs, `\N` for NULL, a line feed at the end. Pure.

package enum CopyText {
    /// One line. Bytes become bytea's hexadecimal form; arrays their text form.
    package static func line(_ columns: [Parameter]) -> [UInt8] {
        var line: [UInt8] = []
        for (index, column) in columns.enumerated() {
            if index > 0 { line.append(UInt8(ascii: "\t")) }
            var text: [UInt8] = []
            if case .bytes(let bytes) = column {
                text = Array(ByteText.hexadecimal(bytes).utf8)
            } else if column.writeText(to: &text) {
                line.append(contentsOf: "\\N".utf8)
                continue
            }
            escape(text, to: &line)
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    private static func escape(_ text: [UInt8], to line: inout [UInt8]) {
        for byte in text {
            switch byte {
            case UInt8(ascii: "\\"): line.append(contentsOf: "\\\\".utf8)
            case UInt8(ascii: "\t"): line.append(contentsOf: "\\t".utf8)
            case UInt8(ascii: "\n"): line.append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\r"): line.append(contentsOf: "\\r".utf8)
            default: line.append(byte)
            }
        }
    }
}
