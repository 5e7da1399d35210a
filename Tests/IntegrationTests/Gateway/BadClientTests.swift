// Goal: a client that breaks the rules loses its own connection and nobody else's. Method: a list of bad inputs, each on
// a connection of its own, while a second session has to stay alive.

import Calls
import Gateway
import MQTT
import RouteStore
import ServiceKit
import Synchronization
import TestKit
import Testing

@Suite struct BadClientTests {
    /// What a connected device sends, and the reason with which it is closed.
    private static let afterConnect: [(String, [UInt8], String)] = [
        ("a second CONNECT", MQTTPacket.connect(MQTTConnect(clientID: "bad")).encoded, "second_connect"),
        ("a packet larger than the limit", [0x30, 0xFF, 0xFF, 0xFF, 0x7F], "packet_too_large"),
        ("a length of five bytes", [0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], "malformed_packet"),
        ("the reserved packet type", [0xF0, 0x00], "malformed_packet"),
        ("packet id 0 in a SUBSCRIBE", [0x82, 6, 0, 0, 0, 1, UInt8(ascii: "a"), 0], "malformed_packet"),
        ("packet id 0 in a PUBLISH", [0x32, 5, 0, 1, UInt8(ascii: "a"), 0, 0], "malformed_packet"),
        ("text that is not UTF-8", [0x30, 3, 0, 1, 0xFF], "malformed_packet"),
        (
            "another device's topic",
            MQTTPacket.publish(MQTTPublish(topic: "devices/alive/messages/events/", payload: [1])).encoded,
            "unknown_topic"
        ),
        ("an unknown topic", MQTTPacket.publish(MQTTPublish(topic: "$iothub/other")).encoded, "unknown_topic"),
        ("a CONNACK", MQTTPacket.connack(sessionPresent: false, code: 0).encoded, "unexpected_packet"),
        (
            "QoS 2",
            MQTTPacket.publish(MQTTPublish(topic: "devices/bad/messages/events/", qos: 2, packetID: 1)).encoded, "qos_2"
        ),
    ]

    private static let beforeConnect: [(String, [UInt8])] = [
        ("a PINGREQ", MQTTPacket.pingreq.encoded),
        ("HTTP", Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)),
        ("TLS", [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03]),
        ("a CONNECT beyond the limit", [0x10, 0x80, 0x80, 0x10]),
        ("zeros", [UInt8](repeating: 0, count: 1000)),
    ]

    @Test func badPackets() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("alive", "bad")
            let alive = try await world.connect(gateway, "alive")
            for (name, bytes, reason) in Self.afterConnect {
                let before = world.closes(reason)
                let client = try await world.connect(gateway, "bad")
                try await client.send(bytes)
                try await client.expectClosed("\(name)")
                #expect(world.closes(reason) == before + 1, "\(name)")
                try await alive.ping()
            }
            for (name, bytes) in Self.beforeConnect {
                let client = try await DeviceClient.open(gateway.address)
                try await client.send(bytes)
                try await client.expectClosed("\(name)")
                try await alive.ping()
            }
            #expect(gateway.gateway.table.count == 1)
        }
    }

    @Test("One byte at a time is as good as any other way")
    func byteByByte() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("slow")
            let client = try await DeviceClient.open(gateway.address)
            let packets: [MQTTPacket] = [
                .connect(world.connectPacket("slow")),
                .subscribe(packetID: 1, [MQTTSubscription(filter: "$iothub/methods/POST/#", qos: 1)]),
                .publish(MQTTPublish(topic: "$iothub/twin/GET/?$rid=1", qos: 1, packetID: 2)),
            ]
            for byte in packets.flatMap(\.encoded) { try await client.send([byte]) }
            #expect(try await client.connack().code == 0)
            _ = try await client.publish("$iothub/twin/res/200/?$rid=1")
        }
    }

    @Test("Packets that follow the CONNECT at once wait for the CONNACK")
    func eager() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("eager")
            let client = try await DeviceClient.open(gateway.address)
            var packets: [MQTTPacket] = [.connect(world.connectPacket("eager"))]
            packets += (1...200).map { .publish(MQTTPublish(topic: "$iothub/twin/GET/?$rid=\($0)")) }
            try await client.send(packets.flatMap(\.encoded))
            #expect(try await client.connack().code == 0)
            for rid in 1...200 { _ = try await client.publish("$iothub/twin/res/200/?$rid=\(rid)") }
        }
    }

    @Test("Clients that never send, or never read, are closed; others do not notice")
    func idlers() async throws {
        try await GatewayWorld.run { world in
            var limits = GatewayLimits()
            limits.connectTimeout = .milliseconds(200)
            let gateway = try await world.start(limits: limits)
            try await world.addDevices("alive", "deaf", "greedy")
            let alive = try await world.connect(gateway, "alive")
            let silent = try await DeviceClient.open(gateway.address)
            let halfway = try await DeviceClient.open(gateway.address)
            try await halfway.send([0x10, 0x20, 0x00])
            try await silent.expectClosed("silent")
            try await halfway.expectClosed("half a CONNECT")
            #expect(world.refusals("connect_timeout") == 2)

            let deaf = try await DeviceClient.open(gateway.address, reads: false)
            try await deaf.send(
                .connect(world.connectPacket("deaf")),
                .subscribe(packetID: 1, [MQTTSubscription(filter: "$iothub/methods/POST/#")]))
            try await eventually("deaf is connected") {
                try await world.routes.find(["deaf"]).routes[0]?.flags == [.methods]
            }
            // More than the kernel's buffers and ours take.
            let payload = [UInt8](repeating: 0x20, count: 100_000)
            let message = CallMessage(topic: "$iothub/methods/POST/m/?$rid=", payload: payload)
            for rid in UInt64(0)..<200 {
                gateway.gateway.table.write([.init(rid: rid, deviceID: "deaf")], message)
                try await alive.ping()
            }
            try await eventually("deaf is closed") { world.closes("send_buffer_full") == 1 }

            // Asks without end and reads nothing: it is not read from any more, and costs no memory.
            let greedy = try await DeviceClient.open(gateway.address, reads: false)
            try await greedy.send(.connect(world.connectPacket("greedy")))
            let asking = (0..<50_000).flatMap { n in
                MQTTPacket.publish(MQTTPublish(topic: "$iothub/twin/GET/?$rid=\(n)")).encoded
            }
            try await greedy.send(asking)
            try await eventually("greedy is served and then waits") {
                (world.stores.metrics.value("muster_gateway_twin_requests_total", labels: [("kind", "get")]) ?? 0) > 100
            }
            for _ in 0..<20 { try await alive.ping() }
            #expect(world.closes("send_buffer_full") == 1)
            try await greedy.abort()
            try await eventually("greedy has left") { gateway.gateway.table.count == 1 }
            try await alive.ping()
        }
    }
}
