// Keeps the directory in Redis equal to the session table: a beat a second; routes published when sessions open or change
// and withdrawn when they end; what failed is tried again with the next beat; and everything once more when Redis lost
// its content. The table is the truth: what is published is taken from it or held against it afterwards.

import JSON
import LeaseStore
import RouteStore
import ServiceKit
private import Synchronization

final class RouteKeeper: Sendable {
    private struct State {
        var incarnation: RedisIncarnation?
        var lastBeat: Instant?
        /// Since then the directory may have lacked some of our routes.
        var interruptedSince: Instant?
        /// The last call failed: nobody waits for Redis until a beat comes through.
        var isDegraded = false
        /// Devices whose route is to be published from the table.
        var unpublished: Set<String> = []
        var withdrawals: [String: SessionRoute] = [:]
        var isWithdrawing = false
    }

    private let store: RouteStore
    private let gateway: GatewayID
    private let table: SessionTable
    private let notices: NoticeKeeper
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private let state = Mutex(State())

    init(
        store: RouteStore, gateway: GatewayID, table: SessionTable, notices: NoticeKeeper, clock: any ServiceClock,
        random: any RandomSource, log: Log
    ) {
        self.store = store
        self.gateway = gateway
        self.table = table
        self.notices = notices
        self.clock = clock
        self.random = random
        self.log = log
    }

    // MARK: Beats

    /// A sign of life; then whatever is still to be told to Redis.
    func beat() async throws(StoreError) -> GatewayBeat {
        let beat: GatewayBeat
        let sentAt = clock.now
        do {
            beat = try await store.beat(gateway, candidate: String(random.next(), radix: 36))
        } catch {
            degrade(error, "beat")
            throw error
        }
        let (before, wasDegraded) = state.withLock { state in
            defer {
                state.incarnation = beat.incarnation
                state.isDegraded = false
                state.lastBeat = sentAt
            }
            let isInterrupted =
                state.isDegraded || state.incarnation.map { $0 != beat.incarnation } ?? false
                || state.lastBeat.map { sentAt - $0 >= RouteLimits.gatewayLife } ?? false
            if isInterrupted, state.interruptedSince == nil { state.interruptedSince = state.lastBeat ?? sentAt }
            return (state.incarnation, state.isDegraded)
        }
        if wasDegraded { log.info("directory_reached_again") }
        if let before, before != beat.incarnation {
            log.warning("directory_lost", [("sessions", .integer(Int64(table.count)))])
            state.withLock { $0.withdrawals = [:] }
            await publish(table.allRoutes())
        }
        let unpublished = state.withLock { state in
            defer { state.unpublished = [] }
            return state.unpublished
        }
        await publish(table.routes(of: unpublished))
        startWithdrawing()
        let interruptedSince = state.withLock { state -> Instant? in
            guard !state.isDegraded, state.unpublished.isEmpty else { return nil }
            defer { state.interruptedSince = nil }
            return state.interruptedSince
        }
        if let interruptedSince { notices.mayHaveMissed(since: interruptedSince) }
        return beat
    }

    /// Redis could be reached when it was asked last.
    var isReached: Bool { state.withLock { !$0.isDegraded } }

    /// No part comes into the inbox any more; what is there can be read to the end.
    func retire() async {
        do {
            try await store.retire(gateway)
        } catch {
            log.warning("retire_failed", [("error", .string("\(error)"))])
        }
    }

    /// Redis forgets this life of the gateway.
    func leave() async {
        do {
            try await store.leave(gateway)
        } catch {
            log.warning("leave_failed", [("error", .string("\(error)"))])
        }
    }

    // MARK: Routes

    /// Returns when the directory has the routes, or at once when it cannot be reached: then a later beat publishes them.
    func publish(_ routes: [SessionRoute]) async {
        for piece in routes.pieces(of: RouteLimits.routesPerCall) {
            guard !state.withLock({ $0.isDegraded }) else {
                postpone(piece)
                continue
            }
            do {
                let beaten = Set(try await store.publish(piece, of: gateway))
                if !beaten.isEmpty { table.close(piece.filter { beaten.contains($0.deviceID) }) }
            } catch {
                postpone(piece)
                degrade(error, "publish")
            }
            check(piece)
        }
    }

    /// While routes are published sessions end and subscribe: what was withdrawn or published meanwhile may have come
    /// before, and what stands in the directory is old now.
    private func check(_ published: [SessionRoute]) {
        let current = Dictionary(
            table.routes(of: published.map(\.deviceID)).map { ($0.deviceID, $0) }, uniquingKeysWith: { $1 })
        var changed: [SessionRoute] = []
        for route in published {
            if let now = current[route.deviceID], now.session == route.session {
                if now.flags != route.flags { changed.append(now) }
            } else {
                withdraw(route)
            }
        }
        postpone(changed)
    }

    /// Soon, and together with others.
    func withdraw(_ route: SessionRoute) {
        state.withLock { state in
            if let other = state.withdrawals[route.deviceID], other.session > route.session { return }
            state.withdrawals[route.deviceID] = route
        }
        startWithdrawing()
    }

    /// Nothing is left to withdraw, or Redis does not answer.
    var isSettled: Bool {
        state.withLock { $0.isDegraded || ($0.withdrawals.isEmpty && !$0.isWithdrawing) }
    }

    private func startWithdrawing() {
        let mustStart = state.withLock { state in
            guard !state.isDegraded, !state.isWithdrawing, !state.withdrawals.isEmpty else { return false }
            state.isWithdrawing = true
            return true
        }
        guard mustStart else { return }
        Task {
            while let piece = takeWithdrawals() { await withdraw(piece) }
        }
    }

    private func takeWithdrawals() -> [SessionRoute]? {
        state.withLock { state in
            guard !state.isDegraded, !state.withdrawals.isEmpty else {
                state.isWithdrawing = false
                return nil
            }
            let piece = Array(state.withdrawals.values.prefix(RouteLimits.routesPerCall))
            for route in piece { state.withdrawals[route.deviceID] = nil }
            return piece
        }
    }

    private func withdraw(_ piece: [SessionRoute]) async {
        do {
            try await store.withdraw(piece, of: gateway)
        } catch {
            state.withLock { state in
                for route in piece where state.withdrawals[route.deviceID] == nil {
                    state.withdrawals[route.deviceID] = route
                }
            }
            degrade(error, "withdraw")
        }
    }

    // MARK: Trouble

    private func postpone(_ routes: [SessionRoute]) {
        state.withLock { $0.unpublished.formUnion(routes.map(\.deviceID)) }
    }

    private func degrade(_ error: StoreError, _ operation: String) {
        let isNew = state.withLock { state in
            defer { state.isDegraded = true }
            return !state.isDegraded
        }
        if isNew {
            log.warning("directory_unreachable", [("operation", .string(operation)), ("error", .string("\(error)"))])
        }
    }
}
