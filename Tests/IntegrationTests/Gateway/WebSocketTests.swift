// Goal: a device behind a WebSocket is a device like any other, and what is no device's WebSocket is refused by name.
// Method: a raw WebSocket client at a gateway's own listener, and a server of another role with a door to the gateway.

import Calls
import Gateway
import HTTP
import MQTT
import RouteStore
import ServiceKit
import Sockets
import Synchronization
import TestKit
import Testing

@Suite(.serialized) struct WebSocketTests {
    @Test("Twin, method call and takeover work; a packet may come in pieces, each in a frame")
    func device() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a")
            let client = try await world.connect(gateway, "a", isWebSocket: true)
            #expect(client.answer?.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == true)
            #expect(client.answer?.contains("Sec-WebSocket-Protocol: mqtt") == true)
            #expect(try await client.subscribe("$iothub/methods/POST/#") == [1])
            for byte in MQTTPacket.publish(MQTTPublish(topic: "$iothub/twin/GET/?$rid=1")).encoded {
                try await client.send([byte])
            }
            _ = try await client.publish("$iothub/twin/res/200/?$rid=1")

            let payload = [UInt8](repeating: 0x20, count: 100_000)
            gateway.gateway.table.write(
                [.init(rid: 7, deviceID: "a")], CallMessage(topic: "$iothub/methods/POST/lock/?$rid=", payload: payload)
            )
            let call = try await client.publish("$iothub/methods/POST/lock/?$rid=7")
            #expect(call.payload == payload)
            try await client.send(
                .publish(MQTTPublish(topic: "$iothub/methods/res/200/?$rid=7", payload: Array("{}".utf8))))
            try await eventually("the answer") { !gateway.desk.answers.withLock { $0.isEmpty } }
            #expect(
                gateway.desk.answers.withLock { $0 } == [
                    .init(rid: 7, deviceID: "a", status: 200, payload: "{}")
                ])

            let newer = try await world.connect(gateway, "a")
            try await client.expectClosed("taken over")
            #expect(world.closes("superseded") == 1)
            try await newer.ping()
        }
    }

    @Test("DISCONNECT and a client that leaves without a word end the session")
    func ends() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a", "b")
            let a = try await world.connect(gateway, "a", isWebSocket: true)
            let b = try await world.connect(gateway, "b", isWebSocket: true)
            try await a.send(.disconnect)
            try await a.expectClosed()
            #expect(a.closeCode == 1000)
            try await b.abort()
            try await eventually("both have left") { gateway.gateway.table.count == 0 }
            #expect(world.closes("disconnect") == 1)
        }
    }

    @Test("The end of a gateway closes its WebSockets, sessions and others")
    func drain() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a")
            let session = try await world.connect(gateway, "a", isWebSocket: true)
            let undecided = try await DeviceClient.open(gateway.webSocketAddress, webSocket: ClientWebSocket())
            try await world.stop(gateway)
            try await session.expectClosed()
            try await undecided.expectClosed()
            #expect(session.closeCode == 1000)
            #expect(undecided.closeCode == 1001)
            #expect(world.closes("draining") == 1)
            #expect(try await world.isConnected("a") == false)
        }
    }

    @Test("What is no WebSocket of a device gets a status and a reason, and no session")
    func refusals() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            let target = ClientWebSocket.target
            let cases: [(ClientWebSocket, String)] = [
                (ClientWebSocket("GET /$iothub/other HTTP/1.1"), "404 Not Found"),
                (ClientWebSocket("GET / HTTP/1.1"), "404 Not Found"),
                (ClientWebSocket("POST \(target) HTTP/1.1"), "405 Method Not Allowed"),
                (ClientWebSocket("GET \(target) HTTP/1.0"), "426 Upgrade Required"),
                (ClientWebSocket(fields: ["Upgrade": "h2c"]), "426 Upgrade Required"),
                (ClientWebSocket(fields: ["Sec-WebSocket-Version": "8"]), "426 Upgrade Required"),
                (ClientWebSocket(fields: ["Sec-WebSocket-Protocol": "amqp"]), "400 Bad Request"),
                (ClientWebSocket(fields: ["Sec-WebSocket-Key": "short"]), "400 Bad Request"),
                (ClientWebSocket(fields: ["Content-Length": "5"]), "413 Content Too Large"),
            ]
            for (request, status) in cases {
                let client = try await DeviceClient.open(gateway.webSocketAddress, webSocket: request)
                try await client.expectClosed("\(status)")
                #expect(client.answer?.hasPrefix("HTTP/1.1 \(status)\r\n") == true, "\(client.answer ?? "")")
            }
        }
    }

    @Test("A device that does not read loses its connection at the bound of what waits for it")
    func deaf() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("deaf", "alive")
            let alive = try await world.connect(gateway, "alive", isWebSocket: true)
            let deaf = try await DeviceClient.open(
                gateway.webSocketAddress, reads: false, webSocket: ClientWebSocket())
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
            try await alive.ping()
        }
    }

    @Test("A door in another server leads to the newest gateway, and to nobody while there is none")
    func door() async throws {
        try await GatewayWorld.run { world in
            try await world.addDevices("a")
            let door = WebSocketDoor()
            var configuration = HTTPServer.Configuration(address: .host("127.0.0.1", port: 0))
            configuration.upgrade = door.upgrade
            let server = HTTPServer(
                configuration: configuration, log: .silent, metrics: world.stores.metrics, clock: world.stores.clock
            ) { _ in HTTPResponse(status: 200) }
            let address = try await server.start()
            func answer() async throws -> String {
                let client = try await DeviceClient.open(address, webSocket: ClientWebSocket())
                try await client.expectClosed()
                return String(client.answer?.prefix(12) ?? "")
            }
            #expect(try await answer() == "HTTP/1.1 503")
            for name in ["first", "second"] {
                let gateway = try await world.start(name: name)
                door.lead(to: gateway.gateway)
                let client = try await DeviceClient.open(address, webSocket: ClientWebSocket())
                try await client.send(.connect(world.connectPacket("a")))
                #expect(try await client.connack().code == 0)
                #expect(gateway.gateway.table.count == 1)
                try await world.stop(gateway)
                try await client.expectClosed()
                #expect(try await answer() == "HTTP/1.1 503")
            }
            await server.shutdown(grace: .zero)
        }
    }
}
