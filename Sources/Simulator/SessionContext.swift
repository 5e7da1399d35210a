// What the sessions of one event loop share, and where a session leaves what it wants done. Belongs to its loop; pure: the
// time is set by whoever drives the sessions.

import MQTT
import ServiceKit

final class SessionContext {
    enum Ending: Equatable {
        /// After everything written has been sent.
        case orderly
        case atOnce
    }

    let settings: FleetSettings
    /// Of the settings, what every packet asks for.
    let keepAlive: Duration
    let qos: UInt8
    let handlers: MethodHandlers
    let latency: Latency
    let random: DeviceRandom
    var now = Instant(nanoseconds: 0)
    var unixTime = 0.0
    var counters = FleetCounters()
    var methods = TextTable()
    var payloads = DigestTable()

    /// To be written to the device's connection, in order; then `ending`.
    private(set) var packets: [MQTTPacket] = []
    private(set) var ending: Ending?

    /// Kinds of problems that have been told.
    private var problems: Set<String> = []
    private let tell: ProblemTeller

    /// Hears the kind of a problem and its text.
    typealias ProblemTeller = @Sendable (_ kind: String, _ text: String) -> Void

    init(settings: FleetSettings, tell: @escaping ProblemTeller = { _, _ in }) {
        self.settings = settings
        keepAlive = settings.keepAlive
        qos = settings.qos
        handlers = settings.handlers
        latency = settings.latency
        self.tell = tell
        random = DeviceRandom(seed: settings.seed)
    }

    func send(_ packet: MQTTPacket) { packets.append(packet) }

    func end(_ ending: Ending) { if self.ending == nil { self.ending = ending } }

    /// What the packets are on the wire; nil when there are none.
    func takeBytes() -> [UInt8]? {
        // Mostly there is one, or none; its memory serves the next device.
        guard packets.count > 1 else { return packets.popLast()?.encoded }
        var bytes: [UInt8] = []
        for packet in packets { packet.encode(into: &bytes) }
        packets.removeAll(keepingCapacity: true)
        return bytes
    }

    func takeEnding() -> Ending? {
        defer { ending = nil }
        return ending
    }

    func takePackets() -> [MQTTPacket] {
        defer { packets = [] }
        return packets
    }

    /// `kind` tells apart what is worth telling again.
    func report(_ kind: String, _ text: @autoclosure () -> String) {
        guard problems.insert(kind).inserted else { return }
        tell(kind, text())
    }
}
