// A gateway of the simulation: the shells of `Gateway`, `RouteKeeper`, `ConnectDesk`, `InboxReader` and `GatewayCalls` in
// events. What it decides about calls is the product's `InvocationLedger`, on the product's reading of Redis' clock.

import Calls
import ClusterModel
import JobModel
import LeaseStore
import RouteStore
import ServiceKit

final class SimulatedGateway: Process {
    private(set) var id = GatewayID(name: "", incarnation: "")
    private(set) var ledger = InvocationLedger(firstRID: 1)
    private var clock: RedisClockReading?
    /// Open sessions.
    private var table: [String: Session] = [:]
    private var incarnation: RedisIncarnation?
    private var isDegraded = false
    private(set) var isListening = false
    /// It has retired from the directory.
    private var hasLeft = false
    /// Answers on their way to Redis.
    private var sending = 0
    private var unpublished: Set<String> = []
    private var withdrawals: [String: Int64] = [:]
    private var outbox: [String: [InvocationLedger.Notice]] = [:]
    private var isFlushing = false
    /// Of the invocation that stands behind each call.
    private var invocations: [UInt64: InvocationID] = [:]
    private var sendBefore: [UInt64: Int64] = [:]
    var limits = InvocationLedger.Limits()

    struct Session {
        let session: Int64
        let connection: Connection
    }

    override func begin() {
        id = GatewayID(name: name, incarnation: "\(life)")
        (ledger, clock, table, incarnation) = (newLedger, nil, [:], nil)
        (isDegraded, unpublished, withdrawals, outbox, isFlushing) = (false, [], [:], [:], false)
        (invocations, sendBefore, hasLeft, sending) = ([:], [:], false, 0)
        join()
    }

    override func died() {
        isListening = false
        for (_, session) in table.sorted(by: { $0.key < $1.key }) { session.connection.device.lost(session.connection) }
        table = [:]
    }

    private var newLedger: InvocationLedger { InvocationLedger(limits: limits, firstRID: world.random.next() >> 17) }

    /// Makes itself known to both stores; without them the process ends, and comes again.
    private func join() {
        write("join_gateways", { .success($0.joinGateways(self.id.text)) }) { result in
            guard case .success = result else { return self.end() }
            self.beat { isWell in
                guard isWell else { return self.end() }
                self.repeatBeats()
                self.read()
                self.after(.milliseconds(500)) { self.tick() }
                self.after(.seconds(10)) { self.walk() }
                self.isListening = true
            }
        }
    }

    private func end() {
        crash()
        world.restart(self)
    }

    // MARK: Leave

    /// SIGTERM: sessions are closed, the inbox is read to the end, and what is known is told.
    func drain() {
        guard isAlive, isListening else { return }
        world.note("\(name) drains")
        isListening = false
        if world.isBroken(.gatewayLeavesSilently) { return leave() }
        closeSessions()
    }

    private func closeSessions() {
        guard let (device, session) = table.min(by: { $0.key < $1.key }) else { return retire() }
        close(device, upTo: session.session)
        after(.milliseconds(20)) { self.closeSessions() }
    }

    private func retire() {
        redis("retire", { $0.retire(self.id) }) { _ in self.hasLeft = true }
    }

    /// Bounded, because inquiries still come.
    private func finish(_ reads: Int) {
        redis("blmpop", { $0.receive(self.id.text) }) { result in
            guard case .success(let messages) = result, !messages.isEmpty, reads > 0 else {
                return self.after(.milliseconds(50)) { self.tellTheRest(until: self.world.now + .seconds(5)) }
            }
            for message in messages { self.handle(message) }
            self.finish(reads - 1)
        }
    }

    private func tellTheRest(until moment: Int64) {
        if outbox.isEmpty, sending == 0 { return leave() }
        guard world.now < moment else { return leave() }
        after(.milliseconds(3)) { self.tellTheRest(until: moment) }
    }

    private func leave() {
        redis("leave", { $0.leave(self.id) }) { _ in
            self.write("leave_gateways", { .success($0.leaveGateways(self.id.text)) }) { _ in self.end() }
        }
    }

    // MARK: Beats

    private func repeatBeats() {
        after(RouteLimits.beatInterval) {
            guard !self.hasLeft else { return }
            self.beat { _ in
                self.write("record_beat", { .success($0.recordBeat(self.id.text)) }) { result in
                    if case .success(false) = result { return self.end() }
                    self.repeatBeats()
                }
            }
        }
    }

    private func beat(_ then: @escaping (Bool) -> Void) {
        let sent = now
        redis("beat_gateway", { $0.beatGateway(self.id, candidate: "\(self.name)#\(self.world.now)") }) { result in
            guard case .success(let beat) = result else {
                self.isDegraded = true
                return then(false)
            }
            self.clock = RedisClockReading(milliseconds: beat.milliseconds, sentAt: sent)
            let before = self.incarnation
            (self.incarnation, self.isDegraded) = (beat.incarnation, false)
            let others = {
                let devices = self.unpublished
                self.unpublished = []
                self.publish(devices.sorted()) {
                    self.withdraw()
                    then(true)
                }
            }
            guard let before, before != beat.incarnation else { return others() }
            self.withdrawals = [:]
            self.publish(self.table.keys.sorted(), others)
        }
    }

    /// Until the directory has the routes, or at once when it cannot be reached.
    private func publish(_ devices: [String], _ then: @escaping () -> Void) {
        let routes = devices.compactMap { device in
            table[device].map { SessionRoute(deviceID: device, session: $0.session, flags: .methods) }
        }
        guard !routes.isEmpty else { return then() }
        guard !isDegraded else {
            unpublished.formUnion(routes.map(\.deviceID))
            return then()
        }
        redis("publish_routes", { $0.publishRoutes(routes, of: self.id) }) { result in
            switch result {
            case .success(let beaten):
                for route in routes where beaten.contains(route.deviceID) {
                    self.close(route.deviceID, upTo: route.session)
                }
            case .failure:
                self.unpublished.formUnion(routes.map(\.deviceID))
                self.isDegraded = true
            }
            for route in routes where self.table[route.deviceID]?.session != route.session {
                self.withdraw(route.deviceID, route.session)
            }
            then()
        }
    }

    private func withdraw(_ device: String, _ session: Int64) {
        withdrawals[device] = max(session, withdrawals[device] ?? 0)
        withdraw()
    }

    private func withdraw() {
        guard !isDegraded, !withdrawals.isEmpty else { return }
        let routes = withdrawals.sorted { $0.key < $1.key }.map {
            SessionRoute(deviceID: $0.key, session: $0.value, flags: .methods)
        }
        withdrawals = [:]
        redis("withdraw_routes", { $0.withdrawRoutes(routes, of: self.id) }) { result in
            guard case .failure = result else { return }
            self.isDegraded = true
            for route in routes where self.withdrawals[route.deviceID] == nil {
                self.withdrawals[route.deviceID] = route.session
            }
        }
    }

    private func walk() {
        let open = table.sorted { $0.key < $1.key }.map { (device: $0.key, session: $0.value.session) }
        read("find_lost_sessions", { $0.findLostSessions(open) }) { result in
            if case .success(let lost) = result {
                for (device, session) in open where lost.contains(device) { self.close(device, upTo: session) }
            }
            self.after(.seconds(10)) { self.walk() }
        }
    }

    // MARK: Sessions

    func connect(_ connection: Connection) {
        let device = connection.device.id
        write("open_sessions", { .success($0.openSession(of: device, gateway: self.id.text)) }) { result in
            guard case .success(let session) = result else { return connection.device.lost(connection) }
            if let old = self.table[device] {
                // A newer CONNECT of the same device was faster.
                guard old.session < session else { return connection.device.lost(connection) }
                self.drop(device)
            }
            connection.isAccepted = true
            self.table[device] = Session(session: session, connection: connection)
            if !connection.isOpen { self.close(device, upTo: session) }
            self.publish([device]) { self.reachable(device) }
        }
    }

    private func reachable(_ device: String) {
        write("unpark_devices", { .success($0.unparkDevices([device], batchSize: Limits.batchItems)) }) { result in
            guard case .success(let batches) = result, !batches.isEmpty else { return }
            self.redis("offer_batches", { $0.offerBatches(batches) }) { _ in }
        }
    }

    /// The device's end of the connection is closed.
    func closed(_ connection: Connection) {
        guard let held = table[connection.device.id], held.connection === connection else { return }
        close(connection.device.id, upTo: held.session)
    }

    private func close(_ device: String, upTo session: Int64) {
        guard let held = table[device], held.session <= session else { return }
        drop(device)
        withdraw(device, held.session)
        let number = held.session
        write("close_sessions", { .success($0.closeSession(number, of: device, gateway: self.id.text)) }) { _ in }
    }

    /// Out of the table, and its calls are dropped.
    private func drop(_ device: String) {
        guard let held = table.removeValue(forKey: device) else { return }
        held.connection.device.lost(held.connection)
        if world.isBroken(.gatewayForgets) { ledger = newLedger }
        tell(ledger.dropped(deviceID: device, session: held.session))
    }

    // MARK: Inbox

    private func read() {
        guard !hasLeft else { return finish(64) }
        world.receive(id.text, of: self, timeout: .seconds(1)) { result in
            guard case .success(let messages) = result else {
                return self.after(self.jittered(.milliseconds(200))) { self.read() }
            }
            for message in messages { self.handle(message) }
            self.read()
        }
    }

    private func handle(_ message: RedisModel.InboxMessage) {
        switch message {
        case .calls(let part): handle(part)
        case .inquiry(let inquiry):
            guard let clock else { return }
            tell(ledger.inquire(inquiry, at: clock.time(at: now)))
        case .settlement(let settlement): ledger.settle(settlement)
        case .close(let device, let session): close(device, upTo: session)
        case .answer: world.checker.fail("I5", "a gateway received an answer")
        }
    }

    private func handle(_ part: CallPart) {
        guard let clock else { return }
        if world.isBroken(.gatewayTakesOldParts) { ledger = newLedger }
        let past = GatewayTime(now: now, redisMilliseconds: part.sendBefore - 1)
        let time = world.isBroken(.gatewaySendsLate) ? past : clock.time(at: now)
        let acceptance = ledger.accept(part, at: time)
        tell(acceptance.notices)
        for (call, device) in acceptance.calls.map({ ($0.rid, $0.deviceID) }) {
            if let item = part.items.first(where: { $0.deviceID == device }) {
                invocations[call] = InvocationID(job: part.job, seq: item.seq, attempt: item.attempt)
            }
            sendBefore[call] = part.sendBefore
            guard table[device] != nil else {
                if let notice = ledger.undeliverable(call) { tell([notice]) }
                continue
            }
            // The session's loop takes it from here.
            after(world.random.time(0...200)) { self.write(call, to: device) }
        }
    }

    private func write(_ call: UInt64, to device: String) {
        guard let session = table[device], let clock else {
            if let notice = ledger.undeliverable(call) { tell([notice]) }
            return
        }
        let past = GatewayTime(now: now, redisMilliseconds: (sendBefore[call] ?? 0) - 1)
        let time = world.isBroken(.gatewaySendsLate) ? past : clock.time(at: now)
        let (isAllowed, notice) = ledger.mayWrite(call, session: session.session, at: time)
        if let notice { tell([notice]) }
        guard isAllowed, let invocation = invocations[call] else { return }
        world.checker.sent(invocation, to: device)
        session.connection.device.receive(call, invocation, over: session.connection, from: self)
    }

    func answered(_ call: UInt64, device: String) {
        let answer = CallOutcome.answered(status: 200, payload: "null")
        if let notice = ledger.answered(call, deviceID: device, outcome: answer) { tell([notice]) }
    }

    private func tick() {
        if let clock { tell(ledger.tick(clock.time(at: now))) }
        world.checker.looked(at: ledger, of: self)
        after(.milliseconds(500)) { self.tick() }
    }

    // MARK: Outbox

    private func tell(_ notices: [InvocationLedger.Notice]) {
        guard !notices.isEmpty else { return }
        for notice in notices { outbox[notice.replyTo, default: []].append(notice) }
        guard !isFlushing else { return }
        isFlushing = true
        after(.milliseconds(3)) { self.flush() }
    }

    private func flush() {
        let box = outbox.sorted { $0.key < $1.key }
        (outbox, isFlushing) = ([:], false)
        for (address, notices) in box {
            let parts = GatewayCalls.parts(of: notices, gateway: id.text)
            for part in parts.sorted(by: {
                ($0.job, $0.batch, $0.fence, $0.number) < ($1.job, $1.batch, $1.fence, $1.number)
            }) {
                sending += 1
                send(part, to: address)
            }
        }
    }

    private func send(_ part: AnswerPart, to address: String, tries: Int = 5) {
        guard tries > 0 else { return sending -= 1 }
        redis("push_message", { $0.pushMessage(.answer(part), to: address) }) { result in
            if case .success(true) = result { return self.sending -= 1 }
            self.after(self.jittered(.milliseconds(100))) { self.send(part, to: address, tries: tries - 1) }
        }
    }
}
