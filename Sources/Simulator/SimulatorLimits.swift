// Every limit of the simulator with the reason for its number (invariant I9).

package enum SimulatorLimits {
    /// Connections from one source address. A source has about 28,000 ports towards one target, and each that was closed
    /// is unusable for a minute; this leaves room for seven reconnects of every device within that minute.
    static let devicesPerSource = 4000
    /// Connections being opened at once on one loop: less than a listener's backlog, so that none is refused.
    static let connectingPerLoop = 1000
    /// How often a loop looks which devices may connect; at 5000 a second that is 50 at a time.
    static let rampTick: Duration = .milliseconds(10)
    /// For TCP and for the answer to CONNECT each; a gateway that starts is slow under a storm, and SDKs wait 60 s.
    static let connectTimeout: Duration = .seconds(30)
    /// For SUBACK and PINGRESP: a gateway that is this late is taken for dead.
    static let answerTimeout: Duration = .seconds(30)
    /// A twin read that failed, or that is older than a notification, is repeated after this long.
    static let twinRetry: Duration = .seconds(1)
    /// First and longest wait before a device connects again, both with jitter.
    static let reconnectInitial: Duration = .milliseconds(500)
    static let reconnectMaximum: Duration = .seconds(20)
    /// Calls of one device that are kept with rid and payload; further ones are counted only.
    static let recordsPerDevice = 4096
    /// Answers of one device that wait for PUBACK and are sent again after a reconnect.
    static let unacknowledgedPerDevice = 64
    /// Different method names and payloads that a loop remembers; further ones share one entry named `…`. A device is
    /// not called by thousands of names, but payloads may differ from device to device.
    static let internedTexts = 1_000_000
    /// The name of that entry.
    static let overflowText = "…"
    /// Descriptors that everything else needs: standard streams, loops, files, HTTP.
    package static let reservedDescriptors = 128
    /// Devices whose lines are built at once for the report file.
    static let linesPerChunk = 1000
    /// How long the connections may take to say goodbye.
    static let farewellTimeout: Duration = .seconds(5)
    /// Tokens end between this share of their lifetime and all of it, so that a fleet does not reconnect at once.
    static let tokenSpread = 0.2
    /// The largest fleet of one process: one epoll registration, one port and about 2 KB each.
    package static let devices = 2_000_000
}
