// Goal: who may connect, what a session keeps, and which of two sessions wins (wire contract 8.1 to 8.3). Method: one or
// two gateways, raw packets, and what comes back.

import Access
import Calls
import MQTT
import Notices
import Postgres
import Redis
import RouteStore
import ServiceKit
import SessionStore
import Synchronization
import TestKit
import Testing
import TwinStore

@testable import Gateway

@Suite struct ConnectTests {
    @Test("Keys, policies, and every refusal with its code")
    func credentials() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a", "off", "nokeys")
            try await world.execute("UPDATE devices SET status = 'disabled' WHERE device_id = 'off'")
            try await world.execute("UPDATE devices SET authentication_type = 'selfSigned' WHERE device_id = 'nokeys'")
            let policies = Dictionary(
                uniqueKeysWithValues: try await TwinStore(world.stores.pool).policies().map { ($0.name, $0) })
            let device = try #require(policies["device"])
            let service = try #require(policies["service"])

            let alive = try await world.connect(gateway, "a")
            func code(_ packet: MQTTConnect) async throws -> UInt8 { try await world.refusal(gateway, packet) }
            let wrongKey = world.token("a", key: Array("0123456789abcdeF".utf8))
            #expect(try await code(world.connectPacket("a", token: wrongKey)) == 5)
            #expect(try await code(world.connectPacket("a", token: world.token("off"))) == 5)
            #expect(try await code(world.connectPacket("a", token: world.token("a", host: "elsewhere"))) == 5)
            #expect(try await code(world.connectPacket("a", token: world.token("a", lifetime: -1))) == 5)
            #expect(try await code(world.connectPacket("a", token: "password")) == 5)
            #expect(
                try await code(
                    world.connectPacket("a", token: world.token("a", key: service.primaryKey, policy: "service"))) == 5)
            #expect(
                try await code(
                    world.connectPacket("a", token: world.token("a", key: device.primaryKey, policy: "nobody"))) == 5)
            #expect(try await code(world.connectPacket("off")) == 5)
            #expect(try await code(world.connectPacket("nokeys")) == 5)
            #expect(try await code(world.connectPacket("unknown")) == 5)
            #expect(try await code(world.connectPacket("a/module")) == 5)
            #expect(try await code(world.connectPacket("")) == 2)
            #expect(try await code(world.connectPacket(String(repeating: "x", count: 129))) == 2)
            var packet = world.connectPacket("a")
            packet.userName = "localhost/b/?api-version=2019-10-01"
            #expect(try await code(packet) == 5)
            packet = world.connectPacket("a")
            packet.password = nil
            #expect(try await code(packet) == 5)
            packet = world.connectPacket("a")
            packet.will = MQTTWill(topic: "devices/b/messages/events/")
            #expect(try await code(packet) == 5)
            packet = world.connectPacket("a")
            packet.protocolLevel = 5
            #expect(try await code(packet) == 1)

            try await alive.ping()
            #expect(world.refusals("refused") == 17)
            #expect(world.closes("superseded") == 0, "nobody who was refused took the session over")
            let byPolicy = try await world.connect(
                gateway, "nokeys", token: world.token("nokeys", key: device.secondaryKey, policy: "device"))
            try await byPolicy.ping()
        }
    }

    @Test("Subscriptions and session present across reconnects")
    func storedSessions() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a")
            let first = try await world.connect(gateway, "a", expectsPresent: false)
            #expect(
                try await first.subscribe(
                    "$iothub/methods/POST/#", "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
                    "devices/a/messages/devicebound/#", "devices/b/messages/devicebound/#", "#",
                    "$iothub/methods/POST/+",
                    qos: 2) == [1, 1, 1, 1, 0x80, 0x80, 0x80])
            try await eventually("it became reachable") { gateway.reached.devices.withLock { $0 } == ["a"] }
            #expect(try await world.routes.find(["a"]).routes[0]?.flags == [.methods, .desired])
            try await first.send(.unsubscribe(packetID: 2, filters: ["$iothub/twin/PATCH/properties/desired/#", "x"]))
            try await first.expect("UNSUBACK") { $0 == .unsuback(packetID: 2) ? () : nil }
            try await first.send(.disconnect)
            try await first.expectClosed()
            try await eventually("the route is gone") { try await world.routes.find(["a"]).routes[0] == nil }
            try await eventually("PostgreSQL knows") { try await !world.isConnected("a") }

            let second = try await world.connect(gateway, "a", expectsPresent: true)
            #expect(try await world.routes.find(["a"]).routes[0]?.flags == [.methods])
            try await eventually("and again") { gateway.reached.devices.withLock { $0.count } == 3 }
            gateway.gateway.table.write(
                [OutgoingCall(rid: 1, deviceID: "a")], CallMessage(topic: "$iothub/methods/POST/m/?$rid=", payload: [1])
            )
            #expect(try await second.publish("$iothub/methods/POST/m/?$rid=1").payload == [1])

            let clean = try await world.connect(gateway, "a", isClean: true, expectsPresent: false)
            try await second.expectClosed()
            #expect(try await clean.subscribe("$iothub/methods/POST/#", qos: 0) == [0])
            try await clean.abort()
            let third = try await world.connect(gateway, "a", expectsPresent: false)
            #expect(try await world.routes.find(["a"]).routes[0]?.flags == [])
            try await third.ping()
        }
    }

    @Test("The newer session wins, here and on another gateway")
    func takeover() async throws {
        try await GatewayWorld.run { world in
            var limits = GatewayLimits()
            limits.registryInterval = .seconds(1000)
            let (one, other) = (try await world.start(name: "one", limits: limits), try await world.start(name: "two"))
            try await world.addDevices("a", "bystander")
            let bystander = try await world.connect(one, "bystander")
            let first = try await world.connect(one, "a")
            let second = try await world.connect(one, "a")
            try await first.expectClosed()
            try await second.ping()
            #expect(world.closes("superseded") == 1)
            #expect(one.desk.closed.withLock { $0 } == ["a"])

            let third = try await world.connect(other, "a")
            try await second.expectClosed("the order of the directory arrives")
            #expect(world.closes("superseded_elsewhere") == 1)
            try await third.ping()
            try await eventually("the route is the newer one's") {
                try await world.routes.find(["a"]).routes[0]?.gateway == other.id
            }
            // An order that is too old closes nobody.
            other.gateway.table.close([SessionRoute(deviceID: "a", session: 1, flags: [])])
            try await third.ping()
            let route = try #require(try await world.routes.find(["a"]).routes[0])
            other.gateway.table.close([SessionRoute(deviceID: "a", session: route.session, flags: [])])
            try await third.expectClosed()
            try await bystander.ping()
        }
    }

    @Test("Disabled, deleted, expired and silent devices are closed")
    func ends() async throws {
        try await GatewayWorld.run { world in
            var limits = GatewayLimits()
            limits.registryInterval = .milliseconds(100)
            limits.silenceMaximum = .seconds(3)
            let gateway = try await world.start(limits: limits)
            try await world.addDevices("alive", "deleted", "disabled", "expiring", "silent")
            let alive = try await world.connect(gateway, "alive")
            let deleted = try await world.connect(gateway, "deleted")
            let disabled = try await world.connect(gateway, "disabled")
            let silent = try await world.connect(gateway, "silent")
            let expiring = try await world.connect(gateway, "expiring", token: world.token("expiring", lifetime: 2))
            try await world.execute("DELETE FROM devices WHERE device_id = 'deleted'")
            try await world.execute("UPDATE devices SET status = 'disabled' WHERE device_id = 'disabled'")
            try await eventually("they are closed while one that speaks stays", within: .seconds(20)) {
                try await alive.ping()
                return deleted.isClosed && disabled.isClosed && expiring.isClosed
            }
            #expect(world.closes("device_deleted") == 1 && world.closes("device_disabled") == 1)
            #expect(world.closes("token_expired") == 1)
            try await eventually("the silent one is closed", within: .seconds(20)) {
                try await alive.ping()
                return silent.isClosed
            }
            #expect(world.closes("keep_alive") == 1)
            #expect(
                world.stores.log.events.filter { $0.name == "session_closed" }.allSatisfy { event in
                    event.fields.contains { $0.0 == "reason" } && event.fields.contains { $0.0 == "device" }
                })
        }
    }

    @Test("Disabled and deleted devices are closed at once when the registry's change is told")
    func told() async throws {
        try await GatewayWorld.run { world in
            var limits = GatewayLimits()
            limits.registryInterval = .seconds(3600)
            let gateway = try await world.start(limits: limits)
            try await world.addDevices("alive", "deleted", "disabled")
            let alive = try await world.connect(gateway, "alive")
            let deleted = try await world.connect(gateway, "deleted")
            let disabled = try await world.connect(gateway, "disabled")
            try await world.execute("DELETE FROM devices WHERE device_id = 'deleted'")
            try await world.execute("UPDATE devices SET status = 'disabled' WHERE device_id = 'disabled'")
            let notifier = DesiredNotifier(routes: world.routes, metrics: Metrics())
            // A session is known to the directory a moment after its CONNACK.
            try await eventually("they are closed", within: .seconds(20)) {
                try await notifier.registryChanged(["alive", "deleted", "disabled", "nowhere"])
                try await alive.ping()
                return deleted.isClosed && disabled.isClosed
            }
            #expect(world.closes("device_deleted") == 1 && world.closes("device_disabled") == 1)
            #expect(!alive.isClosed)
        }
    }

    @Test("A gateway that stops closes its sessions and is forgotten")
    func drain() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a", "b")
            let clients = [try await world.connect(gateway, "a"), try await world.connect(gateway, "b")]
            try await world.stop(gateway)
            for client in clients { try await client.expectClosed() }
            #expect(world.closes("draining") == 2)
            #expect(try await world.routes.find(["a", "b"]).routes == [nil, nil])
            #expect(try await !world.isConnected("a"))
            #expect(
                try await !world.sessions.beat(.init(gateway: gateway.id.name, incarnation: gateway.id.incarnation)))
        }
    }

    @Test("A gateway that was declared gone closes its sessions and says so")
    func declaredGone() async throws {
        try await GatewayWorld.run { world in
            var limits = GatewayLimits()
            limits.beatInterval = .milliseconds(50)
            let gateway = try await world.start(limits: limits)
            try await world.addDevices("a")
            let client = try await world.connect(gateway, "a")
            try await world.execute("DELETE FROM gateways")
            try await client.expectClosed()
            await #expect(throws: GatewayError.self) { try await world.stop(gateway) }
            #expect(world.closes("draining") == 1)
        }
    }

    @Test("While PostgreSQL does not answer, sessions live and new ones are told to come back")
    func storeLost() async throws {
        try await GatewayWorld.run { world in
            let pool = world.stores.anotherPool(maximumConnections: 2)
            var limits = GatewayLimits()
            limits.drainTimeout = .milliseconds(100)
            let gateway = try await world.start(limits: limits, sessions: SessionStore(pool))
            try await world.addDevices("a", "b")
            let a = try await world.connect(gateway, "a")
            await pool.close()
            #expect(try await world.refusal(gateway, world.connectPacket("b")) == 3)
            try await a.send(.publish(MQTTPublish(topic: "$iothub/twin/GET/?$rid=1")))
            _ = try await a.publish("$iothub/twin/res/503/?$rid=1")
            try await a.send(
                .publish(
                    MQTTPublish(topic: "$iothub/twin/PATCH/properties/reported/?$rid=2", payload: Array("{}".utf8))))
            _ = try await a.publish("$iothub/twin/res/503/?$rid=2")
            try await a.ping()
            // A subscription that cannot be kept is not acknowledged.
            try await a.send(.subscribe(packetID: 1, [MQTTSubscription(filter: "$iothub/methods/POST/#")]))
            try await a.expectClosed()
            #expect(world.closes("store_failed") == 1)
        }
    }

    @Test("Routes come back when Redis has lost everything, or the directory alone", arguments: [true, false])
    func directoryLost(losesAll: Bool) async throws {
        try await GatewayWorld.run { world in
            var limits = GatewayLimits()
            limits.beatInterval = .milliseconds(50)
            let gateway = try await world.start(limits: limits)
            try await world.addDevices("a", "b")
            let a = try await world.connect(gateway, "a")
            _ = try await a.subscribe("$iothub/methods/POST/#")
            let b = try await world.connect(gateway, "b")
            _ = try await world.stores.redis.command(losesAll ? ["FLUSHDB"] : ["DEL", "{muster}:routes"])
            try await eventually("both routes are back") {
                let routes = try await world.routes.find(["a", "b"]).routes
                return routes[0]?.flags == [.methods] && routes[1]?.gateway == gateway.id
            }
            try await a.ping()
            try await b.ping()
        }
    }

    @Test("A route that was published with flags from before is published again")
    func staleFlags() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            try await world.addDevices("a")
            let a = try await world.connect(gateway, "a")
            _ = try await a.subscribe("$iothub/methods/POST/#")
            let route = try #require(try await world.routes.find(["a"]).routes[0])
            let (table, clock, log) = (gateway.gateway.table, world.stores.clock, world.stores.log.log)
            let keeper = RouteKeeper(
                store: world.routes, gateway: gateway.id, table: table,
                notices: NoticeKeeper(store: world.sessions, table: table, clock: clock, log: log), clock: clock,
                random: world.stores.random, log: log)
            // The table was read before the subscription, and the directory is written after it.
            await keeper.publish([SessionRoute(deviceID: "a", session: route.session, flags: [])])
            _ = try await keeper.beat()
            #expect(try await world.routes.find(["a"]).routes[0]?.flags == [.methods])
        }
    }

    @Test("More sessions than descriptors: refused with a reason")
    func descriptors() async throws {
        try await GatewayWorld.run { world in
            let error = await #expect(throws: GatewayError.self) { try await world.start(room: 1 << 40) }
            #expect(error?.description.contains("ulimit -n") == true)
        }
    }
}
