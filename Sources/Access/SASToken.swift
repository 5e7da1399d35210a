// Shared access signature tokens (wire contract 7.3): read, verify, make. Pure: keys, names and the time come in.
//
// What is signed is the `sr` text exactly as it stands in the token, because clients differ in how they encode it;
// only the scope check decodes it.

import Crypto

/// Why a token is refused. Clients are told "Unauthorized" and nothing else; the log gets the reason.
package enum SASError: String, Error, Sendable {
    case missing
    case malformed
    case expired
    case unknownPolicy
    case wrongSignature
    case wrongHost
    case wrongScope
    case missingPermission
}

package struct SASToken: Sendable {
    /// As it stands in the token; part of what is signed.
    package let rawResource: String
    package let rawExpiry: String
    package let signature: [UInt8]
    /// Seconds since 1970.
    package let expiry: Int64
    /// `skn`; nil when the token is signed with a device's own key.
    package let policyName: String?

    /// Tokens are a few hundred bytes; a device id of 128 characters, encoded three times over, still fits.
    package static let lengthMaximum = 4096

    /// From the `Authorization` header or the MQTT password.
    package init(_ text: String) throws(SASError) {
        let scheme = "SharedAccessSignature "
        guard text.utf8.count <= Self.lengthMaximum else { throw .malformed }
        guard text.utf8.count > scheme.utf8.count, text.prefix(scheme.count).lowercased() == scheme.lowercased() else {
            throw .malformed
        }
        var fields: [String: String] = [:]
        for part in text.dropFirst(scheme.count).split(separator: "&", omittingEmptySubsequences: true) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else { throw .malformed }
            let name = pair[0].trimmed
            guard ["sr", "sig", "se", "skn"].contains(name) else { continue }
            guard fields.updateValue(pair[1].trimmed, forKey: name) == nil else { throw .malformed }
        }
        guard let resource = fields["sr"], let expiryText = fields["se"], let signatureText = fields["sig"],
            !expiryText.isEmpty, expiryText.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let expiry = Int64(expiryText), let decoded = PercentCoding.decode(signatureText),
            let signature = Base64.decode(decoded)
        else { throw .malformed }
        rawResource = resource
        rawExpiry = expiryText
        self.signature = signature
        self.expiry = expiry
        guard let name = fields["skn"], !name.isEmpty else {
            policyName = nil
            return
        }
        guard let decodedName = PercentCoding.decode(name) else { throw .malformed }
        policyName = decodedName
    }

    /// True when one of the keys made the signature. Every key is tried, so that the time tells nothing.
    package func isSigned(byOneOf keys: [[UInt8]]) -> Bool {
        var isSigned = false
        for key in keys {
            let expected = Hashing.hmacSHA256(key: key, message: Array("\(rawResource)\n\(rawExpiry)".utf8))
            if Hashing.areEqual(expected, signature) { isSigned = true }
        }
        return isSigned
    }

    package func isExpired(unixTime: Double) -> Bool { Double(expiry) <= unixTime }

    /// What the token may reach; nil when `sr` is no valid text.
    package var scope: SASScope? { SASScope(rawResource) }

    /// A new token's text. `resource` is plain text, such as `localhost:8443` or `hub/devices/dev-1`.
    package static func text(resource: String, key: [UInt8], policyName: String?, expiry: Int64) -> String {
        let encoded = PercentCoding.encode(resource)
        let signature = Hashing.hmacSHA256(key: key, message: Array("\(encoded)\n\(expiry)".utf8))
        let name = policyName.map { "&skn=\(PercentCoding.encode($0))" } ?? ""
        return "SharedAccessSignature sr=\(encoded)&sig=\(PercentCoding.encode(Base64.encode(signature)))"
            + "&se=\(expiry)\(name)"
    }
}

/// The decoded `sr`: a host, and a path whose whole segments are a prefix of what may be reached.
package struct SASScope: Sendable, Hashable {
    package let host: String
    package let segments: [String]

    package init?(_ rawResource: String) {
        guard let text = PercentCoding.decode(rawResource) else { return nil }
        // Ids hold no '/', so splitting the decoded text is safe.
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        host = HostName.withoutPort(parts[0])
        segments = parts.dropFirst().filter { !$0.isEmpty }
        guard !host.isEmpty else { return nil }
    }

    /// Hosts compare without regard to case, segments with.
    package func isFor(hosts: [String]) -> Bool {
        hosts.contains { HostName.withoutPort($0).lowercased() == host.lowercased() }
    }

    package func covers(_ resource: [String]) -> Bool {
        segments.count <= resource.count && zip(segments, resource).allSatisfy { $0.utf8.elementsEqual($1.utf8) }
    }
}

package enum HostName {
    /// `host`, `host:port`, `[v6]` or `[v6]:port`.
    package static func withoutPort(_ text: String) -> String {
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") { return String(text[...end]) }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return text }
        return String(parts[0])
    }
}

package enum PercentCoding {
    /// Decodes `%xx` once; everything else, `+` too, stands for itself. Nil on half an escape or broken UTF-8.
    package static func decode(_ text: String) -> String? {
        var output: [UInt8] = []
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "%") else {
                output.append(byte)
                continue
            }
            guard let high = digit(bytes.next()), let low = digit(bytes.next()) else { return nil }
            output.append(high << 4 | low)
        }
        return String(validating: output, as: UTF8.self)
    }

    /// Leaves letters, digits and `-._~`, as the strictest of the clients does.
    package static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var output: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                output.append(byte)
            default:
                output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8?) -> UInt8? {
        guard let byte, byte < 0x80 else { return nil }
        return Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}

extension Substring {
    fileprivate var trimmed: String {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text = text.dropFirst() }
        while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
        return String(text)
    }
}
