// One gateway, or several, over loopback on stores of its own: the world of the gateway's tests.

import Access
import Calls
import Gateway
import JSON
import MQTT
import Postgres
import RouteStore
import ServiceKit
import SessionStore
import Sockets
import Synchronization
import TestKit
import Testing
import TwinStore

/// Notes what the sessions tell.
final class TestDesk: GatewayDesk {
    struct Answer: Sendable, Equatable {
        let rid: UInt64
        let deviceID: String
        let status: Int32
        let payload: String
    }

    let answers = Mutex<[Answer]>([])
    let missing = Mutex<[UInt64]>([])
    let closed = Mutex<[String]>([])
    /// Calls that may not be written any more.
    let withdrawn = Mutex<Set<UInt64>>([])

    let parts = Mutex<[CallPart]>([])
    let isSynchronized = Mutex(false)

    func attach(_ writer: any CallWriter) {}
    func handle(_ part: CallPart) { parts.withLock { $0.append(part) } }
    func handle(_ inquiry: Inquiry) {}
    func handle(_ settlement: Settlement) {}
    func synchronize(redisMilliseconds: Int64, sentAt: Instant) { isSynchronized.withLock { $0 = true } }
    func run() async {}
    func mayWrite(_ rid: UInt64, session: Int64) -> Bool { !withdrawn.withLock { $0.contains(rid) } }
    func undeliverable(_ rids: [UInt64]) { missing.withLock { $0 += rids } }
    func answered(_ rid: UInt64, deviceID: String, status: Int32, payload: [UInt8]) {
        let answer = Answer(
            rid: rid, deviceID: deviceID, status: status, payload: String(decoding: payload, as: UTF8.self))
        answers.withLock { $0.append(answer) }
    }
    func sessionClosed(deviceID: String, session: Int64) { closed.withLock { $0.append(deviceID) } }
}

final class RunningGateway: Sendable {
    let gateway: Gateway
    let id: GatewayID
    let address: SocketAddress
    /// For MQTT in a WebSocket.
    let webSocketAddress: SocketAddress
    let desk: TestDesk
    private let task: Task<Void, any Error>

    init(
        _ world: GatewayWorld, name: String, limits: GatewayLimits, room: Int, sessions: SessionStore
    ) async throws {
        let desk = TestDesk()
        let reached = Reached()
        let id = GatewayID(name: name, incarnation: String(world.stores.random.next(), radix: 36))
        var configuration = GatewayConfiguration(
            id: id,
            listeners: [
                GatewayListener(address: .host("127.0.0.1", port: 0)),
                GatewayListener(address: .host("127.0.0.1", port: 0), carrier: .webSocket),
            ], hosts: ["localhost"], sessions: room)
        configuration.limits = limits
        let twins = TwinStore(world.stores.pool)
        let gateway = Gateway(
            configuration,
            parts: Gateway.Parts(
                sessions: sessions, routes: world.routes,
                policies: { () async throws(StoreError) in try await twins.policies() }, clock: world.stores.clock,
                random: world.stores.random, log: world.stores.log.log, metrics: world.stores.metrics),
            desk: desk, becameReachable: { devices in reached.devices.withLock { $0 += devices } })
        let addresses = try await gateway.start()
        (address, webSocketAddress) = (addresses[0], addresses[1])
        task = Task { try await gateway.run() }
        self.gateway = gateway
        self.id = id
        self.desk = desk
        self.reached = reached
    }

    final class Reached: Sendable {
        let devices = Mutex<[String]>([])
    }
    let reached: Reached

    func stop() async throws {
        task.cancel()
        try await task.value
    }
}

final class GatewayWorld: Sendable {
    let stores: TestWorld
    let sessions: SessionStore
    let routes: RouteStore
    private let running = Mutex<[RunningGateway]>([])

    static let key = Array("0123456789abcdef".utf8)

    private init(_ stores: TestWorld) {
        self.stores = stores
        sessions = SessionStore(stores.pool)
        routes = RouteStore(redis: stores.redis, prefix: "muster")
    }

    static func run(_ body: (GatewayWorld) async throws -> Void) async throws {
        try await withWorld(maximumConnections: 12) { stores in
            let world = GatewayWorld(stores)
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(world))
            } catch {
                result = .failure(error)
            }
            for gateway in world.running.withLock({ $0 }) { try await gateway.stop() }
            try result.get()
        }
    }

    func start(
        name: String = "g", limits: GatewayLimits = GatewayLimits(), room: Int = 100, sessions: SessionStore? = nil
    ) async throws -> RunningGateway {
        let gateway = try await RunningGateway(
            self, name: name, limits: limits, room: room, sessions: sessions ?? self.sessions)
        running.withLock { $0.append(gateway) }
        return gateway
    }

    func stop(_ gateway: RunningGateway) async throws {
        running.withLock { $0.removeAll { $0 === gateway } }
        try await gateway.stop()
    }

    func addDevices(_ ids: String...) async throws {
        try await stores.pool.run(
            Statement(
                name: "add",
                text: """
                    WITH added AS (INSERT INTO devices (device_id, generation_id, primary_key)
                                   SELECT id, 'g', $2 FROM unnest($1::text[]) AS id RETURNING device_id)
                    INSERT INTO twins (device_id) SELECT device_id FROM added
                    """), [.textArray(ids.map { Optional($0) }), .bytes(Self.key)])
    }

    func execute(_ text: String) async throws {
        try await stores.pool.run(Statement(name: "execute", text: text))
    }

    func isConnected(_ device: String) async throws -> Bool {
        try await stores.pool.run(
            Statement(name: "connected", text: "SELECT connected FROM device_sessions WHERE device_id = $1"),
            [.text(device)]
        ).only?.get("connected") ?? false
    }

    func token(
        _ device: String, key: [UInt8] = GatewayWorld.key, host: String = "localhost", policy: String? = nil,
        lifetime: Double = 3600
    ) -> String {
        SASToken.text(
            resource: "\(host)/devices/\(device)", key: key, policyName: policy,
            expiry: Int64(stores.clock.unixTime + lifetime))
    }

    func connectPacket(
        _ device: String, token: String? = nil, isClean: Bool = false, keepAlive: UInt16 = 60
    ) -> MQTTConnect {
        MQTTConnect(
            clientID: device, keepAlive: keepAlive, isCleanSession: isClean,
            userName: "localhost/\(device)/?api-version=2019-10-01",
            password: Array((token ?? self.token(device)).utf8))
    }

    /// A client with its CONNACK; expects code 0.
    func connect(
        _ gateway: RunningGateway, _ device: String, token: String? = nil, isClean: Bool = false,
        isWebSocket: Bool = false, expectsPresent: Bool? = nil
    ) async throws -> DeviceClient {
        let client =
            isWebSocket
            ? try await DeviceClient.open(gateway.webSocketAddress, webSocket: ClientWebSocket())
            : try await DeviceClient.open(gateway.address)
        try await client.send(.connect(connectPacket(device, token: token, isClean: isClean)))
        let connack = try await client.connack()
        #expect(connack.code == 0)
        if let expectsPresent { #expect(connack.isPresent == expectsPresent) }
        return client
    }

    /// The CONNACK's code; expects that the gateway then closes.
    func refusal(_ gateway: RunningGateway, _ packet: MQTTConnect) async throws -> UInt8 {
        let client = try await DeviceClient.open(gateway.address)
        try await client.send(.connect(packet))
        let code = try await client.connack().code
        try await client.expectClosed()
        return code
    }

    /// Times a session ended for this reason.
    func closes(_ reason: String) -> Int {
        Int(stores.metrics.value("muster_gateway_sessions_closed_total", labels: [("reason", reason)]) ?? 0)
    }

    func refusals(_ reason: String) -> Int {
        Int(stores.metrics.value("muster_gateway_connects_failed_total", labels: [("reason", reason)]) ?? 0)
    }
}
