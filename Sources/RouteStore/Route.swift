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

    /// `session|flags|gateway`, as it stands in the directory.
    init?(_ text: String) {
        let parts = text.split(separator: "|", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let session = Int64(parts[0]), let flags = Int(parts[1]),
            let gateway = GatewayID(String(parts[2]))
        else { return nil }
        self.init(gateway: gateway, session: session, flags: RouteFlags(rawValue: flags))
    }

    var text: String { "\(session)|\(flags.rawValue)|\(gateway.text)" }
}
