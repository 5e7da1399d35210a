// What a device may send, and what it is sent.

import Calls
import MQTT
import SessionStore
import Sockets

extension DeviceSession {
    func handle(_ packet: MQTTPacket) {
        if mode == .connecting {
            guard case .connect(let connect) = packet else { return end(.notConnect) }
            return self.connect(connect)
        }
        switch packet {
        case .connect: end(.secondConnect)
        case .publish(let publish): received(publish)
        case .subscribe(let packetID, let subscriptions): subscribe(packetID, subscriptions)
        case .unsubscribe(let packetID, let filters): unsubscribe(packetID, filters)
        case .pingreq: write(.pingresp)
        case .disconnect:
            hasWill = false
            end(.disconnect)
        case .puback: break  // Nothing is sent to devices at QoS 1.
        case .connack, .suback, .unsuback, .pingresp: end(.unexpectedPacket)
        }
    }

    // MARK: PUBLISH

    private func received(_ publish: MQTTPublish) {
        guard publish.qos < 2 else { return end(.qualityOfService) }
        guard publish.qos == 0 || publish.packetID != 0 else { return end(.malformed, detail: "packet id 0") }
        guard let topic = DevicePublish(topic: publish.topic, deviceID: deviceID) else {
            return end(.unknownTopic, detail: String(publish.topic.prefix(80)))
        }
        if publish.qos == 1 { write(.puback(packetID: publish.packetID)) }
        switch topic {
        case .telemetry:
            context.counters.countTelemetry()
        case .methodResult(let status, let rid):
            // Other clients' ids have other forms; late ones are the desk's to drop.
            guard rid.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let number = UInt64(rid)
            else { return }
            context.desk.answered(number, deviceID: deviceID, status: status, payload: publish.payload)
        case .twinGet(let rid):
            ask(.get, rid: rid)
        case .reported(let rid, let version):
            ask(.reported(payload: publish.payload, version: version), rid: rid)
        }
    }

    private func ask(_ question: TwinRequest.Question, rid: String) {
        guard let handle else { return }
        requestsWaiting += 1
        let request = TwinRequest(deviceID: deviceID, rid: rid, question: question, handle: handle)
        if !context.twins.submit(request) { answered(context.twinErrors.answer(.throttled, rid: rid)) }
    }

    /// The twin desk's answer.
    func answered(_ answer: MQTTPublish) {
        requestsWaiting -= 1
        write(.publish(answer))
        proceed()
    }

    // MARK: SUBSCRIBE

    private func subscribe(_ packetID: UInt16, _ asked: [MQTTSubscription]) {
        guard packetID != 0 else { return end(.malformed, detail: "packet id 0") }
        var wanted = subscriptions
        var codes: [UInt8] = []
        for subscription in asked {
            guard let known = HubSubscription(filter: subscription.filter, deviceID: deviceID) else {
                codes.append(MQTTPacket.refused)
                continue
            }
            wanted.insert(SubscriptionSet(known))
            codes.append(min(subscription.qos, 1))
        }
        change(to: wanted, answer: .suback(packetID: packetID, codes: codes))
    }

    private func unsubscribe(_ packetID: UInt16, _ filters: [String]) {
        guard packetID != 0 else { return end(.malformed, detail: "packet id 0") }
        let known = filters.compactMap { HubSubscription(filter: $0, deviceID: deviceID) }
        change(
            to: known.reduce(into: subscriptions) { $0.remove(SubscriptionSet($1)) },
            answer: .unsuback(packetID: packetID))
    }

    /// The answer waits until the subscriptions are stored and the directory has been told, and for those before it.
    private func change(to wanted: SubscriptionSet, answer: MQTTPacket) {
        guard let handle else { return }
        guard wanted != subscriptions || storesWaiting > 0 else { return write(answer) }
        subscriptions = wanted
        requestsWaiting += 1
        storesWaiting += 1
        let request = SubscriptionRequest(
            deviceID: deviceID, session: session, subscriptions: wanted, isKept: !isClean, answer: answer,
            handle: handle)
        if !context.subscriptions.submit(request) { end(.storeFailed, detail: "too many subscriptions wait") }
    }

    /// The subscription desk's answer; nil when they could not be stored. The client, connected again, finds what was
    /// stored before, and subscribes again because it never got this answer.
    func subscribed(_ answer: MQTTPacket?) {
        requestsWaiting -= 1
        storesWaiting -= 1
        guard let answer else { return end(.storeFailed) }
        write(answer)
        proceed()
    }

    // MARK: To the device

    func write(_ rid: UInt64, _ message: CallMessage) {
        guard mode == .open, subscriptions.contains(SubscriptionSet(.methods)) else {
            return context.desk.undeliverable([rid])
        }
        guard context.desk.mayWrite(rid, session: session) else { return }
        context.counters.countCall()
        channel?.write(MQTTPublish.encoded(topic: message.topic, number: rid, payload: message.payload))
    }

    func notify(_ notification: DesiredNotification, version: Int64) {
        guard mode == .open, subscriptions.contains(SubscriptionSet(.desired)) else { return }
        context.counters.countNotification()
        write(
            .publish(
                MQTTPublish(
                    topic: HubPublish.desired(version: version).topic, payload: notification.body(version: version))))
    }
}
