// Goal: twins and methods over MQTT keep the wire contract's 8.5 to 8.10. Method: one device, packets in order, and what
// comes back.

import Calls
import Gateway
import JSON
import MQTT
import Postgres
import Redis
import RouteStore
import ServiceKit
import Synchronization
import TestKit
import Testing
import TwinModel

@Suite struct DeviceTwinTests {
    private func reported(_ rid: String, _ body: String, version: String = "", packetID: UInt16 = 1) -> MQTTPacket {
        .publish(
            MQTTPublish(
                topic: "$iothub/twin/PATCH/properties/reported/?$rid=\(rid)\(version)", payload: Array(body.utf8),
                qos: 1,
                packetID: packetID))
    }

    @Test("Read and patch, with versions, and every error with status and errorCode")
    func twins() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a", "b")
            try await world.execute(
                #"UPDATE twins SET desired = '{"fan":{"speed":3}}', desired_version = 7, tags = '{"t":1}'"#)
            let client = try await world.connect(gateway, "a")
            // No subscription: the answer comes all the same.
            try await client.send(
                .publish(MQTTPublish(topic: "$iothub/twin/GET/?$rid=r-1", payload: [0x20], qos: 1, packetID: 9)))
            try await client.expect("PUBACK") { $0 == .puback(packetID: 9) ? () : nil }
            let twin = try await client.publish("$iothub/twin/res/200/?$rid=r-1")
            #expect(twin.qos == 0)
            #expect(
                try JSONValue(parsing: twin.payload) == [
                    "desired": ["fan": ["speed": 3], "$version": 7], "reported": ["$version": 1],
                ])

            try await client.send(reported("1", #"{"temp":21,"old":{"x":1,"y":2}}"#))
            let first = try await client.publish("$iothub/twin/res/204/?$rid=1&$version=2")
            #expect(first.payload.isEmpty)
            // Pipelined: in order, each with its version.
            try await client.send(
                reported("2", #"{"old":{"x":null}}"#), reported("3", #"{"n":1}"#, version: "&$version=3"),
                reported("4", #"{"n":2}"#, version: "&$version=3"), reported("5", #"{"$version":9}"#),
                reported("6", #"{"a":{"b c":1}}"#), reported("7", "[1]"), reported("8", "{"), reported("9", ""),
                reported("10", #"{"x":"\#(String(repeating: "x", count: 140_000))"}"#))
            _ = try await client.publish("$iothub/twin/res/204/?$rid=2&$version=3")
            _ = try await client.publish("$iothub/twin/res/204/?$rid=3&$version=4")
            for (rid, status, code) in [
                ("4", 412, 412_001), ("5", 400, 400_004), ("6", 400, 400_004), ("7", 400, 400_004),
                ("8", 400, 400_004), ("9", 400, 400_004), ("10", 413, 413_001),
            ] {
                let answer = try await client.publish("$iothub/twin/res/\(status)/?$rid=\(rid)")
                let body = try JSONValue(parsing: answer.payload)
                #expect(body["errorCode"] == .integer(Int64(code)))
                #expect(body["message"]?.stringValue?.isEmpty == false)
                #expect(body["trackingId"]?.stringValue?.contains("-G:0-TimeStamp:") == true)
                #expect(body["timestampUtc"]?.stringValue?.hasSuffix("Z") == true)
            }
            try await client.send(.publish(MQTTPublish(topic: "$iothub/twin/GET/?$rid=end")))
            let end = try await client.publish("$iothub/twin/res/200/?$rid=end")
            #expect(
                try JSONValue(parsing: end.payload)["reported"] == [
                    "temp": 21, "old": ["y": 2], "n": 1, "$version": 4,
                ])
            let row = try #require(
                try await world.stores.pool.run(
                    Statement(name: "etag", text: "SELECT etag FROM twins WHERE device_id = 'a'")
                ).only)
            #expect(try row.get("etag", as: Int64.self) == 1, "a device's writes do not touch the etag")
        }
    }

    @Test("A merged twin beyond 32 KB is refused with 400")
    func size() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a")
            let client = try await world.connect(gateway, "a")
            let part = String(repeating: "x", count: TwinLimits.stringBytes)
            for n in 0..<7 {
                try await client.send(reported("\(n)", #"{"k\#(n)":"\#(part)"}"#))
                _ = try await client.publish("$iothub/twin/res/204/?$rid=\(n)*")
            }
            try await client.send(reported("last", #"{"k8":"\#(part)","k9":"\#(part)"}"#))
            _ = try await client.publish("$iothub/twin/res/400/?$rid=last")
        }
    }

    @Test("Desired notifications reach subscribers, with the version in body and topic")
    func notifications() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a", "b", "c")
            let a = try await world.connect(gateway, "a")
            let b = try await world.connect(gateway, "b")
            #expect(try await a.subscribe("$iothub/twin/PATCH/properties/desired/#", qos: 0) == [0])
            let part = DesiredPart(
                patch: ["fan": ["speed": 3], "old": nil],
                devices: [("a", 5), ("b", 6), ("c", 7)])
            // Through Redis, as workers send it.
            #expect(try await world.routes.send(.desired(part), to: gateway.id))
            let notice = try await a.publish("$iothub/twin/PATCH/properties/desired/?$version=5")
            #expect(
                try JSONValue(parsing: notice.payload) == ["fan": ["speed": 3], "old": nil, "$version": 5])
            gateway.gateway.table.notify(DesiredPart(patch: [:], devices: [("a", 8), ("b", 8)]))
            let empty = try await a.publish("$iothub/twin/PATCH/properties/desired/?$version=8")
            #expect(String(decoding: empty.payload, as: UTF8.self) == #"{"$version":8}"#)
            try await b.ping()
            #expect(b.packetCount == 0, "not subscribed")
        }
    }

    @Test("A change whose notice went with Redis' content is told when the gateway is in the directory again")
    func missedNotices() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a", "b")
            let a = try await world.connect(gateway, "a")
            let b = try await world.connect(gateway, "b")
            for device in [a, b] {
                #expect(try await device.subscribe("$iothub/twin/PATCH/properties/desired/#", qos: 0) == [0])
            }
            // Nobody publishes this one.
            try await world.execute(
                """
                UPDATE twins SET desired = '{"fan":3}', desired_version = 2, desired_metadata = jsonb_build_object(
                    '', jsonb_build_array((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, 2))
                WHERE device_id = 'a'
                """)
            try await b.ping()
            #expect(a.packetCount == 0)
            _ = try await world.stores.redis.command(["FLUSHDB"])
            let notice = try await a.publish("$iothub/twin/PATCH/properties/desired/?$version=2")
            #expect(try JSONValue(parsing: notice.payload) == ["fan": 3, "$version": 2])
            try await b.ping()
            #expect(b.packetCount == 0, "its twin has not changed")
        }
    }

    @Test("Calls are written to subscribers only, and answers come back")
    func calls() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            let table = gateway.gateway.table
            try await world.addDevices("a", "b")
            let client = try await world.connect(gateway, "a")
            let message = CallMessage(topic: "$iothub/methods/POST/reboot/?$rid=", payload: Array("{}".utf8))
            func call(_ rid: UInt64, _ device: String) -> OutgoingCall { OutgoingCall(rid: rid, deviceID: device) }
            table.write([call(1, "a"), call(2, "b")], message)
            #expect(gateway.desk.missing.withLock { $0 } == [1, 2])
            _ = try await client.subscribe("$iothub/methods/POST/#")
            gateway.desk.withdrawn.withLock { _ = $0.insert(3) }
            table.write([call(3, "a"), call(4, "a")], message)
            #expect(try await client.publish("$iothub/methods/POST/*").topic.hasSuffix("rid=4"))
            try await client.send(
                .publish(
                    MQTTPublish(
                        topic: "$iothub/methods/res/-7/?$rid=4&x=y", payload: Array("[1]".utf8), qos: 1, packetID: 3)),
                .publish(MQTTPublish(topic: "$iothub/methods/res/200/?$rid=unknown")),
                .publish(MQTTPublish(topic: "$iothub/methods/res/200/?$rid=99")))
            try await client.expect("PUBACK") { $0 == .puback(packetID: 3) ? () : nil }
            try await client.ping()
            #expect(
                gateway.desk.answers.withLock { $0 } == [
                    .init(rid: 4, deviceID: "a", status: -7, payload: "[1]"),
                    .init(rid: 99, deviceID: "a", status: 200, payload: ""),
                ])
            try await client.abort()
            try await eventually("the desk hears of the end") { gateway.desk.closed.withLock { $0 } == ["a"] }
        }
    }

    @Test("Telemetry is acknowledged and counted, a will is accepted and counted")
    func telemetry() async throws {
        try await GatewayWorld.run { world in
            var limits = GatewayLimits()
            limits.beatInterval = .milliseconds(20)
            let gateway = try await world.start(limits: limits)
            // An id is text, whatever marks it holds.
            let id = "a%2B$?+#"
            try await world.addDevices(id)
            let client = try await DeviceClient.open(gateway.address)
            var packet = MQTTConnect(
                clientID: id, keepAlive: 0, userName: "localhost/\(id)/?api-version=2019-10-01",
                password: Array(world.token(id).utf8))
            packet.will = MQTTWill(topic: "devices/\(id)/messages/events/", payload: [1])
            try await client.send(.connect(packet))
            #expect(try await client.connack().code == 0)
            for n: UInt16 in 1...3 {
                try await client.send(
                    .publish(
                        MQTTPublish(
                            topic: "devices/\(id)/messages/events/%24.mid=m1&k%201=v%2F1", payload: [0, 255], qos: 1,
                            packetID: n, isRetained: true, isDuplicate: n == 2)))
                try await client.expect("PUBACK") { $0 == .puback(packetID: n) ? () : nil }
            }
            try await client.abort()
            func value(_ name: String) -> Double? { world.stores.metrics.value("muster_gateway_\(name)_total") }
            try await eventually("counted") { value("telemetry") == 3 && value("wills") == 1 }
        }
    }
}
