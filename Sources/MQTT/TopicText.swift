// The texts that topics are made of, and the reading of them byte by byte. Swift's == of strings would take texts that
// Unicode calls equivalent for equal (the Kelvin sign for a K), and so one device's topic for another's.

enum TopicPrefix {
    static let devices = "devices/"
    static let events = "/messages/events"
    static let twinGet = "$iothub/twin/GET/?"
    static let reported = "$iothub/twin/PATCH/properties/reported/?"
    static let desired = "$iothub/twin/PATCH/properties/desired/?"
    static let twinResult = "$iothub/twin/res/"
    static let methodResult = "$iothub/methods/res/"
    static let method = "$iothub/methods/POST/"
}

/// What is left of a topic; valid only as long as the text that it reads.
struct TopicText {
    typealias Bytes = Slice<UnsafeBufferPointer<UInt8>>

    private(set) var rest: Bytes

    private init(_ rest: Bytes) { self.rest = rest }

    /// One look at the text's bytes for all of it: nothing is copied but what becomes a value.
    static func read<Result>(_ text: String, _ body: (inout TopicText) -> Result) -> Result {
        var text = text
        return text.withUTF8 { bytes in
            var topic = TopicText(bytes[...])
            return body(&topic)
        }
    }

    var isAtEnd: Bool { rest.isEmpty }

    /// What is taken begins and ends between characters, so it is text again.
    static func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }

    /// Takes the text away if the rest starts with it.
    mutating func skip(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { prefix in
            guard rest.starts(with: prefix) else { return false }
            rest = rest.dropFirst(prefix.count)
            return true
        }
    }

    /// Takes away all before the character, and the character. Nil: there is none.
    mutating func take(upTo character: Unicode.Scalar) -> Bytes? {
        guard let end = rest.firstIndex(of: UInt8(ascii: character)) else { return nil }
        defer { rest = rest[(end + 1)...] }
        return rest[..<end]
    }

    /// The pairs of the hub that the rest consists of, `$rid=…&$version=…`. Others may stand among them; nil: one of
    /// the two stands twice or its value is none.
    func pairs() -> (rid: String?, version: Int64?)? {
        var (rid, version): (String?, Int64?) = (nil, nil)
        var left = self
        while !left.isAtEnd {
            var pair = TopicText(left.take(upTo: "&") ?? left.takeAll())
            if pair.skip("$rid=") {
                guard rid == nil, !pair.isAtEnd, pair.rest.count <= MQTTLimits.requestIDBytes else { return nil }
                rid = Self.text(pair.rest)
            } else if pair.skip("$version=") {
                guard version == nil, let number = TopicText.number(pair.rest, Int64.self) else { return nil }
                version = number
            }
        }
        return (rid, version)
    }

    private mutating func takeAll() -> Bytes {
        defer { rest = rest[rest.endIndex...] }
        return rest
    }

    static func number<Number: FixedWidthInteger>(_ digits: Bytes, _: Number.Type) -> Number? {
        guard digits.count <= MQTTLimits.numberBytes, digits.first != UInt8(ascii: "+") else { return nil }
        return Number(text(digits))
    }
}

extension String {
    func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
