// An MQTT 3.1.1 server for devices (wire contract, section 8): listeners, and the keepers that tell both stores who is
// connected here.
//
// Sessions live on the event loops (DeviceSession) and are known in one table (SessionTable); whatever needs a store goes
// through a desk that serves many sessions in one statement (ConnectDesk, SubscriptionDesk, TwinDesk). Calls of methods
// are another module's; the inbox goes there (InboxReader).

package import Access
import Calls
import JSON
package import RouteStore
package import ServiceKit
package import SessionStore
package import Sockets
private import Synchronization

package final class Gateway: Sendable {
    /// What a gateway stands on.
    package struct Parts: Sendable {
        package var sessions: SessionStore
        package var routes: RouteStore
        package var policies: PolicyCache.Loader
        package var clock: any ServiceClock
        package var random: any RandomSource
        package var log: Log
        package var metrics: Metrics

        package init(
            sessions: SessionStore, routes: RouteStore, policies: @escaping PolicyCache.Loader,
            clock: any ServiceClock, random: any RandomSource, log: Log, metrics: Metrics
        ) {
            self.sessions = sessions
            self.routes = routes
            self.policies = policies
            self.clock = clock
            self.random = random
            self.log = log
            self.metrics = metrics
        }
    }

    package let table: SessionTable
    private let desk: any GatewayDesk
    private let configuration: GatewayConfiguration
    private let parts: Parts
    private let group: EventLoopGroup
    private let context: GatewayContext
    private let owner: SessionStore.Owner
    private let listeners = Mutex<[OpenListener]>([])

    /// `becameReachable` hears of devices whose route with a methods subscription has been published; of too many at
    /// once it may miss some.
    package init(
        _ configuration: GatewayConfiguration, parts: Parts, group: EventLoopGroup = .shared,
        desk: any GatewayDesk,
        becameReachable: @escaping @Sendable ([String]) async -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.parts = parts
        self.group = group
        owner = SessionStore.Owner(gateway: configuration.id.name, incarnation: configuration.id.incarnation)
        self.desk = desk
        table = SessionTable(desk: desk)
        desk.attach(table)
        context = Self.context(
            configuration, parts, owner: owner, table: table, desk: desk, becameReachable: becameReachable)
    }

    private static func context(
        _ configuration: GatewayConfiguration, _ parts: Parts, owner: SessionStore.Owner, table: SessionTable,
        desk: any CallDesk, becameReachable: @escaping @Sendable ([String]) async -> Void
    ) -> GatewayContext {
        let (limits, log, clock) = (configuration.limits, parts.log, parts.clock)
        let notices = NoticeKeeper(store: parts.sessions, table: table, clock: clock, log: log)
        let routes = RouteKeeper(
            store: parts.routes, gateway: configuration.id, table: table, notices: notices, clock: clock,
            random: parts.random, log: log)
        // Apart from the CONNECTs, which must not wait for what is done about the devices.
        let reachable = Batcher<String>(
            lanes: 1, waitingLimit: limits.connectsWaiting, batchLimit: SessionStore.batchLimit, isDistinct: true,
            key: { $0 }, body: becameReachable)
        let connects = ConnectDesk(
            store: parts.sessions, owner: owner, table: table, routes: routes,
            check: DeviceTokenCheck(hosts: configuration.hosts),
            policies: PolicyCache(clock: clock, load: parts.policies), clock: clock, log: log,
            reachable: reachable)
        let subscriptions = SubscriptionDesk(
            store: parts.sessions, owner: owner, table: table, routes: routes, log: log,
            reachable: reachable)
        let errors = TwinErrors(clock: clock, random: parts.random)
        let twins = TwinDesk(
            store: parts.sessions, reportedBytes: limits.reportedBytes, errors: errors, log: log,
            metrics: parts.metrics)
        return GatewayContext(
            limits: limits, sessions: configuration.sessions, table: table,
            connects: Batcher(
                lanes: GatewayLimits.lanes, waitingLimit: limits.connectsWaiting, batchLimit: SessionStore.batchLimit,
                isDistinct: true, key: \.deviceID, body: { await connects.decide($0) }),
            subscriptions: Batcher(
                lanes: 1, waitingLimit: limits.connectsWaiting, batchLimit: SessionStore.batchLimit, isDistinct: true,
                key: \.deviceID, body: { await subscriptions.change($0) }),
            twins: Batcher(
                lanes: GatewayLimits.lanes, waitingLimit: limits.twinRequestsWaiting,
                batchLimit: SessionStore.batchLimit, isDistinct: false, key: \.deviceID,
                body: { await twins.serve($0) }),
            twinErrors: errors,
            activity: ActivityKeeper(store: parts.sessions, owner: owner, clock: clock, log: log), routes: routes,
            notices: notices,
            desk: desk, counters: GatewayCounters(), clock: clock, log: log, metrics: parts.metrics)
    }

    /// Makes the handler of one connection, whatever carries it.
    package var handlers: @Sendable (Reactor) -> any ByteStreamHandler {
        { [context] _ in DeviceSession(context) }
    }

    /// The same, but nil once this gateway is about to end: a WebSocket can still be refused with a status.
    var handlersWhileServing: @Sendable (Reactor) -> (any ByteStreamHandler)? {
        { [context] _ in context.isDraining ? nil : DeviceSession(context) }
    }

    // MARK: Life

    /// Makes itself known to both stores and listens; returns the addresses with the ports that were chosen. Throws when
    /// a store does not answer, an address cannot be listened on, or the process may not open enough files.
    package func start() async throws -> [SocketAddress] {
        let needed = configuration.sessions + GatewayLimits.descriptorsBesides
        DescriptorLimit.raise()
        let limit = DescriptorLimit.current
        guard limit >= needed else {
            throw GatewayError.tooFewDescriptors(limit: limit, needed: needed, sessions: configuration.sessions)
        }
        try await parts.sessions.join(owner)
        try await beatRedis()
        var addresses: [SocketAddress] = []
        for listener in configuration.listeners {
            let (open, address) = try await OpenListener.open(
                listener, connections: configuration.sessions, group: group, gateway: self, parts: parts)
            listeners.withLock { $0.append(open) }
            addresses.append(address)
        }
        return addresses
    }

    /// Serves until the task is cancelled; then closes all sessions in order. To be called after `start`.
    package func run() async throws {
        var failure: (any Error)?
        let registry = RegistryKeeper(store: parts.sessions, table: table, log: parts.log)
        let reader = InboxReader(
            store: parts.routes, gateway: configuration.id, table: table, desk: desk, notices: context.notices,
            registry: registry, clock: parts.clock, random: parts.random, log: parts.log)
        // Calls are taken and answered until the last session is closed, so these are tasks of their own.
        let reading = Task { try await reader.run() }
        let calling = Task { await desk.run() }
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    try await self.repeating(self.configuration.limits.beatInterval) { try await self.beat() }
                }
                tasks.addTask {
                    try await self.repeating(self.configuration.limits.flushInterval) {
                        await self.context.activity.flush()
                    }
                }
                tasks.addTask {
                    try await self.repeating(self.configuration.limits.beatInterval) {
                        // Until then the routes are not where a change would look for them.
                        if self.context.routes.isReached { await self.context.notices.catchUp() }
                    }
                }
                tasks.addTask {
                    try await self.repeating(self.configuration.limits.registryInterval) { await registry.walk() }
                }
                tasks.addTask {
                    await registry.watch()
                    try Task.checkCancellation()
                }
                defer { tasks.cancelAll() }
                // Not waitForAll: that would tell of an error only when all have ended.
                for try await _ in tasks {}
            }
        } catch is CancellationError {
            // The ordinary end.
        } catch {
            parts.log.error("gateway_ends", [("error", .string("\(error)"))])
            failure = error
        }
        // In a task of its own, because this one may be cancelled.
        await Task {
            await closeSessions()
            await context.routes.retire()
            reading.cancel()
            _ = await reading.result
            await reader.finish()
            calling.cancel()
            await calling.value
            await leave()
        }.value
        if let failure { throw failure }
    }

    private func repeating(_ interval: Duration, _ body: @Sendable () async throws -> Void) async throws {
        while true {
            try await parts.clock.sleep(for: interval)
            try await body()
        }
    }

    private func beatRedis() async throws(StoreError) {
        let sentAt = parts.clock.now
        desk.synchronize(redisMilliseconds: try await context.routes.beat().redisMilliseconds, sentAt: sentAt)
    }

    /// Throws only when this life is over.
    private func beat() async throws {
        do {
            try await beatRedis()
        } catch {
            // Logged by the keeper; the next beat tries again.
        }
        do {
            guard try await parts.sessions.beat(owner) else { throw GatewayError.declaredGone }
        } catch let error as StoreError {
            parts.log.warning("beat_failed", [("error", .string("\(error)"))])
        }
        context.counters.flush(to: parts.metrics)
        parts.metrics.gauge("muster_gateway_sessions", "Open sessions of devices", Double(table.count))
    }

    /// Stops accepting and closes the sessions piece by piece.
    private func closeSessions() async {
        context.beginDraining()
        // It may take longer than a gateway may be silent.
        let beats = Task {
            do {
                try await repeating(configuration.limits.beatInterval) { try await beat() }
            } catch {
                parts.log.debug("beats_end", [("error", .string("\(error)"))])
            }
        }
        let listeners = listeners.withLock { $0 }
        for listener in listeners { await listener.stopAccepting() }
        for piece in table.allRoutes().pieces(of: configuration.limits.drainChunk) {
            table.end(piece, .draining)
            await rest(configuration.limits.drainPause)
        }
        let end = parts.clock.now + configuration.limits.drainTimeout
        while parts.clock.now < end {
            table.end(table.allRoutes(), .draining)
            let isFlushed = await context.activity.flush()
            if isFlushed, table.count == 0, context.isIdle, context.routes.isSettled { break }
            await rest(.milliseconds(50))
        }
        for listener in listeners { await listener.end() }
        beats.cancel()
        await beats.value
    }

    /// Writes what is still to be written; after that this life is over.
    private func leave() async {
        await context.activity.flush()
        await context.routes.leave()
        do {
            try await parts.sessions.leave(owner)
        } catch {
            parts.log.warning("leave_failed", [("error", .string("\(error)"))])
        }
        context.counters.flush(to: parts.metrics)
    }

    private func rest(_ duration: Duration) async {
        do {
            try await parts.clock.sleep(for: duration)
        } catch {
            // Nobody cancels this task.
        }
    }
}
