// Which gateway holds which device, as values. A route is where a device can be reached at the moment; the directory in
// Redis holds one for each connected device, and gateways publish it again after Redis lost it.

/// One life of a gateway.
package struct GatewayID: Sendable, Hashable, CustomStringConvertible {
    package let name: String
    package let incarnation: String

    package init(name: String, incarnation: String) {
        self.name = name
        self.incarnation = incarnation
    }

    /// `name~incarnation`, as it stands in Redis.
    package init?(_ text: String) {
        guard let mark = text.lastIndex(of: "~") else { return nil }
        self.init(name: String(text[..<mark]), incarnation: String(text[text.index(after: mark)...]))
    }

    package var text: String { "\(name)~\(incarnation)" }
    package var description: String { text }
}

/// What a device can be sent.
package struct RouteFlags: OptionSet, Sendable, Hashable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }
    /// It has subscribed to method requests.
    package static let methods = RouteFlags(rawValue: 1)
    /// It has subscribed to desired notifications.
    package static let desired = RouteFlags(rawValue: 2)
}

/// One session of a device; the higher number wins.
package struct SessionRoute: Sendable, Hashable {
    package let deviceID: String
    package let session: Int64
    package let flags: RouteFlags

    package init(deviceID: String, session: Int64, flags: RouteFlags) {
        self.deviceID = deviceID
        self.session = session
        self.flags = flags
    }
}

package struct Route: Sendable, Hashable {
    package let gateway: GatewayID
    package let session: Int64
    package let flags: RouteFlags

    package init(gateway: GatewayID, session: Int64, flags: RouteFlags) {
        self.gateway = gateway
        self.session = session
        self.flags = flags
    }

    var text: String { "\(session)|\(flags.rawValue)|\(gateway.text)" }
}

/// Reads routes as they stand in the directory, `session|flags|gateway`. Most devices that are looked up together are at
/// one gateway, whose name is made once.
struct RouteReader {
    private var last: (bytes: [UInt8], gateway: GatewayID)?

    mutating func read(_ bytes: [UInt8]) -> Route? {
        let bar = UInt8(ascii: "|")
        guard let first = bytes.firstIndex(of: bar), let second = bytes[(first + 1)...].firstIndex(of: bar),
            let session = Self.number(bytes[..<first]), let flags = Self.number(bytes[(first + 1)..<second]),
            let gateway = gateway(bytes[(second + 1)...])
        else { return nil }
        return Route(gateway: gateway, session: session, flags: RouteFlags(rawValue: Int(flags)))
    }

    private mutating func gateway(_ bytes: ArraySlice<UInt8>) -> GatewayID? {
        if let last, last.bytes.elementsEqual(bytes) { return last.gateway }
        guard let text = String(validating: bytes, as: UTF8.self), let gateway = GatewayID(text) else { return nil }
        last = (Array(bytes), gateway)
        return gateway
    }

    /// Decimal digits, as both are written; nil for what 64 bits do not hold.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard !digits.isEmpty else { return nil }
        var number: Int64 = 0
        for byte in digits {
            let digit = byte &- UInt8(ascii: "0")
            let (shifted, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (next, isOver) = shifted.addingReportingOverflow(Int64(digit))
            guard digit <= 9, !isTooLarge, !isOver else { return nil }
            number = next
        }
        return number
    }
}
