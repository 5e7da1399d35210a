// A device's session on a real connection: bytes to packets, packets to bytes, the session's deadline to the loop's timer.

import MQTT
import ServiceKit
import Sockets

final class SimulatedDevice: ConnectionHandler {
    private(set) var session: DeviceSession
    /// Keeps it alive for as long as a timer or a connection may come back to it; a fleet is never taken down.
    private let shard: FleetShard
    private var decoder = MQTTDecoder()
    private var connection: Connection?
    private var isConnecting = false
    private var isOver = false

    init(_ session: DeviceSession, _ shard: FleetShard) {
        self.session = session
        self.shard = shard
    }

    func connect(_ reactor: Reactor) {
        guard !isOver else { return }
        isConnecting = true
        decoder = MQTTDecoder()
        shard.connectionBegan()
        let target = shard.target
        Connection.open(
            to: target.addresses, from: target.source(ofDevice: session.number), on: reactor, tls: target.tls,
            serverName: target.serverName, timeout: SimulatorLimits.connectTimeout, handler: self)
    }

    /// For good: says goodbye if there is somebody to say it to.
    func leave(_ reactor: Reactor) {
        isOver = true
        guard let connection else { return }
        turn(connection) { session, context in session.leave(context) }
    }

    // MARK: The connection's events

    func opened(_ connection: Connection) {
        guard !isOver else { return connection.abort() }
        self.connection = connection
        shard.context.unixTime = connection.reactor.loop.clock.unixTime
        turn(connection) { session, context in session.opened(context) }
    }

    func received(_ bytes: Span<UInt8>, _ connection: Connection) {
        var offset = 0
        do throws(MQTTError) {
            // A packet may have ended the connection; what came after it is not for us any more.
            while connection.isOpen, let packet = try decoder.next(in: bytes, at: &offset) {
                turn(connection) { session, context in session.received(packet, context) }
                if isConnecting, session.phase != .greeting { settled() }
            }
        } catch {
            shard.context.counters.strangePackets += 1
            shard.context.report("malformed", "\(session.deviceID): the gateway sent what is no MQTT: \(error.message)")
            connection.abort()
        }
    }

    func deadlinePassed(_ connection: Connection) {
        turn(connection) { session, context in session.timePassed(context) }
    }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        let wasOpened = self.connection != nil
        if !wasOpened, case .failed(let error) = reason {
            shard.context.report("connect \(error.code)", "\(session.deviceID): cannot connect: \(error)")
        }
        self.connection = nil
        if isConnecting { settled() }
        shard.connectionEnded()
        // Given up while it was connecting: neither a failure nor a loss.
        guard wasOpened || !isOver else { return }
        shard.context.now = connection.reactor.now
        let wait = session.closed(shard.context)
        guard !isOver else { return }
        connection.reactor.schedule(at: connection.reactor.now + wait) { [self] reactor in shard.enqueue(self, reactor)
        }
    }

    /// The attempt to connect has succeeded or failed.
    private func settled() {
        isConnecting = false
        shard.connectionSettled()
    }

    /// Lets the session act, then does what it left in the context.
    @inline(__always)
    private func turn(_ connection: Connection, _ body: (inout DeviceSession, SessionContext) -> Void) {
        let context = shard.context
        context.now = connection.reactor.now
        body(&session, context)
        if let bytes = context.takeBytes() { connection.write(bytes) }
        switch context.takeEnding() {
        case .orderly: connection.close()
        case .atOnce: connection.abort()
        case nil: connection.deadline = Self.deadline(of: &session, context)
        }
    }

    /// In place: a session has too many fields to be copied for each packet.
    private static func deadline(of session: inout DeviceSession, _ context: SessionContext) -> Instant? {
        session.deadline(context)
    }
}
