// Etags on the wire. A twin's is base64 of an 8-byte big-endian counter (1 is `AAAAAAAAAAE=`); an identity's is base64
// of a counter's decimal digits.

package enum ETag {
    package static func twin(_ counter: Int64) -> String {
        let bits = UInt64(bitPattern: counter)
        return base64((0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * $0)) })
    }

    package static func identity(_ counter: Int64) -> String { base64(Array(String(counter).utf8)) }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    // `Crypto` has a codec, but pure modules do not stand on it.
    private static func base64(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(0) { $0 << 8 | Int($1) }
            bits <<= 8 * (3 - group.count)
            for position in 0..<4 {
                let isPadding = position > group.count
                output.append(isPadding ? UInt8(ascii: "=") : alphabet[bits >> (18 - 6 * position) & 63])
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}

/// `If-Match` of a request, or the `etag` member of a job's patch.
package enum ETagCondition: Sendable, Hashable {
    case any
    /// The etag's text without quotes. A text that is no etag of ours matches nothing.
    case matching(String)

    /// One pair of double quotes is taken off; `*` means any.
    package init(_ text: String) {
        var etag = text[...]
        if etag.utf8.count >= 2, etag.hasPrefix("\""), etag.hasSuffix("\"") { etag = etag.dropFirst().dropLast() }
        self = etag == "*" ? .any : .matching(String(etag))
    }

    package var text: String {
        switch self {
        case .any: "*"
        case .matching(let etag): etag
        }
    }

    package func allows(_ etag: String) -> Bool {
        switch self {
        case .any: true
        case .matching(let expected): expected == etag
        }
    }
}
