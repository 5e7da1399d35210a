// What a protocol (HTTP, MQTT) implements to own a connection. All calls come on the connection's event loop.

package protocol ConnectionHandler: AnyObject {
    /// Connected, and with TLS shaken hands: from here on bytes flow. Not called for a connection that failed before.
    func opened(_ connection: Connection)
    /// The bytes are only valid during the call.
    func received(_ bytes: Span<UInt8>, _ connection: Connection)
    /// The peer has closed at least its side while reading is paused: nobody may be waiting for what is being worked
    /// on. Bytes that it sent before are still there to be read.
    func peerLeft(_ connection: Connection)
    /// The peer will send nothing more, and everything it sent has been received.
    func peerFinished(_ connection: Connection)
    /// Everything written so far has been taken by the kernel.
    func outputDrained(_ connection: Connection)
    /// `Connection.deadline` is over; it is nil again.
    func deadlinePassed(_ connection: Connection)
    /// The last call, exactly once, also for a connection that never opened.
    func closed(_ connection: Connection, _ reason: CloseReason)
}

extension ConnectionHandler {
    package func peerLeft(_ connection: Connection) {}
    package func peerFinished(_ connection: Connection) { connection.close() }
    package func outputDrained(_ connection: Connection) {}
    package func deadlinePassed(_ connection: Connection) { connection.close() }
}
