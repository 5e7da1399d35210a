// What a gateway is told at its start.

package import RouteStore
package import Sockets

package struct GatewayListener: Sendable {
    package enum Carrier: Sendable {
        /// MQTT is what the connection carries.
        case connection
        /// MQTT is in a WebSocket (wire contract C.5).
        case webSocket
    }

    package var address: SocketAddress
    package var carrier: Carrier
    /// Nil: without TLS.
    package var tls: TLSConfiguration?

    package init(address: SocketAddress, carrier: Carrier = .connection, tls: TLSConfiguration? = nil) {
        self.address = address
        self.carrier = carrier
        self.tls = tls
    }
}

package struct GatewayConfiguration: Sendable {
    /// One life of this gateway.
    package var id: GatewayID
    package var listeners: [GatewayListener]
    /// Names under which devices reach this hub; tokens for other hosts are refused.
    package var hosts: [String]
    /// Sessions, and connections, that may be open.
    package var sessions: Int
    package var limits = GatewayLimits()

    package init(id: GatewayID, listeners: [GatewayListener], hosts: [String], sessions: Int) {
        self.id = id
        self.listeners = listeners
        self.hosts = hosts
        self.sessions = sessions
    }

    /// As many as the limit on open files allows, once the soft one is raised.
    package static var sessionsPossible: Int {
        DescriptorLimit.raise()
        return max(1, DescriptorLimit.current - GatewayLimits.descriptorsBesides)
    }
}

package enum GatewayError: Error, CustomStringConvertible {
    case tooFewDescriptors(limit: Int, needed: Int, sessions: Int)
    case declaredGone

    package var description: String {
        switch self {
        case .tooFewDescriptors(let limit, let needed, let sessions):
            "\(sessions) sessions need \(needed) open files, and this process may have \(limit): raise the limit "
                + "(ulimit -n, LimitNOFILE=), or give fewer --sessions."
        case .declaredGone:
            "The hub has taken this gateway for gone, because it was silent for too long; it must start anew."
        }
    }
}
