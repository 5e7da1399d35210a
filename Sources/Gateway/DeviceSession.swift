// One connection of a device, on its event loop.
//
// Modes and the allowed moves:
//   connecting      waits for CONNECT                                        -> authenticating, closed
//   authenticating  the connect desk decides; what the client sends meanwhile
//                   waits in the decoder and then in the kernel             -> open, closed
//   open            in the session table                                    -> closed
//   closed          released; what desks still answer is dropped
//
// Reading is paused while too many of its requests wait for a store or too much output waits for it, so a device that
// sends faster than it is served waits itself. An idle session owns no buffer.
//
// Where to read next: DeviceSession+Connect, DeviceSession+Packets.

import MQTT
import ServiceKit
import Sockets

final class DeviceSession: ByteStreamHandler {
    enum Mode {
        case connecting
        case authenticating
        case open
        case closed
    }

    let context: GatewayContext
    var mode = Mode.connecting
    private(set) var channel: (any ByteChannel)?
    private var decoder: MQTTDecoder

    /// What the client claims to be until it is authenticated.
    var deviceID = ""
    var session: Int64 = 0
    var subscriptions: SubscriptionSet = []
    var isClean = true
    var hasWill = false
    /// The longest allowed; from the keep alive.
    var silence: Duration = .zero
    /// Seconds since 1970.
    var tokenExpiry: Int64 = 0
    private(set) var lastHeard = Instant(nanoseconds: 0)
    private var activityNoted: Instant?

    /// Twin requests and subscriptions that wait for a store.
    var requestsWaiting = 0
    /// Of these, subscriptions.
    var storesWaiting = 0
    private var isPaused = false

    init(_ context: GatewayContext) {
        self.context = context
        decoder = MQTTDecoder(packetLimit: context.limits.connectBytes)
    }

    // MARK: The stream

    func opened(_ channel: any ByteChannel) {
        self.channel = channel
        lastHeard = channel.reactor.now
        channel.outputLimit = context.limits.outputBytes
        channel.deadline = channel.reactor.now + context.limits.connectTimeout
    }

    func received(_ bytes: Span<UInt8>) {
        guard mode != .closed, let channel else { return }
        lastHeard = channel.reactor.now
        noteActivity()
        var offset = 0
        handlePackets { decoder throws(MQTTError) in try decoder.next(in: bytes, at: &offset) }
        guard mode != .closed else { return }
        decoder.append(bytes, from: offset)
        pauseOrResume()
    }

    func outputDrained() {
        if isPaused { proceed() }
    }

    func deadlinePassed() {
        guard let channel else { return }
        switch mode {
        case .connecting:
            end(.connectTimeout, isAbrupt: true)
        case .open:
            guard context.clock.unixTime < Double(tokenExpiry) else { return end(.tokenExpired) }
            // A device that is not read from cannot be heard.
            if isPaused { lastHeard = channel.reactor.now }
            guard channel.reactor.now < lastHeard + silence else { return end(.keepAlive, isAbrupt: true) }
            armDeadline()
        case .authenticating, .closed:
            break
        }
    }

    func closed(_ reason: CloseReason) {
        switch reason {
        case .peer: end(.peerClosed)
        case .local: end(.connectionFailed)
        case .failed(let error):
            switch error.code {
            case .overflow: end(.outputFull, detail: error.message)
            case .timeout: end(.notReading, detail: error.message)
            case .resolution, .refused, .certificate, .tls, .reset, .address, .configuration, .system:
                end(.connectionFailed, detail: error.message)
            }
        }
    }

    // MARK: The engine

    /// Handles packets that were kept until there are none, or the device has to wait.
    func proceed() {
        handlePackets { decoder throws(MQTTError) in try decoder.next() }
        pauseOrResume()
    }

    private func handlePackets(_ next: (inout MQTTDecoder) throws(MQTTError) -> MQTTPacket?) {
        while (mode == .connecting || mode == .open) && !isBehind {
            do throws(MQTTError) {
                guard let packet = try next(&decoder) else { return }
                handle(packet)
            } catch {
                return end(error.code == .tooLarge ? .tooLarge : .malformed, detail: error.message)
            }
        }
    }

    private func pauseOrResume() {
        guard let channel, mode != .closed else { return }
        let mustPause = mode == .authenticating || isBehind
        guard mustPause != isPaused else { return }
        isPaused = mustPause
        if mustPause {
            channel.pauseReading()
        } else {
            lastHeard = channel.reactor.now
            channel.resumeReading()
        }
    }

    private var isBehind: Bool {
        requestsWaiting >= context.limits.requestsPerSession
            || (channel?.outputCount ?? 0) >= context.limits.outputBytesToPause
    }

    func write(_ packet: MQTTPacket) {
        guard mode != .closed else { return }
        channel?.write(packet.encoded)
    }

    /// For the desks' answers; nil once closed.
    var handle: LoopBound<DeviceSession>? {
        channel.map { LoopBound(self, on: $0.reactor) }
    }

    /// From the CONNACK on: larger packets, and limits on silence and on the token.
    func begin() {
        decoder.packetLimit = MQTTLimits.packetBytes
        armDeadline()
    }

    private func armDeadline() {
        guard let channel else { return }
        // Looked at again at least once a day, so that no expiry is too far away to compute with.
        let left = min(max(0, Double(tokenExpiry) - context.clock.unixTime), 86_400)
        channel.deadline = min(lastHeard + silence, channel.reactor.now + .milliseconds(Int64(left * 1000) + 1))
    }

    private func noteActivity() {
        guard mode == .open else { return }
        if let activityNoted, lastHeard < activityNoted + context.limits.activityInterval { return }
        activityNoted = lastHeard
        context.activity.heard(deviceID, session: session, at: lastHeard)
    }

    // MARK: The end

    /// Ends the connection, whatever its mode. Abruptly: nothing more is sent, because the peer is taken for gone.
    func end(_ reason: SessionEnd, detail: String? = nil, isAbrupt: Bool = false) {
        guard mode != .closed else { return }
        let wasOpen = mode == .open
        mode = .closed
        decoder = MQTTDecoder()
        context.ended(reason, device: deviceID, wasOpen: wasOpen, detail: detail)
        if wasOpen {
            context.release(deviceID, session: session, lastHeard: lastHeard)
            if hasWill, reason != .disconnect { context.counters.countWill() }
        }
        let channel = self.channel
        self.channel = nil
        if isAbrupt { channel?.abort() } else { channel?.close() }
    }
}
