// The two roles of a running Muster, wired from stores: the same for `muster coordinator`, `muster worker` and
// `muster dev`.

import API
import Calls
import Coordinator
import Gateway
import HTTP
import JSON
import JobModel
import JobStore
import LeaseStore
import MQTT
import Notices
import RouteStore
import ServiceKit
import SessionStore
import Sockets
import TwinStore
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

    /// Lets devices connect until the task is cancelled; then closes their sessions in order. `ready` hears the addresses;
    /// `door` is another server's, for devices that come through it.
    ///
    /// A life that the hub has declared gone ends with its sessions, and a new one begins on the same addresses.
    static func runGateway(
        _ settings: GatewaySettings, stores: Stores, door: WebSocketDoor? = nil,
        ready: @Sendable ([SocketAddress]) -> Void
    ) async throws {
        var settings = settings
        var isFirst = true
        while true {
            let gateway = gateway(settings, stores)
            let addresses = try await gateway.start()
            door?.lead(to: gateway)
            for (index, address) in addresses.enumerated() {
                // A port that the system chose stays.
                settings.listeners[index].address = address
                let event =
                    switch settings.listeners[index].carrier {
                    case .connection: "listening_mqtt"
                    case .webSocket: "listening_websocket"
                    }
                stores.log.info(event, [("address", .string(address.description))])
            }
            if isFirst { ready(addresses) }
            isFirst = false
            do {
                return try await gateway.run()
            } catch GatewayError.declaredGone {
                stores.log.warning("gateway_starts_anew")
            }
        }
    }

    private static func gateway(_ settings: GatewaySettings, _ stores: Stores) -> Gateway {
        let (log, clock, random) = (stores.log, stores.clock, stores.random)
        let id = GatewayID(name: settings.name, incarnation: String(random.next(), radix: 36))
        let calls = GatewayCalls(
            gateway: id, routes: stores.routes,
            methodTopic: { HubPublish.method(name: $0, rid: "").topic }, clock: clock, random: random,
            log: log, metrics: stores.metrics)
        let twins = stores.twins
        return Gateway(
            GatewayConfiguration(
                id: id, listeners: settings.listeners, hosts: settings.hosts, sessions: settings.sessions),
            parts: Gateway.Parts(
                sessions: SessionStore(stores.pool), routes: stores.routes,
                policies: { () async throws(StoreError) in try await twins.policies() }, clock: clock,
                random: random, log: log, metrics: stores.metrics),
            desk: calls,
            becameReachable: { devices in
                do {
                    _ = try await stores.leases.offer(try await stores.jobs.unpark(devices))
                } catch {
                    // The leader's sweep finds them.
                    log.warning("unpark_failed", [("error", .string("\(error)"))])
                }
            })
    }

    /// Works until the task is cancelled, then drains.
    static func runWorker(_ stores: Stores, _ configuration: Worker.Configuration) async {
        let worker = Worker(
            id: WorkerID(incarnation("worker", random: stores.random)),
            configuration: configuration, store: stores.jobs, leases: stores.leases,
            routes: stores.routes,
            clock: stores.clock, random: stores.random, log: stores.log, metrics: stores.metrics)
        stores.log.info("worker_started", [("worker", .string(worker.id.text))])
        await worker.run()
    }
}
