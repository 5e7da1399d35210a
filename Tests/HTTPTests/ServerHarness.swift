// A server on a port of its own for one test, and requests in one line.

import ServiceKit
import Sockets
import Synchronization
import Testing

@testable import HTTP

struct ServerHarness {
    let server: HTTPServer
    let address: SocketAddress
    let metrics = Metrics()

    /// Runs `body` against a server; shuts it down in the end.
    static func run(
        tls: TLSConfiguration? = nil, address: SocketAddress = .host("127.0.0.1", port: 0),
        limits: (inout HTTPLimits) -> Void = { _ in },
        upgrade: (@Sendable (HTTPRequest) -> WebSocketUpgrade?)? = nil, handler: @escaping HTTPServer.Handler = echo,
        _ body: (ServerHarness) async throws -> Void
    ) async throws {
        var configuration = HTTPServer.Configuration(address: address, tls: tls)
        limits(&configuration.limits)
        configuration.upgrade = upgrade
        let server = HTTPServer(
            configuration: configuration, log: .silent, metrics: Metrics(), clock: SystemClock(), handler: handler)
        let harness = ServerHarness(server: server, address: try await server.start())
        do {
            try await body(harness)
        } catch {
            await server.shutdown(grace: .zero)
            throw error
        }
        await server.shutdown(grace: .zero)
    }

    /// Answers with what was asked, so that a test sees what arrived.
    static let echo: HTTPServer.Handler = { request in
        HTTPResponse(status: 200, body: Array("\(request.method) \(request.path) ".utf8) + request.body)
    }

    func client() async throws -> RawClient { try await RawClient(address) }

    func httpClient(tls: TLSConfiguration.Client? = nil, connections: Int = 2) -> HTTPClient {
        HTTPClient(endpoint: ("localhost", address.port ?? 0), tls: tls, maximumConnections: connections)
    }
}

func expectOK(
    _ client: HTTPClient, _ request: HTTPClientRequest, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let response = try await client.send(request, timeout: .seconds(60))
    #expect(response.status == 200, sourceLocation: sourceLocation)
}

/// Something that happens once and can be waited for, without a deadline of its own.
final class Signal: Sendable {
    private struct State {
        var isSet = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func set() {
        let waiters = state.withLock { state in
            state.isSet = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isSet = state.withLock { state in
                if !state.isSet { state.waiters.append(continuation) }
                return state.isSet
            }
            if isSet { continuation.resume() }
        }
    }

    var isSet: Bool { state.withLock { $0.isSet } }
}
