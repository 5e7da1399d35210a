// The devices of one event loop. Opens their connections at the fleet's rate, the first ones and the repeated ones: a
// gateway that comes back is not overrun by its own fleet.

import ServiceKit
package import Sockets

/// Where a fleet connects to.
package struct FleetTarget: Sendable {
    let addresses: [ResolvedAddress]
    let tls: TLSContext?
    let serverName: String
    private let sources: [ResolvedAddress]

    /// `tls` nil: without TLS. Towards this machine the devices leave from several addresses.
    package init(addresses: [ResolvedAddress], tls: TLSContext?, serverName: String, devices: Int) {
        self.addresses = addresses
        self.tls = tls
        self.serverName = serverName
        let count = (devices + SimulatorLimits.devicesPerSource - 1) / SimulatorLimits.devicesPerSource
        // 127.0.0.1 is left to everybody else.
        sources =
            addresses.contains(where: \.isIPv4Loopback)
            ? (0..<max(1, count)).map { ResolvedAddress(loopback: UInt16($0 + 2)) } : []
    }

    package var isThisMachine: Bool { !sources.isEmpty }

    func source(ofDevice number: Int) -> ResolvedAddress? {
        sources.isEmpty ? nil : sources[number % sources.count]
    }
}

final class FleetShard {
    let context: SessionContext
    let target: FleetTarget
    private(set) var devices: [SimulatedDevice] = []
    /// Devices that may connect as soon as the rate allows; taken from `head`.
    private var waiting: [SimulatedDevice] = []
    private var head = 0
    private let rate: Double
    /// Connections that may be opened now, and since when.
    private var allowance = 1.0
    private var lastTick: Instant?
    private var isTicking = false
    private var connecting = 0
    private(set) var open = 0

    /// `numbers` are this loop's devices, `rate` its part of the connections a second.
    init(
        numbers: [Int], rate: Double, settings: FleetSettings, target: FleetTarget,
        tell: @escaping SessionContext.ProblemTeller
    ) {
        context = SessionContext(settings: settings, tell: tell)
        self.target = target
        self.rate = rate
        devices = numbers.map { SimulatedDevice(DeviceSession(number: $0, context), self) }
        context.counters.devices = devices.count
        context.counters.online = devices.count { !$0.session.traits.isOffline }
    }

    func start(_ reactor: Reactor) {
        waiting = devices.filter { !$0.session.traits.isOffline }
        tick(reactor)
    }

    func stop(_ reactor: Reactor) {
        waiting = []
        head = 0
        for device in devices { device.leave(reactor) }
    }

    // MARK: The rate

    func enqueue(_ device: SimulatedDevice, _ reactor: Reactor) {
        waiting.append(device)
        if !isTicking { tick(reactor) }
    }

    private func tick(_ reactor: Reactor) {
        isTicking = false
        // At most the devices of a tenth of a second at once, however long nobody asked.
        let passed = min(0.1, lastTick.map { (reactor.now - $0).inSeconds } ?? 0)
        lastTick = reactor.now
        allowance = min(allowance + passed * rate, max(1, rate / 10))
        while head < waiting.count, allowance >= 1, connecting < SimulatorLimits.connectingPerLoop {
            allowance -= 1
            head += 1
            waiting[head - 1].connect(reactor)
        }
        if head > waiting.count / 2 {
            waiting.removeFirst(head)
            head = 0
        }
        guard !waiting.isEmpty else { return }
        isTicking = true
        reactor.schedule(at: reactor.now + SimulatorLimits.rampTick) { [self] in tick($0) }
    }

    func connectionBegan() {
        connecting += 1
        open += 1
    }

    func connectionSettled() { connecting -= 1 }
    func connectionEnded() { open -= 1 }
}
