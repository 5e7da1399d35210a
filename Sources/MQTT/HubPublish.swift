// What the hub publishes to a device.

package enum HubPublish: Sendable, Equatable {
    /// The name is not encoded; the topic's is.
    case method(name: String, rid: String)
    case twinResult(status: Int, rid: String, version: Int64?)
    case desired(version: Int64)

    package var topic: String {
        switch self {
        case .method(let name, let rid): "\(TopicPrefix.method)\(Self.encoded(name))/?$rid=\(rid)"
        case .twinResult(let status, let rid, let version?):
            "\(TopicPrefix.twinResult)\(status)/?$rid=\(rid)&$version=\(version)"
        case .twinResult(let status, let rid, nil): "\(TopicPrefix.twinResult)\(status)/?$rid=\(rid)"
        case .desired(let version): "\(TopicPrefix.desired)$version=\(version)"
        }
    }

    /// As a device reads it.
    package init?(topic: String) {
        guard let known = TopicText.read(topic, { Self.read(&$0) }) else { return nil }
        self = known
    }

    private static func read(_ text: inout TopicText) -> HubPublish? {
        if text.skip(TopicPrefix.method) {
            guard let encoded = text.take(upTo: "/"), let name = Self.decoded(encoded), !name.isEmpty, text.skip("?"),
                let rid = text.pairs()?.rid
            else { return nil }
            return .method(name: name, rid: rid)
        } else if text.skip(TopicPrefix.twinResult) {
            guard let digits = text.take(upTo: "/"), let status = TopicText.number(digits, Int.self), text.skip("?"),
                let pairs = text.pairs(), let rid = pairs.rid
            else { return nil }
            return .twinResult(status: status, rid: rid, version: pairs.version)
        } else if text.skip(TopicPrefix.desired) {
            guard let version = text.pairs()?.version else { return nil }
            return .desired(version: version)
        } else {
            return nil
        }
    }

    // MARK: Names of methods

    /// Only what would break the topic is percent-encoded, because Node's SDK does not decode.
    private static func mustEncode(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "+"), UInt8(ascii: "%"): true
        default: byte < 0x20 || byte == 0x7F
        }
    }

    private static func encoded(_ name: String) -> String {
        guard name.utf8.contains(where: mustEncode) else { return name }
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in name.utf8 {
            if mustEncode(byte) {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0x0F)]]
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Nil: a percent sign without two digits, or bytes that are no text.
    private static func decoded(_ text: TopicText.Bytes) -> String? {
        guard text.contains(UInt8(ascii: "%")) else { return TopicText.text(text) }
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
