// One connection to Redis: every hiredis call stands in this file. Blocking; used from one queue at a time. Not Sendable.
//
// hiredis connects and parses. Writing is done here with send(2), because hiredis writes with write(2), which raises
// SIGPIPE on a closed connection, and because the effect of a lost request depends on how many bytes had left.

private import CHiredis
private import Glibc
import ServiceKit
private import Synchronization

final class RedisHandle {
    private let context: UnsafeMutablePointer<redisContext>
    /// Lets another thread end a blocking read.
    let breaker: RedisBreaker
    private(set) var runID = ""
    private(set) var clientID: Int64 = 0

    /// Connects, authenticates, selects the database, and asks who the server is.
    init(
        _ endpoint: RedisEndpoint, connectTimeout: Duration, clock: any ServiceClock
    ) throws(StoreError) {
        let limit = timeval(
            tv_sec: Int(connectTimeout.milliseconds / 1000), tv_usec: Int(connectTimeout.milliseconds % 1000) * 1000)
        let started: UnsafeMutablePointer<redisContext>? =
            switch endpoint.address {
            case .tcp(let host, let port): redisConnectWithTimeout(host, Int32(port), limit)
            case .unix(let path): redisConnectUnixWithTimeout(path, limit)
            }
        guard let started else {
            throw RedisErrors.lost(operation: "connect", hasLeft: false, message: "out of memory")
        }
        guard started.pointee.err == 0 else {
            let message = withUnsafeBytes(of: started.pointee.errstr) { text in
                String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
            }
            redisFree(started)
            throw RedisErrors.lost(operation: "connect", hasLeft: false, message: message)
        }
        context = started
        breaker = RedisBreaker(started.pointee.fd)
        let flags = fcntl(started.pointee.fd, F_GETFL)
        guard fcntl(started.pointee.fd, F_SETFL, flags | O_NONBLOCK) == 0 else {
            throw RedisErrors.lost(operation: "connect", hasLeft: false, message: "fcntl failed")
        }
        if case .tcp = endpoint.address { redisEnableKeepAlive(started) }
        try greet(endpoint, until: clock.now + connectTimeout, clock: clock)
    }

    deinit {
        breaker.disarm()
        redisFree(context)
    }

    private func greet(_ endpoint: RedisEndpoint, until deadline: Instant, clock: any ServiceClock)
        throws(StoreError)
    {
        var commands: [[RedisArgument]] = []
        if let password = endpoint.password {
            commands.append(["AUTH"] + (endpoint.user.map { [.text($0)] } ?? []) + [.text(password)])
        }
        if endpoint.database != 0 { commands.append(["SELECT", .integer(Int64(endpoint.database))]) }
        commands += [["CLIENT", "SETNAME", "muster"], ["CLIENT", "ID"], ["INFO", "server"]]
        var exchange = RedisExchange([RedisRequest(operation: "connect", commands)])
        try run(&exchange, clock: clock) { _ in deadline }
        let replies = exchange.replies[0]
        for reply in replies {
            if case .error(let text) = reply { throw RedisErrors.error(text, operation: "connect") }
        }
        clientID = replies[replies.count - 2].integer ?? 0
        for line in (replies.last?.text ?? "").split(whereSeparator: \.isNewline) where line.hasPrefix("run_id:") {
            runID = String(line.dropFirst("run_id:".count))
        }
    }

    /// False once the server has closed the connection. Between requests the server has nothing to say, so anything
    /// readable is the end.
    var isUsable: Bool {
        var descriptor = pollfd(fd: context.pointee.fd, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) == 0
    }

    /// Sends and reads until every request is answered. On a throw the connection must be dropped; `exchange` tells
    /// which requests had left and which were answered.
    func run(_ exchange: inout RedisExchange, clock: any ServiceClock, deadline: (RedisExchange) -> Instant)
        throws(StoreError)
    {
        while !exchange.isDone {
            let until = deadline(exchange)
            let remaining = until - clock.now
            let events = exchange.isSent ? POLLIN : POLLIN | POLLOUT
            var descriptor = pollfd(fd: context.pointee.fd, events: Int16(events), revents: 0)
            let ready = poll(&descriptor, 1, Int32(clamping: max(.zero, remaining).milliseconds + 1))
            if ready == 0, clock.now >= until {
                throw RedisErrors.timedOut(operation: exchange.operation, hasLeft: exchange.written > 0)
            }
            if ready < 0, errno != EINTR { throw lost(exchange, "poll failed with error \(errno)") }
            guard ready > 0 else { continue }
            if !exchange.isSent, descriptor.revents & Int16(POLLOUT) != 0 { try send(&exchange) }
            if descriptor.revents & ~Int16(POLLOUT) != 0 { try receive(&exchange) }
        }
    }

    private func send(_ exchange: inout RedisExchange) throws(StoreError) {
        let sent = exchange.bytes.withUnsafeBytes { bytes in
            Glibc.send(
                context.pointee.fd, bytes.baseAddress.map { $0 + exchange.written }, bytes.count - exchange.written,
                Int32(MSG_NOSIGNAL))
        }
        if sent >= 0 {
            exchange.written += sent
        } else if errno != EAGAIN, errno != EINTR {
            throw lost(exchange, "send failed with error \(errno)")
        }
    }

    private func receive(_ exchange: inout RedisExchange) throws(StoreError) {
        var buffer = [CChar](repeating: 0, count: 64 * 1024)
        let count = recv(context.pointee.fd, &buffer, buffer.count, 0)
        if count == 0 { throw lost(exchange, "the server closed the connection") }
        guard count > 0 else {
            if errno == EAGAIN || errno == EINTR { return }
            throw lost(exchange, "recv failed with error \(errno)")
        }
        guard redisReaderFeed(context.pointee.reader, buffer, count) == REDIS_OK else {
            throw lost(exchange, "the answer is not in Redis' protocol")
        }
        while true {
            var raw: UnsafeMutableRawPointer?
            guard redisReaderGetReply(context.pointee.reader, &raw) == REDIS_OK else {
                throw lost(exchange, "the answer is not in Redis' protocol")
            }
            guard let raw else { return }
            defer { freeReplyObject(raw) }
            guard !exchange.isDone else { throw lost(exchange, "there was an answer that nobody asked for") }
            exchange.take(Self.reply(raw.assumingMemoryBound(to: redisReply.self)))
        }
    }

    private func lost(_ exchange: RedisExchange, _ message: String) -> StoreError {
        RedisErrors.lost(operation: exchange.operation, hasLeft: exchange.written > 0, message: message)
    }

    /// hiredis' reader refuses deep nesting, so this recursion is bounded.
    private static func reply(_ raw: UnsafeMutablePointer<redisReply>) -> RedisReply {
        let bytes = UnsafeRawBufferPointer(start: raw.pointee.str, count: Int(raw.pointee.len))
        switch raw.pointee.type {
        case REDIS_REPLY_INTEGER: return .integer(raw.pointee.integer)
        case REDIS_REPLY_STRING: return .string(Array(bytes))
        case REDIS_REPLY_STATUS: return .status(String(decoding: bytes, as: UTF8.self))
        case REDIS_REPLY_ERROR: return .error(String(decoding: bytes, as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            return .array(
                (0..<Int(raw.pointee.elements)).map { index in
                    raw.pointee.element?[index].map { reply($0) } ?? .null
                })
        default: return .null
        }
    }
}

/// Some requests on their way: what was sent, and what was answered so far. A value without I/O.
struct RedisExchange {
    let requests: [RedisRequest]
    let bytes: [UInt8]
    /// Bytes handed to the kernel.
    var written = 0
    /// One list for each request that has an answer, the last one maybe incomplete.
    private(set) var replies: [[RedisReply]] = []

    init(_ requests: [RedisRequest]) {
        self.requests = requests
        bytes = requests.count == 1 ? requests[0].bytes : requests.flatMap(\.bytes)
    }

    var isSent: Bool { written == bytes.count }
    var isDone: Bool { replies.count == requests.count && replies.last?.count == requests.last?.count }
    var operation: String { requests.first?.operation ?? "command" }

    /// Requests answered completely; the others follow in order.
    var answered: Int {
        guard let last = replies.last else { return 0 }
        return last.count == requests[replies.count - 1].count ? replies.count : replies.count - 1
    }

    mutating func take(_ reply: RedisReply) {
        if answered == replies.count { replies.append([]) }
        replies[replies.count - 1].append(reply)
    }

    /// Whether any byte of the request at `index` was sent.
    func hasLeft(_ index: Int) -> Bool {
        requests[..<index].reduce(0) { $0 + $1.bytes.count } < written
    }
}

/// Shuts a socket down from another thread, and never after its number may belong to somebody else.
final class RedisBreaker: Sendable {
    private let descriptor: Mutex<Int32?>

    init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

    func trip() {
        descriptor.withLock { descriptor in
            if let descriptor { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    func disarm() { descriptor.withLock { $0 = nil } }
}
