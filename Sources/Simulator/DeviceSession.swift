// One device's side of MQTT, without any I/O: packets and the time go in, packets and a deadline come out.
//
// Phases and the allowed moves:
//   idle         no connection                                   -> greeting
//   greeting     CONNECT sent                                    -> subscribing, ready (stored session), idle
//   subscribing  SUBSCRIBE sent                                  -> ready, idle
//   ready        methods, twin results and desired are subscribed -> idle
//
// Being ready, a device reads its twin, as 8.7 asks: only what it reads after subscribing plus every notification after
// that is its desired state. What concerns the twin stands in DeviceSession+Twin.swift.

import MQTT
import ServiceKit

struct DeviceSession {
    enum Phase: UInt8 {
        case idle
        case greeting
        case subscribing
        case ready
    }

    /// An answer that waits for its time, or for a connection.
    struct PendingAnswer {
        let due: Instant
        let rid: String
        let status: Int32
        let body: [UInt8]
        let record: Int?
    }

    struct Unacknowledged {
        let packetID: UInt16
        let topic: String
        let payload: [UInt8]
    }

    let number: Int
    let deviceID: String
    let traits: DeviceTraits
    var account = DeviceAccount()
    private(set) var phase = Phase.idle

    /// The end of waiting for CONNACK, SUBACK or PINGRESP.
    private var answerDeadline: Instant?
    private var lastSent = Instant(nanoseconds: 0)
    private var isPinging = false
    private var flapDeadline: Instant?
    var reportDeadline: Instant?
    var twin = TwinReading()
    /// By time.
    private var pendingAnswers: [PendingAnswer] = []
    private var unacknowledged: [Unacknowledged] = []
    private var lastPacketID: UInt16 = 0
    /// Connections in a row that did not get as far as being ready.
    private var failures = 0
    private var attempts = 0
    private var hasSubscribed = false
    private var wasReady = false
    private var isLeaving = false
    var reportCount = 0

    init(number: Int, _ context: SessionContext) {
        self.number = number
        deviceID = context.settings.deviceID(number)
        traits = DeviceTraits(context.settings.shares, context.random, device: number)
    }

    // MARK: The connection

    /// Bytes can flow.
    mutating func opened(_ context: SessionContext) {
        phase = .greeting
        isPinging = false
        let unit = context.random.unit(.token, device: number, index: attempts)
        send(
            .connect(
                context.settings.credentials.connect(
                    deviceID: deviceID, keepAlive: context.settings.keepAlive, unixTime: context.unixTime, unit: unit)),
            context)
        answerDeadline = context.now + SimulatorLimits.connectTimeout
    }

    /// The connection is gone, or never came to be. Returns how long to wait before the next.
    mutating func closed(_ context: SessionContext) -> Duration {
        if phase == .ready { context.counters.ready -= 1 }
        let isWanted = isLeaving
        isLeaving = false
        if !isWanted {
            if phase == .idle || phase == .greeting {
                context.counters.failedConnects += 1
            } else {
                context.counters.losses += 1
            }
        }
        let spread = context.random.unit(.reconnect, device: number, index: attempts)
        attempts += 1
        failures = phase == .ready ? 0 : failures + 1
        phase = .idle
        answerDeadline = nil
        flapDeadline = nil
        twin.stop()
        guard !isWanted else { return context.settings.flapInterval * (0.5 + spread) }
        let doubled = SimulatorLimits.reconnectInitial * (1 << min(failures, 10))
        return min(doubled, SimulatorLimits.reconnectMaximum) * (0.5 + 0.5 * spread)
    }

    /// Says goodbye for good.
    mutating func leave(_ context: SessionContext) {
        isLeaving = true
        if phase != .idle { send(.disconnect, context) }
        context.end(.orderly)
    }

    // MARK: Time

    /// When `timePassed` wants to be called; nil for not at all.
    func deadline(_ context: SessionContext) -> Instant? {
        guard phase != .idle else { return nil }
        var earliest = answerDeadline
        func consider(_ other: Instant?) {
            if let other { earliest = earliest.map { min($0, other) } ?? other }
        }
        if !isPinging, phase == .ready { consider(lastSent + context.keepAlive) }
        if phase == .ready || phase == .subscribing { consider(pendingAnswers.first?.due) }
        if phase == .ready {
            consider(flapDeadline)
            consider(reportDeadline)
            consider(twin.deadline)
        }
        return earliest
    }

    mutating func timePassed(_ context: SessionContext) {
        guard phase != .idle else { return }
        if let answerDeadline, answerDeadline <= context.now {
            context.report("timeout", "\(deviceID): the gateway does not answer in time")
            return context.end(.atOnce)
        }
        sendDueAnswers(context)
        guard phase == .ready else { return }
        if let flapDeadline, flapDeadline <= context.now { return leave(context) }
        if let reportDeadline, reportDeadline <= context.now { report(context) }
        if let deadline = twin.deadline, deadline <= context.now { readTwin(context) }
        if !isPinging, lastSent + context.keepAlive <= context.now {
            isPinging = true
            answerDeadline = context.now + SimulatorLimits.answerTimeout
            send(.pingreq, context)
        }
    }

    // MARK: Packets

    mutating func received(_ packet: MQTTPacket, _ context: SessionContext) {
        switch (packet, phase) {
        case (.connack(let isPresent, let code), .greeting):
            greeted(isPresent: isPresent, code: code, context)
        case (.suback(_, let codes), .subscribing):
            subscribed(codes, context)
        case (.publish(let message), .subscribing), (.publish(let message), .ready):
            if message.qos > 0 { send(.puback(packetID: message.packetID), context) }
            received(message, context)
        case (.puback(let id), _):
            // One is what waits nearly always; its memory stays for the next.
            if unacknowledged.count == 1, unacknowledged[0].packetID == id {
                unacknowledged.removeLast()
            } else {
                unacknowledged.removeAll { $0.packetID == id }
            }
        case (.pingresp, _):
            isPinging = false
            if phase == .ready { answerDeadline = nil }
        default:
            context.counters.strangePackets += 1
            context.report("packet", "\(deviceID): the gateway sent what nobody expects: \(packet)")
            context.end(.atOnce)
        }
    }

    private mutating func greeted(isPresent: Bool, code: UInt8, _ context: SessionContext) {
        guard code == 0 else {
            context.counters.refusals[code, default: 0] += 1
            context.report("connack \(code)", "\(deviceID): the gateway refuses it: \(Self.meaning(ofCode: code))")
            return context.end(.atOnce)
        }
        context.counters.connects += 1
        account.connects += 1
        for answer in unacknowledged {
            context.counters.resentAnswers += 1
            let message = MQTTPublish(
                topic: answer.topic, payload: answer.payload, qos: 1, packetID: answer.packetID, isDuplicate: true)
            send(.publish(message), context)
        }
        // As most clients do: what the service has stored is not asked for again.
        guard !(isPresent && hasSubscribed) else { return becomeReady(context) }
        phase = .subscribing
        answerDeadline = context.now + SimulatorLimits.answerTimeout
        let filters = [HubSubscription.methods, .twinResults, .desired].map {
            MQTTSubscription(filter: $0.filter(deviceID: deviceID), qos: context.settings.qos)
        }
        send(.subscribe(packetID: nextPacketID(), filters), context)
    }

    private mutating func subscribed(_ codes: [UInt8], _ context: SessionContext) {
        guard codes.count == 3, codes.allSatisfy({ $0 <= 1 }) else {
            context.counters.refusedSubscriptions += 1
            context.report("suback", "\(deviceID): the gateway refuses its subscriptions: \(codes)")
            return context.end(.atOnce)
        }
        hasSubscribed = true
        becomeReady(context)
    }

    private mutating func becomeReady(_ context: SessionContext) {
        phase = .ready
        answerDeadline = nil
        failures = 0
        context.counters.ready += 1
        if !wasReady { context.counters.everReady += 1 }
        wasReady = true
        if traits.isFlapping {
            let unit = context.random.unit(.flap, device: number, index: account.connects)
            flapDeadline = context.now + context.settings.flapInterval * (0.5 + unit)
        }
        readTwin(context)
        if reportCount == 0, context.settings.report != nil || context.settings.reportInterval != nil {
            startReporting(context)
        }
        sendDueAnswers(context)
    }

    private mutating func received(_ message: MQTTPublish, _ context: SessionContext) {
        switch HubPublish(topic: message.topic) {
        case .method(let name, let rid): called(name, rid: rid, message.payload, context)
        case .twinResult(let status, let rid, _): twinResult(status, rid: rid, message.payload, context)
        case .desired(let version): desiredChanged(message.payload, version: version, context)
        case nil:
            context.counters.strangePackets += 1
            context.report("topic", "\(deviceID): a message on a topic that it does not know: \(message.topic)")
        }
    }

    // MARK: Methods

    private mutating func called(_ method: String, rid: String, _ payload: [UInt8], _ context: SessionContext) {
        let index = account.callCount
        let record = account.record(
            DeviceAccount.Call(
                method: context.methods.number(of: method), payload: context.payloads.number(of: payload), rid: rid))
        context.counters.calls += 1
        guard !traits.isSilent, case .answer(var status, var body) = context.handlers.reply(to: method) else {
            context.counters.unanswered += 1
            return
        }
        let rate = context.settings.failureRate
        if rate > 0, context.random.unit(.failure, device: number, index: index) < rate {
            context.counters.simulatedFailures += 1
            status = 500
            body = Array(#"{"error":"simulated failure"}"#.utf8)
        }
        let delay =
            context.latency == .none
            ? .zero : context.latency.draw(context.random.unit(.latency, device: number, index: index))
        let answer = PendingAnswer(
            due: context.now + delay, rid: rid, status: status, body: body ?? name, record: record)
        guard delay > .zero else { return send(answer, context) }
        let place = pendingAnswers.lastIndex { $0.due <= answer.due }.map { $0 + 1 } ?? 0
        pendingAnswers.insert(answer, at: place)
    }

    /// The body of an answer for which no other is set.
    private var name: [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(16 + deviceID.utf8.count)
        body.append(contentsOf: #"{"device":""#.utf8)
        body.append(contentsOf: deviceID.utf8)
        body.append(contentsOf: #""}"#.utf8)
        return body
    }

    /// What became due while there was no connection goes out with the next one.
    private mutating func sendDueAnswers(_ context: SessionContext) {
        guard phase == .ready || phase == .subscribing else { return }
        let due = pendingAnswers.prefix { $0.due <= context.now }
        guard !due.isEmpty else { return }
        pendingAnswers.removeFirst(due.count)
        for answer in due { send(answer, context) }
    }

    private mutating func send(_ answer: PendingAnswer, _ context: SessionContext) {
        let topic = DevicePublish.methodResult(status: answer.status, rid: answer.rid).topic(deviceID: deviceID)
        let qos = context.qos
        let id = qos > 0 ? nextPacketID() : 0
        if qos > 0 {
            if unacknowledged.count == SimulatorLimits.unacknowledgedPerDevice { unacknowledged.removeFirst() }
            unacknowledged.append(Unacknowledged(packetID: id, topic: topic, payload: answer.body))
        }
        send(.publish(MQTTPublish(topic: topic, payload: answer.body, qos: qos, packetID: id)), context)
        account.recordAnswer(answer.record, status: answer.status)
        context.counters.answers += 1
    }

    // MARK: Sending

    mutating func send(_ packet: MQTTPacket, _ context: SessionContext) {
        lastSent = context.now
        context.send(packet)
    }

    mutating func nextPacketID() -> UInt16 {
        repeat {
            lastPacketID = lastPacketID == .max ? 1 : lastPacketID + 1
        } while unacknowledged.contains {
            $0.packetID == lastPacketID
        }
        return lastPacketID
    }

    static func meaning(ofCode code: UInt8) -> String {
        switch code {
        case 1: "its protocol level is not supported (CONNACK 1)"
        case 2: "its client id is not accepted (CONNACK 2)"
        case 3: "the service is unavailable (CONNACK 3)"
        case 4: "bad user name or password (CONNACK 4)"
        case 5: "not authorised: no such device, a disabled one, or a wrong key (CONNACK 5)"
        default: "CONNACK \(code)"
        }
    }
}
