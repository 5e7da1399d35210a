// The two roles of a running Muster, wired from stores: the same for `muster coordinator`, `muster worker` and
// `muster dev`.

import API
import Coordinator
import HTTP
import JSON
import JobModel
import LeaseStore
import Notices
import ServiceKit
import Sockets
import Worker

enum ServiceRoles {
    /// One life of this process, for leases and elections.
    static func incarnation(_ role: String, random: any RandomSource) -> String {
        "\(role)-\(String(random.next(), radix: 36))"
    }

    /// Requests that are being answered get this long at shutdown.
    private static let shutdownGrace: Duration = .seconds(10)

    /// Serves the API and leads, if elected, until the task is cancelled. `ready` hears the address.
    ///
    /// Two pools, so that a storm of requests cannot keep the leader's loops from PostgreSQL.
    static func runCoordinator(
        api configuration: APIConfiguration, apiStores: Stores, leaderStores: Stores,
        ready: @Sendable (SocketAddress) -> Void
    ) async throws {
        let (log, clock, random) = (apiStores.log, apiStores.clock, apiStores.random)
        let server = APIServer(
            configuration: configuration, twins: apiStores.twins, jobs: apiStores.jobs,
            methods: MethodInvoker(
                address: incarnation("api", random: random), routes: apiStores.routes, clock: clock, random: random,
                log: log),
            notifier: DesiredNotifier(routes: apiStores.routes, metrics: apiStores.metrics),
            checks: apiStores.readiness.map { ReadinessCheck($0.name, $0.check) }, log: log,
            metrics: apiStores.metrics, clock: clock, random: random,
            wakeCoordinators: {
                do {
                    try await apiStores.leases.wake(.coordinators)
                } catch {
                    log.warning("wake_failed", [("error", .string("\(error)"))])
                }
            })
        let coordinator = Coordinator(
            store: leaderStores.jobs, leases: leaderStores.leases, routes: leaderStores.routes,
            twins: leaderStores.twins,
            holder: incarnation("coordinator", random: random),
            clock: clock, random: random, log: log, metrics: apiStores.metrics)
        let address = try await server.start()
        log.info("listening", [("address", .string(address.description))])
        ready(address)
        await coordinator.run()
        await server.shutdown(grace: shutdownGrace)
    }

    /// Works until the task is cancelled, then drains.
    static func runWorker(_ stores: Stores, concurrentBatches: Int) async {
        let worker = Worker(
            id: WorkerID(incarnation("worker", random: stores.random)),
            configuration: .init(concurrentBatches: concurrentBatches), store: stores.jobs, leases: stores.leases,
            routes: stores.routes,
            clock: stores.clock, random: stores.random, log: stores.log, metrics: stores.metrics)
        stores.log.info("worker_started", [("worker", .string(worker.id.text))])
        await worker.run()
    }
}
