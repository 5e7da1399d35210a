// Goal: a fleet connects over real sockets, keeps the rate, spreads its source addresses, and its account equals what the
// gateway did.
// Method: a gateway of the tests' own on 127.0.0.1; no device knows anything that is not on the wire.

import JSON
import ServiceKit
import Sockets
import Synchronization
import TestKit
import Testing

@testable import Simulator

@Suite struct FleetTests {
    private func settings(_ count: Int) -> FleetSettings {
        FleetSettings(
            count: count, credentials: DeviceCredentials(hostName: "localhost", policyName: "device", key: [1, 2, 3]))
    }

    private func fleet(
        _ settings: FleetSettings, _ address: SocketAddress, tell: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> Fleet {
        let target = FleetTarget(
            addresses: try await ResolvedAddress.resolve(address), tls: nil, serverName: "localhost",
            devices: settings.count)
        return await Fleet(settings, target: target, clock: SystemClock(), tell: tell)
    }

    @Test func accountEqualsWhatTheGatewayDid() async throws {
        let gateway = try await FakeGateway(connections: 1000, calls: 2)
        var settings = settings(300)
        settings.first = 1000
        settings.shares = DeviceTraits.Shares(offline: 0.1, silent: 0.2)
        settings.latency = .uniform(.milliseconds(1) ... .milliseconds(20))
        settings.failureRate = 0.1
        let random = DeviceRandom(seed: settings.seed)
        let traits = (1000..<1300).map { DeviceTraits(settings.shares, random, device: $0) }
        let online = traits.count { !$0.isOffline }
        let speaking = traits.count { !$0.isOffline && !$0.isSilent }
        let fleet = try await fleet(settings, gateway.address)
        fleet.start()
        try await eventually("all answers") { gateway.current.answers.values.reduce(0, +) == 2 * speaking }
        let counters = await fleet.counters
        #expect(counters.devices == 300 && counters.online == online)
        #expect(counters.ready == online && counters.everReady == online && counters.connects == online)
        #expect(counters.calls == 2 * online && counters.answers == 2 * speaking)
        #expect(counters.simulatedFailures == gateway.current.answers[500] && counters.simulatedFailures > 0)
        #expect(counters.losses == 0 && counters.failedConnects == 0 && counters.strangePackets == 0)

        await fleet.stop()
        try await eventually("the goodbyes") { gateway.current.disconnects == online }
        let summary = await fleet.summary
        #expect((summary.devicesNever, summary.devicesOnce, summary.devicesRepeatedly) == (300 - online, 0, online))
        #expect(summary.methods == ["reboot": .init(received: 2 * online, devicesOnce: 0, devicesRepeatedly: online)])
        let lines = Mutex("")
        try await fleet.writeLines { text in lines.withLock { $0 += text } }
        let read = try lines.withLock { $0 }.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
        #expect(read.map { $0["device"] } == (1000..<1300).map { .string("sim-\($0)") })
        #expect(read.count { $0["isOffline"] == true } == 300 - online)
        await gateway.close()
    }

    @Test func devicesLeaveFromSeveralAddressesAndKeepTheRate() async throws {
        let gateway = try await FakeGateway(connections: 1000, calls: 0)
        var settings = settings(100)
        settings.rampUp = 200
        let target = FleetTarget(
            addresses: try await ResolvedAddress.resolve(gateway.address), tls: nil, serverName: "localhost",
            devices: 3 * SimulatorLimits.devicesPerSource)
        let clock = SystemClock()
        let start = clock.now
        let fleet = await Fleet(settings, target: target, clock: clock) { _ in }
        fleet.start()
        try await eventually("all devices") { await fleet.counters.ready == 100 }
        // A tenth of a second's devices may come at once, the others follow the rate.
        #expect(clock.now - start >= .milliseconds(350))
        #expect(gateway.current.peers == ["127.0.0.2", "127.0.0.3", "127.0.0.4"])
        await fleet.stop()
        await gateway.close()
    }

    @Test func refusedAndUnreachableDevicesTellWhyOnce() async throws {
        let gateway = try await FakeGateway(connections: 100, refusal: 5, calls: 0)
        let told = Mutex<[String]>([])
        let fleet = try await fleet(settings(20), gateway.address) { text in told.withLock { $0.append(text) } }
        fleet.start()
        try await eventually("refusals and new tries") { await fleet.counters.refusals[5, default: 0] > 20 }
        #expect(await fleet.counters.everReady == 0)
        await fleet.stop()
        let texts = told.withLock { $0 }
        #expect(texts.count == 1 && texts[0].contains("CONNACK 5"))
        await gateway.close()

        let nobody = try await self.fleet(settings(5), gateway.address) { text in told.withLock { $0.append(text) } }
        nobody.start()
        try await eventually("failures") { await nobody.counters.failedConnects >= 10 }
        #expect(told.withLock { $0 }.contains { $0.contains("cannot connect") })
        await nobody.stop()
    }
}
