// A gateway whose devices are closures instead of sockets: everything else (directory, inboxes, ledger, PostgreSQL) is
// real. It counts how often each device was called, and it can die, freeze and lose its devices. The real gateway has
// tests of its own.

import Calls
import JSON
import JobStore
import LeaseStore
import Postgres
import RouteStore
import ServiceKit
import Synchronization
import Testing

/// What a device does with a call.
enum DeviceAnswer: Sendable {
    case answers(status: Int32, payload: String)
    case silence
    /// Its connection breaks.
    case drops
}

final class DeviceDouble: CallWriter {
    typealias Behaviour = @Sendable (_ device: String, _ call: Int) -> DeviceAnswer

    private struct State {
        var sessions: [String: Int64] = [:]
        var calls: [String: Int] = [:]
        var rids: [String: [UInt64]] = [:]
        var notices: [DesiredPart] = []
        var settled = 0
        var closed = 0
        var inbox: Task<Void, Never>?
        var ticks: Task<Void, Never>?
        var beats: Task<Void, Never>?
    }

    let id: GatewayID
    private let world: JobWorld
    private let desk: GatewayCalls
    private let behaviour: Behaviour
    private let state = Mutex(State())
    /// Of its calls.
    let metrics = Metrics()

    init(_ name: String, _ world: JobWorld, _ behaviour: @escaping Behaviour) {
        id = GatewayID(name: name, incarnation: String(SystemRandom().next(), radix: 36))
        self.world = world
        self.behaviour = behaviour
        desk = GatewayCalls(
            gateway: id, routes: world.routes, methodTopic: { "\($0)/" }, clock: world.clock,
            random: SystemRandom(), log: .silent, metrics: metrics)
        desk.attach(self)
    }

    /// Calls that reached each device.
    var calls: [String: Int] { state.withLock(\.calls) }

    /// Answers that it was told are recorded.
    var settled: Int { state.withLock(\.settled) }
    /// Batches that it was told are closed.
    var closed: Int { state.withLock(\.closed) }
    /// Calls that it remembers.
    var remembered: Double? { metrics.value("muster_gateway_invocations") }

    /// Desired changes that reached each device: its version and the patch's text.
    var notices: [String: [(version: Int64, patch: String)]] {
        var notices: [String: [(Int64, String)]] = [:]
        for part in state.withLock(\.notices) {
            for device in part.devices {
                notices[device.deviceID, default: []].append((device.version, JSONValue.object(part.patch).text))
            }
        }
        return notices
    }

    func start() async throws {
        try await enter()
        try await beat()
        let beats = Task { [self] in
            while !Task.isCancelled {
                do {
                    try await world.clock.sleep(for: .milliseconds(500))
                    try await beat()
                } catch {
                    continue  // the next beat tells
                }
            }
        }
        let ticks = Task { [desk] in await desk.run() }
        state.withLock { state in
            state.beats = beats
            state.ticks = ticks
        }
        startInbox()
    }

    private func enter() async throws {
        try await world.execute(
            "INSERT INTO gateways (gateway, incarnation) VALUES ('\(id.name)', '\(id.incarnation)')")
    }

    private func beat() async throws {
        let sent = world.clock.now
        let beat = try await world.routes.beat(id, candidate: "c")
        desk.synchronize(redisMilliseconds: beat.redisMilliseconds, sentAt: sent)
        try await world.execute(
            "UPDATE gateways SET seen_at = clock_timestamp() WHERE gateway = '\(id.name)' AND incarnation = '\(id.incarnation)'"
        )
    }

    func startInbox() {
        let task = Task { [self] in
            while !Task.isCancelled {
                do {
                    for message in try await world.routes.receive(id, timeout: .seconds(1)).messages {
                        switch message {
                        case .calls(let part): desk.handle(part)
                        case .inquiry(let inquiry): desk.handle(inquiry)
                        case .settlement(let settlement):
                            desk.handle(settlement)
                            state.withLock { state in
                                state.settled += settlement.items.count
                                if settlement.closed != nil { state.closed += 1 }
                            }
                        case .desired(let part): state.withLock { $0.notices.append(part) }
                        case .close, .registryChanged: break
                        }
                    }
                } catch {
                    // A test that failed left it behind, and its stores are closed: the others need the cores.
                    do {
                        try await world.clock.sleep(for: .milliseconds(50))
                    } catch {
                        return
                    }
                }
            }
        }
        state.withLock { $0.inbox = task }
    }

    /// Parts and inquiries stay in the inbox.
    func stopInbox() async {
        let task = state.withLock { $0.inbox }
        task?.cancel()
        await task?.value
    }

    /// As kill -9: nothing is answered any more, and after a while the leader declares it gone.
    func die() async {
        await stopInbox()
        let (beats, ticks) = state.withLock { state in
            state.sessions = [:]
            return (state.beats, state.ticks)
        }
        beats?.cancel()
        ticks?.cancel()
        await beats?.value
        await ticks?.value
    }

    /// As SIGTERM does: the sessions end, what is known is told, and this life is over.
    func leave() async throws {
        await stopInbox()
        let (beats, ticks, sessions) = state.withLock { state in
            defer { state.sessions = [:] }
            return (state.beats, state.ticks, state.sessions)
        }
        for (device, session) in sessions { desk.sessionClosed(deviceID: device, session: session) }
        ticks?.cancel()
        await ticks?.value
        beats?.cancel()
        await beats?.value
        try await world.routes.leave(id)
        try await world.execute("DELETE FROM gateways WHERE incarnation = '\(id.incarnation)'")
    }

    /// Without `readingWaiting` as a gateway that dies between publishing its sessions and looking for parked items.
    func connect(_ devices: [String], session: Int64 = 1, readingWaiting: Bool = true) async throws {
        state.withLock { state in for device in devices { state.sessions[device] = session } }
        for start in stride(from: 0, to: devices.count, by: RouteLimits.routesPerCall) {
            let some = devices[start..<min(start + RouteLimits.routesPerCall, devices.count)]
            try await world.routes.publish(
                some.map { SessionRoute(deviceID: $0, session: session, flags: [.methods, .desired]) }, of: id)
        }
        if readingWaiting { try await world.leases.offer(try await world.store.unpark(devices)) }
    }

    /// The session ends here; the directory still names it.
    func forget(_ devices: [String]) {
        state.withLock { state in for device in devices { state.sessions[device] = nil } }
    }

    func write(_ calls: [OutgoingCall], _ message: CallMessage) {
        for call in calls {
            guard let session = state.withLock({ $0.sessions[call.deviceID] }) else {
                desk.undeliverable([call.rid])
                continue
            }
            guard desk.mayWrite(call.rid, session: session) else { continue }
            let count = state.withLock { state in
                state.calls[call.deviceID, default: 0] += 1
                state.rids[call.deviceID, default: []].append(call.rid)
                return state.calls[call.deviceID] ?? 0
            }
            switch behaviour(call.deviceID, count) {
            case .answers(let status, let payload):
                desk.answered(call.rid, deviceID: call.deviceID, status: status, payload: Array(payload.utf8))
            case .silence: break
            case .drops: desk.sessionClosed(deviceID: call.deviceID, session: session)
            }
        }
    }

    /// Of the calls that reached a device.
    func rids(of device: String) -> [UInt64] { state.withLock { $0.rids[device] ?? [] } }

    /// A device answers over its present connection, perhaps to a call that came over another.
    func answer(_ device: String, rid: UInt64, status: Int32) {
        desk.answered(rid, deviceID: device, status: status, payload: [])
    }

    /// A device that was silent answers all its calls now.
    func answerNow(_ device: String, status: Int32) {
        for rid in state.withLock({ $0.rids[device] ?? [] }) {
            desk.answered(rid, deviceID: device, status: status, payload: [])
        }
    }
}
