// Starts and stops the world of one API test: stores from TestKit, a server on a free port, a client.

import API
import HTTP
import JobStore
import Notices
import Postgres
import RouteStore
import ServiceKit
import Sockets
import TestKit
import Testing
import TwinStore

extension APIWorld {
    /// Runs `body` against a server over HTTP, and stops the server whatever happens.
    static func run(
        strict: Bool = false, concurrentRequests: Int = 512, _ body: (APIWorld) async throws -> Void
    ) async throws {
        try await withWorld { stores in
            let twins = TwinStore(stores.pool)
            let jobs = JobStore(pool: stores.pool)
            var configuration = APIConfiguration(
                http: HTTPServer.Configuration(address: .host("127.0.0.1", port: 0)), hostNames: ["hub.example"])
            configuration.isStrictHub = strict
            configuration.concurrentRequests = concurrentRequests
            let server = APIServer(
                configuration: configuration, twins: twins, jobs: jobs, methods: MethodInvoker(stores),
                notifier: DesiredNotifier(stores),
                checks: [ReadinessCheck("postgres") { _ = try await twins.policies() }], log: stores.log.log,
                metrics: stores.metrics, clock: stores.clock, random: stores.random, wakeCoordinators: {})
            let port = try #require(try await server.start().port)
            let client = HTTPClient(endpoint: ("127.0.0.1", port), tls: nil)
            let world = APIWorld(
                pool: stores.pool, twins: twins, jobs: jobs, routes: RouteStore(redis: stores.redis), server: server,
                metrics: stores.metrics, policies: try await twins.policies()
            ) { request in
                try await client.send(request, timeout: .seconds(30))
            }
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(world))
            } catch {
                result = .failure(error)
            }
            client.close()
            await server.shutdown(grace: .seconds(1))
            try result.get()
        }
    }
}
