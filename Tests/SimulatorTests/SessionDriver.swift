// Drives one device's session as the network and the clock would, and shows what it did.

import MQTT
import ServiceKit

@testable import Simulator

struct SessionDriver {
    let context: SessionContext
    var session: DeviceSession
    /// What the session wants done since it was last asked.
    private(set) var sent: [MQTTPacket] = []
    private(set) var ending: SessionContext.Ending?

    init(number: Int = 0, _ change: (inout FleetSettings) -> Void = { _ in }) {
        var settings = FleetSettings(
            count: 1, credentials: DeviceCredentials(hostName: "localhost", policyName: "device", key: [1, 2, 3]))
        change(&settings)
        context = SessionContext(settings: settings)
        context.unixTime = 1_000_000
        session = DeviceSession(number: number, context)
    }

    /// What was sent since the last look.
    mutating func take() -> [MQTTPacket] {
        defer { sent = [] }
        return sent
    }

    private mutating func collect() {
        sent += context.takePackets()
        ending = context.takeEnding() ?? ending
    }

    mutating func open() {
        ending = nil
        session.opened(context)
        collect()
    }

    mutating func receive(_ packet: MQTTPacket) {
        session.received(packet, context)
        collect()
    }

    mutating func receive(_ publish: HubPublish, _ body: String, qos: UInt8 = 0, packetID: UInt16 = 0) {
        receive(.publish(MQTTPublish(topic: publish.topic, payload: Array(body.utf8), qos: qos, packetID: packetID)))
    }

    mutating func close() -> Duration {
        let wait = session.closed(context)
        collect()
        return wait
    }

    mutating func leave() {
        session.leave(context)
        collect()
    }

    /// Lets the time pass until then, with every deadline on the way.
    mutating func advance(by duration: Duration) {
        let end = context.now + duration
        while let deadline = session.deadline(context), deadline <= end, ending == nil {
            context.now = max(context.now, deadline)
            session.timePassed(context)
            collect()
        }
        context.now = end
    }

    /// From nothing to a device that has read its twin.
    mutating func becomeReady(sessionPresent: Bool = false, twin: String = #"{"desired":{"$version":1},"reported":{}}"#)
    {
        open()
        receive(.connack(sessionPresent: sessionPresent, code: 0))
        if session.phase == .subscribing { receive(.suback(packetID: 1, codes: [1, 1, 1])) }
        receive(.twinResult(status: 200, rid: twinRID, version: nil), twin)
        sent = []
    }

    var twinRID: String { session.twin.rid ?? "" }
    var account: DeviceAccount { session.account }
    var counters: FleetCounters { context.counters }

    var answers: [(status: Int32, rid: String, body: String)] {
        sent.compactMap { packet in
            guard case .publish(let message) = packet,
                case .methodResult(let status, let rid) = DevicePublish(
                    topic: message.topic, deviceID: session.deviceID)
            else { return nil }
            return (status, rid, String(decoding: message.payload, as: UTF8.self))
        }
    }
}
