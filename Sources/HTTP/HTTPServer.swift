// An HTTP/1.1 server.

package import ServiceKit
package import Sockets

package final class HTTPServer: Sendable {
    package typealias Handler = @Sendable (HTTPRequest) async -> HTTPResponse

    package struct Configuration: Sendable {
        package var address: SocketAddress
        package var tls: TLSConfiguration?
        package var limits = HTTPLimits()
        /// Makes the response for what the server itself refuses; it is sent with `Connection: close`.
        package var errorResponse: @Sendable (HTTPProtocolError) -> HTTPResponse = { error in
            HTTPResponse(status: error.status, body: Array(error.text.utf8))
        }

        package init(address: SocketAddress, tls: TLSConfiguration? = nil) {
            self.address = address
            self.tls = tls
        }
    }

    /// The handler runs as a task of its own for every request, off the event loops. It is cancelled when its client
    /// goes away or `shutdown`'s grace is over; whatever it then returns is sent if it still can be.
    package init(
        configuration: Configuration, log: Log, metrics: Metrics, clock: any ServiceClock, handler: @escaping Handler
    ) {
        fatalError("not there yet")
    }

    /// Listens; returns the address with the port that was chosen.
    package func start() async throws -> SocketAddress {
        fatalError("not there yet")
    }

    /// Stops accepting, closes idle connections, lets running requests finish (answered with `Connection: close`), and
    /// after `grace` cancels and drops what is left. Returns when no connection is open.
    package func shutdown(grace: Duration) async {
        fatalError("not there yet")
    }
}
