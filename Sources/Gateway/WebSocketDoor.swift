// Where devices come in whose network lets only HTTPS out: MQTT in a WebSocket (wire contract C.5).

package import HTTP
private import Sockets
private import Synchronization

/// Leads requests for the devices' WebSocket to a gateway of this process.
package final class WebSocketDoor: Sendable {
    /// Percent-decoded, as `HTTPRequest.segments`.
    package static let segments = ["$iothub", "websocket"]
    package static let subprotocol = "mqtt"

    private let handlers = Mutex<(@Sendable (Reactor) -> (any ByteStreamHandler)?)?>(nil)

    package init() {}

    /// When lives of a gateway follow one another, the newest counts.
    package func lead(to gateway: Gateway) {
        let handlers = gateway.handlersWhileServing
        self.handlers.withLock { $0 = handlers }
    }

    /// For `HTTPServer.Configuration`.
    package var upgrade: @Sendable (HTTPRequest) -> WebSocketUpgrade? {
        { [self] request in
            guard request.segments == Self.segments else { return nil }
            return WebSocketUpgrade(subprotocol: Self.subprotocol) { [self] reactor in
                handlers.withLock { $0 }?(reactor)
            }
        }
    }
}
