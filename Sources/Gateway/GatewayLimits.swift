// Every limit of a gateway with its reason (invariant I9). A value, so that a test can shorten what it would wait for.

package struct GatewayLimits: Sendable {
    /// From the connection to its CONNECT; the wire contract asks for a few seconds (8.1).
    package var connectTimeout: Duration = .seconds(30)
    /// Bytes of a CONNECT: user name, token and will of an SDK are a few hundred; nobody has said yet who it is.
    package var connectBytes = 16 * 1024
    /// The longest silence of any client, from the wire contract (8.1): 29.45 minutes.
    package var silenceMaximum: Duration = .seconds(1767)
    /// What may wait for a device that does not read: the largest method request and some more.
    package var outputBytes = 256 * 1024
    /// A device whose own answers wait up to here is not read from until it takes them.
    package var outputBytesToPause = 64 * 1024
    /// Twin requests and subscriptions of one device that wait for a store; beyond, it is not read from.
    package var requestsPerSession = 16
    /// CONNECTs that wait for a store; beyond, CONNACK 3 tells clients to come back.
    package var connectsWaiting = 50_000
    /// Twin requests that wait for a store; beyond, the answer is 429.
    package var twinRequestsWaiting = 20_000
    /// Bytes of a patch of reported properties. 32 KB by the size rule stay below this in any sensible spelling.
    package var reportedBytes = 128 * 1024
    /// How old the recorded time of a device's last activity may be while it is active.
    package var activityInterval: Duration = .seconds(10)
    /// How soon closed sessions and activity are written.
    package var flushInterval: Duration = .seconds(2)
    /// How soon a disabled or deleted device, or one whose newer session is elsewhere, is closed when no word of it came.
    package var registryInterval: Duration = .seconds(10)
    /// Of the gateway, in both stores; three missed ones count as its end.
    package var beatInterval: Duration = .seconds(1)
    /// Sessions closed together at the end of a gateway, and the pause before the next: others take them over, and a
    /// hundred thousand at once would be a storm.
    package var drainChunk = 500
    package var drainPause: Duration = .milliseconds(20)
    /// For the last writes to the stores.
    package var drainTimeout: Duration = .seconds(10)

    package init() {}

    /// Batches of CONNECTs and of twin requests that may run at the same time; each uses one PostgreSQL connection.
    static let lanes = 2
    /// Messages on changes of the registry that wait for a look; of more only the walk finds out.
    static let registryChanges = 256
    /// Descriptors beyond the sessions: stores, listeners, files, libraries.
    static let descriptorsBesides = 256
    /// At a gateway's end, for WebSockets that are closed to take the last bytes and close their side.
    static let webSocketGrace: Duration = .seconds(2)
    /// From the wire contract (8.1): clients are silent for at most this many times their keep alive.
    static func silence(keepAlive: UInt16) -> Duration { .milliseconds(Int64(keepAlive) * 1500) }
}
