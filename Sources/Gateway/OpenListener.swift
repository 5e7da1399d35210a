// One address where a gateway listens, whatever carries MQTT there.

import HTTP
import JSON
import ServiceKit
import Sockets

enum OpenListener: Sendable {
    case connection(Listener)
    case webSocket(HTTPServer)

    /// Returns it with the address, whose port may have been chosen by the system.
    static func open(
        _ listener: GatewayListener, connections: Int, group: EventLoopGroup, gateway: Gateway, parts: Gateway.Parts
    ) async throws -> (OpenListener, SocketAddress) {
        switch listener.carrier {
        case .connection:
            let tls: TLSContext? = if let files = listener.tls { try TLSContext(server: files) } else { nil }
            var listening = Listener.Configuration(address: listener.address, tls: tls, connections: connections)
            let log = parts.log
            listening.onTrouble = { log.warning("accept_failed", [("error", .string($0.message))]) }
            let handlers = gateway.handlers
            let open = try await Listener.listen(listening, group: group) { ByteStreamConnection(handlers($0)) }
            return (.connection(open), open.address)
        case .webSocket:
            var configuration = HTTPServer.Configuration(address: listener.address, tls: listener.tls)
            configuration.limits.connections = connections
            // A handshake has no body, and nothing else is served here.
            configuration.limits.bodyBytes = 0
            configuration.limits.requestsPerConnection = 1
            let door = WebSocketDoor()
            door.lead(to: gateway)
            configuration.upgrade = door.upgrade
            let path = WebSocketDoor.segments.joined(separator: "/")
            let server = HTTPServer(
                configuration: configuration, log: parts.log, metrics: parts.metrics, clock: parts.clock, group: group
            ) { _ in
                HTTPServer.plainErrorResponse(
                    HTTPProtocolError(status: 404, text: "only MQTT in a WebSocket is here, at /\(path)"))
            }
            return (.webSocket(server), try await server.start())
        }
    }

    /// Sessions go on.
    func stopAccepting() async {
        switch self {
        case .connection(let listener): await listener.close()
        case .webSocket(let server): await server.stopAccepting()
        }
    }

    /// Closes connections that are no sessions; those that are have been ended before.
    func end() async {
        if case .webSocket(let server) = self { await server.shutdown(grace: GatewayLimits.webSocketGrace) }
    }
}
