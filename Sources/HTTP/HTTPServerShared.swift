// What all connections of one server share, over all loops, and what the connections of one loop share.

private import JSON
internal import ServiceKit
internal import Sockets
private import Synchronization

final class HTTPServerShared: Sendable {
    let limits: HTTPLimits
    let handler: HTTPServer.Handler
    let errorResponse: @Sendable (HTTPProtocolError) -> HTTPResponse
    let upgrade: (@Sendable (HTTPRequest) -> WebSocketUpgrade?)?
    let clock: any ServiceClock
    private let log: Log
    private let metrics: Metrics
    /// Received bytes of all unfinished requests.
    private let bufferedBytes = Atomic<Int>(0)
    private let connections = Atomic<Int>(0)
    private let webSockets = Atomic<Int>(0)
    private let draining = Atomic<Bool>(false)
    private static let acceptWarningInterval: Duration = .seconds(1)
    private let nextAcceptWarning = Mutex<Instant?>(nil)

    init(
        _ configuration: HTTPServer.Configuration, log: Log, metrics: Metrics, clock: any ServiceClock,
        handler: @escaping HTTPServer.Handler
    ) {
        limits = configuration.limits
        errorResponse = configuration.errorResponse
        upgrade = configuration.upgrade
        self.handler = handler
        self.clock = clock
        self.log = log
        self.metrics = metrics
    }

    var isDraining: Bool { draining.load(ordering: .relaxed) }

    func beginDraining() { draining.store(true, ordering: .relaxed) }

    /// Counts bytes that a connection holds or gives back; false when they are more and exceed the limit.
    func holdBytes(_ change: Int) -> Bool {
        let sum = bufferedBytes.wrappingAdd(change, ordering: .relaxed).newValue
        return change <= 0 || sum <= limits.bufferedBytes
    }

    func connectionsChanged(by change: Int) {
        let count = connections.wrappingAdd(change, ordering: .relaxed).newValue
        metrics.gauge("muster_http_connections", "Open HTTP connections.", Double(count))
    }

    func webSocketsChanged(by change: Int) {
        let count = webSockets.wrappingAdd(change, ordering: .relaxed).newValue
        metrics.gauge("muster_http_websockets", "Open WebSockets.", Double(count))
    }

    func answered(_ status: Int) {
        let label = status < 300 ? "2xx" : status < 400 ? "3xx" : status < 500 ? "4xx" : "5xx"
        metrics.count("muster_http_responses_total", "HTTP responses of handlers.", labels: [("class", label)])
    }

    func refused(_ error: HTTPProtocolError) {
        metrics.count(
            "muster_http_refusals_total", "HTTP requests refused before any handler.",
            labels: [("status", String(error.status))])
        log.debug("http_refused", [("code", .integer(Int64(error.status))), ("reason", .string(error.text))])
    }

    func connectionFailed(_ error: SocketError) {
        metrics.count(
            "muster_http_connection_failures_total", "HTTP connections that ended in an error.",
            labels: [("code", error.code.rawValue)])
        log.debug(
            "http_connection_failed", [("code", .string(error.code.rawValue)), ("reason", .string(error.message))])
    }

    /// Comes with every connection that is turned away, so only one a second is written.
    func acceptFailed(_ error: SocketError) {
        metrics.count(
            "muster_http_accept_failures_total", "Times that accepting HTTP connections met an error or a limit.",
            labels: [("code", error.code.rawValue)])
        let now = clock.now
        let isDue = nextAcceptWarning.withLock { next in
            guard next.map({ $0 <= now }) ?? true else { return false }
            next = now + Self.acceptWarningInterval
            return true
        }
        guard isDue else { return }
        log.warning("http_accept_failed", [("code", .string(error.code.rawValue)), ("reason", .string(error.message))])
    }
}

/// Confined to one loop.
final class HTTPServerLoopState {
    private var connections: [ObjectIdentifier: HTTPServerConnection] = [:]
    private var channels: [ObjectIdentifier: WebSocketChannel] = [:]
    private var dateSeconds = Int.min
    private var dateText = ""

    func add(_ connection: HTTPServerConnection) { connections[ObjectIdentifier(connection)] = connection }
    func remove(_ connection: HTTPServerConnection) { connections[ObjectIdentifier(connection)] = nil }

    func add(_ channel: WebSocketChannel) { channels[ObjectIdentifier(channel)] = channel }
    func remove(_ channel: WebSocketChannel) { channels[ObjectIdentifier(channel)] = nil }

    /// A snapshot, since closing removes.
    var all: [HTTPServerConnection] { Array(connections.values) }
    var allChannels: [WebSocketChannel] { Array(channels.values) }

    /// The value of the `Date` header, formatted once a second.
    func date(_ clock: any ServiceClock) -> String {
        let seconds = Int(clock.unixTime)
        if seconds != dateSeconds {
            dateSeconds = seconds
            dateText = HTTPDate.text(unixSeconds: seconds)
        }
        return dateText
    }
}
