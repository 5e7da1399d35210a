// What all sessions of a gateway share.

import Calls
import JSON
import RouteStore
import ServiceKit
import SessionStore
private import Synchronization

final class GatewayContext: Sendable {
    let limits: GatewayLimits
    /// Sessions that may be open.
    let sessions: Int
    let table: SessionTable
    let connects: Batcher<ConnectRequest>
    let subscriptions: Batcher<SubscriptionRequest>
    let twins: Batcher<TwinRequest>
    let twinErrors: TwinErrors
    let activity: ActivityKeeper
    let routes: RouteKeeper
    let notices: NoticeKeeper
    let desk: any CallDesk
    let counters: GatewayCounters
    let clock: any ServiceClock
    private let log: Log
    private let metrics: Metrics
    private let draining = Atomic(false)

    init(
        limits: GatewayLimits, sessions: Int, table: SessionTable, connects: Batcher<ConnectRequest>,
        subscriptions: Batcher<SubscriptionRequest>, twins: Batcher<TwinRequest>, twinErrors: TwinErrors,
        activity: ActivityKeeper, routes: RouteKeeper, notices: NoticeKeeper, desk: any CallDesk,
        counters: GatewayCounters, clock: any ServiceClock, log: Log, metrics: Metrics
    ) {
        self.limits = limits
        self.sessions = sessions
        self.table = table
        self.connects = connects
        self.subscriptions = subscriptions
        self.twins = twins
        self.twinErrors = twinErrors
        self.activity = activity
        self.routes = routes
        self.notices = notices
        self.desk = desk
        self.counters = counters
        self.clock = clock
        self.log = log
        self.metrics = metrics
    }

    /// No CONNECT is accepted any more.
    var isDraining: Bool { draining.load(ordering: .relaxed) }
    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// No desk works or has anything to do.
    var isIdle: Bool { connects.isIdle && subscriptions.isIdle && twins.isIdle }

    /// An open session has ended: the directory, the calls and PostgreSQL learn it.
    func release(_ deviceID: String, session: Int64, lastHeard: Instant) {
        table.remove(deviceID, session: session)
        routes.withdraw(SessionRoute(deviceID: deviceID, session: session, flags: []))
        activity.closed(deviceID, session: session, lastHeard: lastHeard)
        desk.sessionClosed(deviceID: deviceID, session: session)
    }

    /// The word for the log and the counter. `device` is what the client claims to be until it is authenticated.
    func ended(_ reason: SessionEnd, device: String, wasOpen: Bool, detail: String?) {
        metrics.count(
            wasOpen ? "muster_gateway_sessions_closed_total" : "muster_gateway_connects_failed_total",
            wasOpen ? "Sessions that ended, by reason" : "Connections that ended before their CONNACK, by reason",
            labels: [("reason", reason.rawValue)])
        var fields: [(String, JSONValue)] = [
            ("device", .string(String(device.prefix(128)))), ("reason", .string(reason.rawValue)),
        ]
        if let detail { fields.append(("detail", .string(detail))) }
        let event = wasOpen ? "session_closed" : "connect_failed"
        if reason.isByDevice { log.debug(event, fields) } else { log.info(event, fields) }
    }
}

/// Counted on event loops without a lock, and taken into the metrics once a beat.
final class GatewayCounters: Sendable {
    private let telemetry = Atomic<Int>(0)
    private let wills = Atomic<Int>(0)
    private let callsWritten = Atomic<Int>(0)
    private let notifications = Atomic<Int>(0)

    func countTelemetry() { telemetry.wrappingAdd(1, ordering: .relaxed) }
    func countWill() { wills.wrappingAdd(1, ordering: .relaxed) }
    func countCall() { callsWritten.wrappingAdd(1, ordering: .relaxed) }
    func countNotification() { notifications.wrappingAdd(1, ordering: .relaxed) }

    func flush(to metrics: Metrics) {
        metrics.count(
            "muster_gateway_telemetry_total", "Telemetry messages acknowledged",
            by: telemetry.exchange(0, ordering: .relaxed))
        metrics.count(
            "muster_gateway_wills_total", "Wills of lost connections", by: wills.exchange(0, ordering: .relaxed))
        metrics.count(
            "muster_gateway_calls_written_total", "Method requests written to devices",
            by: callsWritten.exchange(0, ordering: .relaxed))
        metrics.count(
            "muster_gateway_notifications_total", "Desired notifications written to devices",
            by: notifications.exchange(0, ordering: .relaxed))
    }
}
