// An HTTP/1.1 client of one endpoint, with a pool of kept-alive connections over the shared event loops.
//
// A request takes an idle connection, or a new one below the maximum, or waits. When a kept-alive connection turns out
// to be closed before any byte of the answer, the request is repeated once if its method is idempotent; otherwise the
// caller learns that it may have been processed.

private import ServiceKit
package import Sockets
private import Synchronization

package struct HTTPClientRequest: Sendable {
    package var method: String
    /// Path and query, percent-encoded by the caller.
    package var target: String
    package var headers: HTTPHeaders
    package var body: [UInt8]

    package init(method: String, target: String, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
    }
}

package final class HTTPClient: Sendable {
    private let pool: HTTPConnectionPool

    /// Opens nothing yet. With `tls` nil the connection is plain text. IPv6 addresses without brackets.
    package init(
        endpoint: (host: String, port: Int), tls: TLSConfiguration.Client?, maximumConnections: Int = 8,
        limits: HTTPLimits = HTTPLimits(), group: EventLoopGroup = .shared
    ) {
        pool = HTTPConnectionPool(
            address: .host(endpoint.host, port: endpoint.port), serverName: endpoint.host, tls: tls,
            maximumConnections: maximumConnections, limits: limits, group: group)
    }

    /// The same over a Unix socket, in plain text.
    package init(
        unixPath: String, maximumConnections: Int = 8, limits: HTTPLimits = HTTPLimits(),
        group: EventLoopGroup = .shared
    ) {
        pool = HTTPConnectionPool(
            address: .unix(path: unixPath), serverName: "localhost", tls: nil,
            maximumConnections: maximumConnections, limits: limits, group: group)
    }

    /// Sends the request and returns the complete answer, whatever its status. `timeout` covers everything: waiting for
    /// a connection, resolving, connecting, sending, receiving. Cancelling the task ends the wait and drops the
    /// connection; the request may have been processed then.
    package func send(_ request: HTTPClientRequest, timeout: Duration) async throws(HTTPClientError) -> HTTPResponse {
        let exchange = HTTPClientExchange(request, bytes: pool.bytes(of: request))
        let loop = pool.group.next()
        loop.execute { reactor in
            exchange.setTimer(reactor.schedule(at: reactor.now + timeout) { _ in exchange.fail(.timeout(timeout)) })
        }
        let pool = self.pool
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                exchange.begin(continuation)
                pool.enqueue(exchange)
            }
        } onCancel: {
            exchange.fail(.cancelled)
        }
        if let timer = exchange.takeTimer() { loop.execute { $0.cancel(timer) } }
        return try result.get()
    }

    /// Refuses further requests, fails those that wait, and closes connections as they become idle. May be repeated.
    package func close() { pool.close() }

    deinit { pool.close() }
}

/// Why an exchange ends from this side.
enum HTTPClientFailure {
    case timeout(Duration)
    case cancelled
    case closed
    case failed(HTTPClientError.Code, String)

    func error(wasSent: Bool) -> HTTPClientError {
        switch self {
        case .timeout(let duration):
            HTTPClientError(
                code: .timeout, mayHaveBeenProcessed: wasSent, message: "no answer within \(duration.inSeconds) s")
        case .cancelled:
            HTTPClientError(code: .cancelled, mayHaveBeenProcessed: wasSent, message: "cancelled")
        case .closed:
            HTTPClientError(code: .closed, mayHaveBeenProcessed: wasSent, message: "the client is closed")
        case .failed(let code, let message):
            HTTPClientError(code: code, mayHaveBeenProcessed: wasSent, message: message)
        }
    }
}
