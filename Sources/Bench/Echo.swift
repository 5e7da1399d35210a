// The limit of `bench methods`: the packets of a direct method over plain sockets, one epoll loop a thread, and nothing
// of the product. The server side stands for the gateway: it sends every connection a call, reads the answer,
// acknowledges it, and sends the next call, at once or in rounds; the client side answers. Both run as processes of their
// own.
//
// A round trip with QoS 1 is what a simulated device and the gateway exchange: PUBLISH at QoS 0 with the call, PUBLISH at
// QoS 1 with the answer, PUBACK. With QoS 0 there is no PUBACK.

internal import CLinux
internal import Glibc
private import Synchronization

package enum Echo {
    /// As long as the number that the gateway gives a call.
    fileprivate static let ridDigits = 9
    fileprivate static let callTopic = Array("$iothub/methods/POST/reboot/?$rid=".utf8)
    fileprivate static let answerTopic = Array("$iothub/methods/res/200/?$rid=".utf8)
    fileprivate static let callPayload = Array(#"{"delay":30}"#.utf8)
    fileprivate static let answerPayload = Array(#"{"device":"bench-10000001"}"#.utf8)
    fileprivate static let readSize = 65_536
    private static let eventsPerTurn = 512

    /// When a connection is called again.
    package enum Pace: String, Sendable, CaseIterable {
        /// As soon as it has answered, so that a PUBACK shares a packet with the next call.
        case steady
        /// When all connections of the thread have answered: each is called once, as by a job, and a PUBACK goes alone.
        case rounds
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        init(_ call: String) { description = "echo: \(call): \(String(cString: strerror(errno)))" }
    }

    // MARK: Server

    /// Accepts `devices` connections on a port of the system's choice, which `listening` hears; `connected` when all are
    /// there; then calls all of them again and again for `seconds`. Returns the round trips.
    package static func serve(
        devices: Int, seconds: Double, qos: Int, pace: Pace, threads: Int, listening: (Int) -> Void,
        connected: () -> Void
    ) throws(Failure) -> (roundTrips: Int, seconds: Double) {
        raiseDescriptorLimit()
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard listener >= 0 else { throw Failure("socket") }
        var address = loopback(port: 0)
        guard withAddress(&address, { bind(listener, $0, $1) }) == 0, listen(listener, 4096) == 0 else {
            throw Failure("bind")
        }
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        listening(Int(UInt16(bigEndian: address.sin_port)))
        var descriptors: [Int32] = []
        while descriptors.count < devices {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { throw Failure("accept") }
            prepare(descriptor)
            descriptors.append(descriptor)
        }
        close(listener)
        connected()
        let end = now() + seconds
        let count = run(descriptors, threads: threads) {
            ServerLoop(descriptors: $0, qos: qos, pace: pace, end: end).run()
        }
        for descriptor in descriptors { close(descriptor) }
        return (count, seconds)
    }

    // MARK: Client

    /// Opens `devices` connections and answers what comes until the server closes them.
    package static func answer(devices: Int, port: Int, qos: Int, threads: Int) throws(Failure) {
        raiseDescriptorLimit()
        var descriptors: [Int32] = []
        for _ in 0..<devices {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw Failure("socket") }
            var address = loopback(port: port)
            guard withAddress(&address, { connect(descriptor, $0, $1) }) == 0 else { throw Failure("connect") }
            prepare(descriptor)
            descriptors.append(descriptor)
        }
        _ = run(descriptors, threads: threads) { ClientLoop($0, qos: qos).run() }
    }

    // MARK: Threads and sockets

    /// Spreads the connections over threads and waits for all; returns the sum of what they return.
    private static func run(
        _ descriptors: [Int32], threads: Int, _ body: @escaping @Sendable ([Int32]) -> Int
    ) -> Int {
        let total = Atomic<Int>(0)
        let workers = (0..<threads).map { index in
            let share = descriptors.enumerated().filter { $0.offset % threads == index }.map(\.element)
            return Work { body(share) }
        }
        var handles: [pthread_t] = []
        for worker in workers {
            var handle = pthread_t()
            let context = Unmanaged.passRetained(worker).toOpaque()
            let result = pthread_create(
                &handle, nil,
                { context in
                    guard let context else { return nil }
                    let work = Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
                    work.result.store(work.body(), ordering: .relaxed)
                    return nil
                }, context)
            precondition(result == 0, "no thread: error \(result)")
            handles.append(handle)
        }
        for handle in handles { pthread_join(handle, nil) }
        for worker in workers { total.add(worker.result.load(ordering: .relaxed), ordering: .relaxed) }
        return total.load(ordering: .relaxed)
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Int
        let result = Atomic<Int>(0)
        init(_ body: @escaping @Sendable () -> Int) { self.body = body }
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func withAddress<Value>(
        _ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) -> Value {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func prepare(_ descriptor: Int32) {
        var one: Int32 = 1
        setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    fileprivate static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    // MARK: One loop

    /// Reads of all connections of a thread. `handle` gets each whole packet: connection, first byte, body.
    fileprivate static func loop(
        _ descriptors: [Int32], turn: () -> Bool,
        handle: (_ index: Int, _ kind: UInt8, _ body: UnsafeRawBufferPointer) -> Void,
        flush: (_ index: Int, _ descriptor: Int32) -> Void
    ) {
        let epoll = epoll_create1(0)
        precondition(epoll >= 0, "no epoll")
        defer { close(epoll) }
        for (index, descriptor) in descriptors.enumerated() {
            var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: UInt64(index)))
            precondition(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0, "epoll_ctl")
        }
        var partial: [Int: [UInt8]] = [:]
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readSize, alignment: 16)
        defer { buffer.deallocate() }
        var events = [epoll_event](repeating: epoll_event(), count: eventsPerTurn)
        while turn() {
            // A timeout, so that the end is seen when nothing comes.
            let count = epoll_wait(epoll, &events, Int32(eventsPerTurn), 100)
            for position in 0..<max(0, Int(count)) {
                let index = Int(events[position].data.u64)
                let length = read(descriptors[index], buffer.baseAddress, readSize)
                if length == 0 || (length < 0 && errno == ECONNRESET) { return }
                guard length > 0 else { continue }
                let whole = partial.isEmpty ? nil : partial.removeValue(forKey: index)
                if let whole {
                    let bytes = whole + Array(buffer[..<length])
                    bytes.withUnsafeBytes { keep(&partial, index, $0, packets($0, index, handle)) }
                } else {
                    let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<length])
                    keep(&partial, index, bytes, packets(bytes, index, handle))
                }
                flush(index, descriptors[index])
            }
        }
    }

    private static func keep(
        _ partial: inout [Int: [UInt8]], _ index: Int, _ bytes: UnsafeRawBufferPointer, _ used: Int
    ) {
        if used < bytes.count { partial[index] = Array(bytes[used...]) }
    }

    /// Hands over the whole packets; returns how many bytes they were.
    private static func packets(
        _ bytes: UnsafeRawBufferPointer, _ index: Int,
        _ handle: (_ index: Int, _ kind: UInt8, _ body: UnsafeRawBufferPointer) -> Void
    ) -> Int {
        var start = 0
        while start + 2 <= bytes.count {
            var length = Int(bytes[start + 1] & 0x7F)
            var header = 2
            if bytes[start + 1] & 0x80 != 0 {
                guard start + 3 <= bytes.count else { break }
                length |= Int(bytes[start + 2]) << 7
                header = 3
            }
            guard start + header + length <= bytes.count else { break }
            let body = UnsafeRawBufferPointer(rebasing: bytes[start + header..<start + header + length])
            handle(index, bytes[start], body)
            start += header + length
        }
        return start
    }

    /// `kind` topic rid [packet id] payload, with the rid's digits to be filled in.
    fileprivate static func publish(_ kind: UInt8, _ topic: [UInt8], _ payload: [UInt8], hasID: Bool)
        -> (bytes: [UInt8], rid: Int)
    {
        let topicLength = topic.count + ridDigits
        let length = 2 + topicLength + (hasID ? 2 : 0) + payload.count
        precondition(length < 128, "one byte of length")
        var bytes: [UInt8] = [kind, UInt8(length), UInt8(topicLength >> 8), UInt8(topicLength & 0xFF)]
        bytes += topic
        let rid = bytes.count
        bytes += [UInt8](repeating: UInt8(ascii: "0"), count: ridDigits) + (hasID ? [0, 0] : []) + payload
        return (bytes, rid)
    }

    fileprivate static func send(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32) {
        guard !bytes.isEmpty else { return }
        let count = write(descriptor, bytes.baseAddress, bytes.count)
        // A call of 60 bytes finds room in any socket; at the end the other side is gone.
        precondition(count == bytes.count || errno == EPIPE || errno == ECONNRESET, "a socket is full")
    }
}

/// The server's side of some connections.
private struct ServerLoop {
    let descriptors: [Int32]
    let qos: Int
    let pace: Echo.Pace
    let end: Double

    func run() -> Int {
        signal(SIGPIPE, SIG_IGN)
        var (call, rid) = Echo.publish(0x30, Echo.callTopic, Echo.callPayload, hasID: false)
        // PUBACK and the next call leave in one write.
        let prefix = qos > 0 ? 4 : 0
        call = [UInt8](repeating: 0, count: prefix) + call
        rid += prefix
        if qos > 0 { (call[0], call[1]) = (0x40, 2) }
        var number = 0
        // What one answer is answered with.
        let reply =
            switch pace {
            case .steady: 0..<call.count
            case .rounds: 0..<prefix
            }
        var left = 0
        var isAnswered = false
        func callAll() {
            left = descriptors.count
            for descriptor in descriptors { call[prefix...].withUnsafeBytes { Echo.send($0, descriptor) } }
        }
        callAll()
        Echo.loop(
            descriptors,
            turn: {
                if pace == .rounds, left == 0 { callAll() }
                return Echo.now() < end
            },
            handle: { _, kind, body in
                guard kind & 0xF0 == 0x30 else { return }
                isAnswered = true
                number += 1
                left -= 1
                var rest = number
                for digit in 0..<Echo.ridDigits {
                    call[rid + Echo.ridDigits - 1 - digit] = UInt8(ascii: "0") + UInt8(rest % 10)
                    rest /= 10
                }
                if qos > 0 {
                    let id = 2 + (Int(body[0]) << 8 | Int(body[1]))
                    (call[2], call[3]) = (body[id], body[id + 1])
                }
            },
            flush: { _, descriptor in
                guard isAnswered else { return }
                isAnswered = false
                call[reply].withUnsafeBytes { Echo.send($0, descriptor) }
            })
        return number
    }
}

/// The devices' side of some connections.
private struct ClientLoop {
    let descriptors: [Int32]
    let qos: Int

    init(_ descriptors: [Int32], qos: Int) {
        self.descriptors = descriptors
        self.qos = qos
    }

    func run() -> Int {
        signal(SIGPIPE, SIG_IGN)
        var (answer, rid) = Echo.publish(
            qos > 0 ? 0x32 : 0x30, Echo.answerTopic, Echo.answerPayload, hasID: qos > 0)
        var packetID: UInt16 = 0
        var hasCall = false
        let digits = Echo.ridDigits
        Echo.loop(
            descriptors, turn: { true },
            handle: { _, kind, body in
                guard kind & 0xF0 == 0x30 else { return }
                let topic = Int(body[0]) << 8 | Int(body[1])
                for digit in 0..<digits { answer[rid + digit] = body[2 + topic - digits + digit] }
                hasCall = true
                guard qos > 0 else { return }
                packetID = packetID == .max ? 1 : packetID + 1
                answer[rid + digits] = UInt8(packetID >> 8)
                answer[rid + digits + 1] = UInt8(packetID & 0xFF)
            },
            flush: { _, descriptor in
                guard hasCall else { return }
                hasCall = false
                answer.withUnsafeBytes { Echo.send($0, descriptor) }
            })
        return 0
    }
}
