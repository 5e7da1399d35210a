// The seam between the calls of a gateway and its sessions: what each needs of the other. Sessions live on event loops;
// a desk may be called from any of them.

/// One call to be written to a device.
package struct OutgoingCall: Sendable {
    /// In the topic; unique among the calls of this process.
    package let rid: UInt64
    package let deviceID: String

    package init(rid: UInt64, deviceID: String) {
        self.rid = rid
        self.deviceID = deviceID
    }
}

/// What all calls of a part say.
package final class CallMessage: Sendable {
    /// Of the method, up to the rid.
    package let topic: String
    package let payload: [UInt8]

    package init(topic: String, payload: [UInt8]) {
        self.topic = topic
        self.payload = payload
    }
}

/// What the calls are to the sessions.
package protocol CallDesk: Sendable {
    /// Asked on the event loop immediately before the bytes are written to the session. False: write nothing, and nothing more is to be
    /// done.
    func mayWrite(_ rid: UInt64, session: Int64) -> Bool
    /// There is no open session here that has subscribed to methods.
    func undeliverable(_ rids: [UInt64])
    func answered(_ rid: UInt64, deviceID: String, status: Int32, payload: [UInt8])
    func sessionClosed(deviceID: String, session: Int64)
}

/// What the sessions are to the calls.
package protocol CallWriter: Sendable {
    /// Writes each call to its device's session, asking the desk immediately before.
    func write(_ calls: [OutgoingCall], _ message: CallMessage)
}
