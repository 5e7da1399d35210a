// One PGconn: every libpq call stands in this file and in ConnectionHandle+Requests.swift. Blocking; used only from
// its connection's own executor. Not Sendable, so the compiler keeps it there.
//
// The socket is non-blocking for libpq; all waiting happens in `poll` with a deadline, so that a server that hangs
// holds this thread for no longer than the caller allows. At the deadline the server is asked to cancel, gets a grace
// period to say what became of the statement, and then the connection is closed in any case: a cancel that arrives late
// would hit whatever ran next.

private import CLibPQ
private import Dispatch
private import Glibc
import ServiceKit

/// A moment by the injected clock.
struct Deadline {
    let clock: any ServiceClock
    var instant: Instant

    init(_ clock: any ServiceClock, after duration: Duration) {
        self.clock = clock
        instant = clock.now + duration
    }

    var remaining: Duration { max(.zero, instant - clock.now) }
    var hasPassed: Bool { clock.now >= instant }

    /// The earlier of this and a deadline from now.
    func atMost(_ duration: Duration) -> Deadline {
        var other = Deadline(clock, after: duration)
        other.instant = min(other.instant, instant)
        return other
    }
}

final class ConnectionHandle {
    /// How long a server may take to answer a request to cancel.
    static let cancelGrace: Duration = .seconds(1)

    let raw: OpaquePointer
    /// Names of the statements that this connection has prepared.
    var prepared: Set<String> = []
    /// Set once something happened after which nobody may use this connection again.
    private(set) var isBroken = false
    private var isCancelled = false
    private let notices = NoticeBox()

    /// Connects; throws `.unavailable`, `.timeout` or `.fatal` (wrong password, no such database), effect none.
    init(_ configuration: PostgresConfiguration, deadline: Deadline) throws(StoreError) {
        guard let raw = Self.start(configuration) else {
            throw StoreError(code: .unavailable, effect: .none, operation: "connect", message: "out of memory")
        }
        self.raw = raw
        PQsetErrorVerbosity(raw, PQERRORS_VERBOSE)
        try establish(deadline: deadline)
        PQsetErrorVerbosity(raw, PQERRORS_DEFAULT)
        PQsetNoticeReceiver(raw, NoticeBox.receive, Unmanaged.passUnretained(notices).toOpaque())
        guard PQsetnonblocking(raw, 1) == 0 else {
            throw PostgresErrors.connectFailure(String(cString: PQerrorMessage(raw)))
        }
    }

    deinit { PQfinish(raw) }

    private static func start(_ configuration: PostgresConfiguration) -> OpaquePointer? {
        // A later keyword wins over an earlier one; `dbname` is expanded when it is a URL or a conninfo string.
        // The texts we send and read are UTF-8 whatever PGCLIENTENCODING says; poolers track this parameter per client.
        let settings = [
            ("fallback_application_name", "muster"), ("dbname", configuration.connectionString),
            ("client_encoding", "UTF8"),
        ]
        let keywords = settings.map { strdup($0.0) }
        let values = settings.map { strdup($0.1) }
        defer { for text in keywords + values { free(text) } }
        let keywordPointers = keywords.map { UnsafePointer($0) } + [nil]
        let valuePointers = values.map { UnsafePointer($0) } + [nil]
        return PQconnectStartParams(keywordPointers, valuePointers, 1)
    }

    private func establish(deadline: Deadline) throws(StoreError) {
        var step = PGRES_POLLING_WRITING
        while PQstatus(raw) != CONNECTION_BAD {
            let events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT
            guard wait(for: Int16(events), until: deadline) else {
                throw StoreError(
                    code: .timeout, effect: .none, operation: "connect", message: "no connection in time")
            }
            step = PQconnectPoll(raw)
            if step == PGRES_POLLING_OK { return }
            if step == PGRES_POLLING_FAILED { break }
        }
        throw PostgresErrors.connectFailure(String(cString: PQerrorMessage(raw)))
    }

    /// False once the server has closed the connection or said that it will, as far as this side can know. Reads what
    /// came while the connection was idle. A request must not be sent on a dead connection: its effect would be unknown.
    func isUsable() -> Bool {
        // A server sends at most a few parameter changes and a farewell; the bound keeps the loop finite.
        for _ in 0..<64 {
            guard !isBroken, !notices.saysFarewell, PQstatus(raw) == CONNECTION_OK,
                PQtransactionStatus(raw) == PQTRANS_IDLE
            else { return false }
            guard isReadable else { return true }
            if PQconsumeInput(raw) == 0 { isBroken = true }
            _ = PQisBusy(raw)
        }
        return false
    }

    func markBroken() { isBroken = true }

    private var isReadable: Bool {
        var descriptor = pollfd(fd: PQsocket(raw), events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) > 0
    }

    /// Hands what libpq has buffered to the kernel.
    func flush(_ progress: inout PostgresErrors.Progress, operation: String, deadline: inout Deadline)
        throws(StoreError)
    {
        while true {
            switch PQflush(raw) {
            case 0:
                progress.hasLeft = true
                return
            case 1:
                try block(Int16(POLLIN | POLLOUT), progress, operation, &deadline)
                // The server may wait for us to read before it reads on.
                if isReadable { try consume(progress, operation) }
            default: throw lost(progress, operation)
            }
        }
    }

    /// Waits until the next PQgetResult does not block.
    func awaitResult(_ progress: PostgresErrors.Progress, operation: String, deadline: inout Deadline)
        throws(StoreError)
    {
        while PQisBusy(raw) == 1 {
            try block(Int16(POLLIN), progress, operation, &deadline)
            try consume(progress, operation)
        }
    }

    func lost(_ progress: PostgresErrors.Progress, _ operation: String) -> StoreError {
        isBroken = true
        return PostgresErrors.lost(
            operation: operation, progress: progress, message: String(cString: PQerrorMessage(raw)).trimmed())
    }

    private func consume(_ progress: PostgresErrors.Progress, _ operation: String) throws(StoreError) {
        // A connection that just closed may have an answer in libpq's buffer; PQgetResult then gives it first.
        if PQconsumeInput(raw) == 0 {
            isBroken = true
            if PQisBusy(raw) == 1 { throw lost(progress, operation) }
        }
    }

    private func block(
        _ events: Int16, _ progress: PostgresErrors.Progress, _ operation: String, _ deadline: inout Deadline
    ) throws(StoreError) {
        guard !wait(for: events, until: deadline) else { return }
        isBroken = true
        guard !isCancelled, requestCancel() else {
            throw PostgresErrors.timedOut(operation: operation, progress: progress)
        }
        isCancelled = true
        deadline = Deadline(deadline.clock, after: Self.cancelGrace)
    }

    /// PQcancel opens a connection of its own and has no timeout, so it runs on a thread of its own, which may outlive
    /// this connection when the server is out of reach.
    private func requestCancel() -> Bool {
        guard let cancel = PQgetCancel(raw) else { return false }
        let request = CancelRequest(cancel)
        DispatchQueue(label: "postgres.cancel").async { request.send() }
        return true
    }

    /// False at the deadline.
    private func wait(for events: Int16, until deadline: Deadline) -> Bool {
        while true {
            let milliseconds = Int32(clamping: deadline.remaining.milliseconds + 1)
            var descriptor = pollfd(fd: PQsocket(raw), events: events, revents: 0)
            let ready = poll(&descriptor, 1, milliseconds)
            // Errors of the socket are for libpq to find; EINTR and a clock that stands still are waited out.
            if ready > 0 || (ready < 0 && errno != EINTR) { return true }
            if deadline.hasPassed { return false }
        }
    }
}

/// Sends one request to cancel and frees the handle. It has the only reference to the handle.
private final class CancelRequest: @unchecked Sendable {
    private let cancel: OpaquePointer

    init(_ cancel: OpaquePointer) { self.cancel = cancel }
    deinit { PQfreeCancel(cancel) }

    func send() {
        var message = [CChar](repeating: 0, count: 256)
        // Its failure shows as the missing answer on the connection itself.
        _ = PQcancel(cancel, &message, Int32(message.count))
    }
}

/// Notices would go to standard error. The one that matters is the farewell to an idle session (class 57P).
private final class NoticeBox {
    var saysFarewell = false

    static let receive: PQnoticeReceiver = { context, result in
        guard let context, let result, let state = PQresultErrorField(result, Int32(DIAG_SQLSTATE)) else { return }
        if String(cString: state).hasPrefix("57P") {
            Unmanaged<NoticeBox>.fromOpaque(context).takeUnretainedValue().saysFarewell = true
        }
    }
}
