// What a gateway is told at its start.

package import RouteStore
package import Sockets

package struct GatewayListener: Sendable {
    package var address: SocketAddress
    /// Nil: plain MQTT.
    package var tls: TLSConfiguration?

    package init(address: SocketAddress, tls: TLSConfiguration? = nil) {
        self.address = address
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
