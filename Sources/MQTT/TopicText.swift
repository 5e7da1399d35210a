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

/// What is left of a topic.
struct TopicText {
    private(set) var rest: Substring

    init(_ text: String) { rest = text[...] }

    var isAtEnd: Bool { rest.utf8.isEmpty }

    /// Takes the text away if the rest starts with it.
    mutating func skip(_ text: String) -> Bool {
        guard rest.utf8.starts(with: text.utf8) else { return false }
        rest = Substring(rest.utf8.dropFirst(text.utf8.count))
        return true
    }

    /// Takes away all before the character, and the character. Nil: there is none.
    mutating func take(upTo character: Unicode.Scalar) -> Substring? {
        guard let end = rest.utf8.firstIndex(of: UInt8(ascii: character)) else { return nil }
        defer { rest = Substring(rest.utf8[rest.utf8.index(after: end)...]) }
        return Substring(rest.utf8[..<end])
    }

    /// The pairs of the hub that the rest consists of, `$rid=…&$version=…`. Others may stand among them; nil: one of
    /// the two stands twice or its value is none.
    func pairs() -> (rid: String?, version: Int64?)? {
        var (rid, version): (String?, Int64?) = (nil, nil)
        var left = self
        while !left.isAtEnd {
            var pair = TopicText(rest: left.take(upTo: "&") ?? left.takeAll())
            if pair.skip("$rid=") {
                guard rid == nil, !pair.isAtEnd, pair.rest.utf8.count <= MQTTLimits.requestIDBytes else { return nil }
                rid = String(pair.rest)
            } else if pair.skip("$version=") {
                guard version == nil, let number = TopicText.number(pair.rest, Int64.self) else { return nil }
                version = number
            }
        }
        return (rid, version)
    }

    private mutating func takeAll() -> Substring {
        defer { rest = "" }
        return rest
    }

    static func number<Number: FixedWidthInteger>(_ text: Substring, _: Number.Type) -> Number? {
        guard text.utf8.count <= MQTTLimits.numberBytes, text.utf8.first != UInt8(ascii: "+") else { return nil }
        return Number(text)
    }

    private init(rest: Substring) { self.rest = rest }
}

extension String {
    func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
