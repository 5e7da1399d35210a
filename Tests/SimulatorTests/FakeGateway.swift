// As much of a gateway as devices need: accepts everybody, grants all subscriptions, answers twin reads, calls a method of
// each device a given number of times once it is subscribed, and counts.

import MQTT
import ServiceKit
import Sockets
import Synchronization

final class FakeGateway: Sendable {
    struct Counts: Sendable, Equatable {
        var connects = 0
        var disconnects = 0
        /// Answers by status.
        var answers: [Int32: Int] = [:]
        var peers: Set<String> = []
        var devices: Set<String> = []
    }

    final class Shared: Sendable {
        let counts = Mutex(Counts())

        func count(_ change: (inout Counts) -> Void) { counts.withLock { change(&$0) } }
    }

    private let shared: Shared
    private let listener: Listener

    var address: SocketAddress { listener.address }
    var current: Counts { shared.counts.withLock { $0 } }

    /// `refusal` is the code of CONNACK; `calls` are made of each connection.
    init(connections: Int, refusal: UInt8 = 0, calls: Int) async throws {
        let shared = Shared()
        self.shared = shared
        listener = try await Listener.listen(
            Listener.Configuration(address: .host("127.0.0.1", port: 0), tls: nil, connections: connections)
        ) { _ in FakeSession(shared, refusal: refusal, calls: calls) }
    }

    func close() async { await listener.close() }
}

private final class FakeSession: ConnectionHandler {
    private let shared: FakeGateway.Shared
    private let refusal: UInt8
    private let calls: Int
    private var decoder = MQTTDecoder()
    private var deviceID = ""

    init(_ shared: FakeGateway.Shared, refusal: UInt8, calls: Int) {
        self.shared = shared
        self.refusal = refusal
        self.calls = calls
    }

    func opened(_ connection: Connection) {
        // Without the port.
        let peer = String(connection.peer.prefix { $0 != ":" })
        shared.count { $0.peers.insert(peer) }
    }

    func received(_ bytes: Span<UInt8>, _ connection: Connection) {
        decoder.append(bytes)
        do {
            while let packet = try decoder.next() { received(packet, connection) }
        } catch {
            connection.abort()
        }
    }

    private func received(_ packet: MQTTPacket, _ connection: Connection) {
        switch packet {
        case .connect(let connect):
            let id = connect.clientID
            deviceID = id
            shared.count { counts in
                counts.connects += 1
                counts.devices.insert(id)
            }
            connection.write(MQTTPacket.connack(sessionPresent: false, code: refusal).encoded)
        case .subscribe(let id, let filters):
            connection.write(MQTTPacket.suback(packetID: id, codes: filters.map(\.qos)).encoded)
            for number in 0..<calls { publish(.method(name: "reboot", rid: "\(number)"), "null", connection) }
        case .publish(let message):
            if message.qos > 0 { connection.write(MQTTPacket.puback(packetID: message.packetID).encoded) }
            switch DevicePublish(topic: message.topic, deviceID: deviceID) {
            case .twinGet(let rid):
                publish(
                    .twinResult(status: 200, rid: rid, version: nil), #"{"desired":{"$version":1},"reported":{}}"#,
                    connection)
            case .methodResult(let status, _): shared.count { $0.answers[status, default: 0] += 1 }
            case .reported, .telemetry, nil: break
            }
        case .pingreq: connection.write(MQTTPacket.pingresp.encoded)
        case .disconnect:
            shared.count { $0.disconnects += 1 }
            connection.close()
        case .connack, .puback, .suback, .unsubscribe, .unsuback, .pingresp: connection.abort()
        }
    }

    private func publish(_ kind: HubPublish, _ body: String, _ connection: Connection) {
        connection.write(MQTTPacket.publish(MQTTPublish(topic: kind.topic, payload: Array(body.utf8))).encoded)
    }

    func closed(_ connection: Connection, _ reason: CloseReason) {}
}
