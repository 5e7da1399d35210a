// The incremental parser of requests (RFC 9112): a pure value that is fed bytes and yields complete requests in order.
//
// Strict where leniency is how requests are smuggled past a proxy: one length, or one coding `chunked`, never both;
// lines end with CR LF; no folding and no white space before the colon; one valid Host. After an error nothing more is
// parsed, since what follows could be anything.

struct HTTPRequestParser {
    enum Event {
        case needsMore
        case request(HTTPRequest, Persistence)
        case failed(HTTPProtocolError)
    }

    /// What the client wants of the connection after this request.
    enum Persistence {
        case close
        case keepAlive
        /// An HTTP/1.0 client asked for it and must be told.
        case keepAliveHTTP10
    }

    /// How far the next request has come; what it waits for decides which timeout holds.
    enum Progress {
        case nothing
        case head
        case body
    }

    private enum Mode {
        case requestLine
        case headers(RequestLine, HeaderBlock)
        case fixedBody(Head, count: Int)
        case chunkedBody(Head, ChunkedBody)
        case failed(HTTPProtocolError)
    }

    private struct RequestLine {
        let method: String
        let target: RequestTarget
        /// The authority of a target in absolute form; it replaces the Host header.
        let authority: String?
        let isHTTP11: Bool
    }

    private struct Head {
        let line: RequestLine
        let headers: HTTPHeaders
        let persistence: Persistence
    }

    private let limits: HTTPLimits
    private var buffer = ReceiveBuffer()
    private var mode = Mode.requestLine
    private var hasSkippedEmptyLine = false
    private var mustContinue = false
    /// For the requests' `peer`.
    var peer = ""

    init(limits: HTTPLimits) {
        self.limits = limits
    }

    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        if case .failed = mode { return }
        buffer.append(bytes)
    }

    /// Bytes that are held: unparsed ones and the body of an unfinished request.
    var bufferedCount: Int {
        if case .chunkedBody(_, let body) = mode { return buffer.count + body.bytes.count }
        return buffer.count
    }

    /// Everything that is not parsed, once the connection is to carry something else.
    mutating func takeRest() -> [UInt8] {
        defer { buffer = ReceiveBuffer() }
        return Array(buffer.takeUpTo(buffer.count))
    }

    var progress: Progress {
        switch mode {
        case .requestLine: buffer.isEmpty ? .nothing : .head
        case .headers: .head
        case .fixedBody, .chunkedBody, .failed: .body
        }
    }

    /// True once for a request that waits for `100 Continue` and whose body has not begun to arrive.
    mutating func takeContinue() -> Bool {
        defer { mustContinue = false }
        return mustContinue && buffer.isEmpty
    }

    mutating func next() -> Event {
        do {
            return try step()
        } catch {
            mode = .failed(error)
            buffer = ReceiveBuffer()
            return .failed(error)
        }
    }

    private mutating func step() throws(HTTPProtocolError) -> Event {
        while true {
            switch mode {
            case .requestLine:
                guard let line = try requestLine() else { return .needsMore }
                mode = .headers(line, HeaderBlock(bytes: limits.headerBytes, fields: limits.headerCount))
            case .headers(let line, var block):
                let isComplete = try block.parse(&buffer)
                mode = isComplete ? try judge(line, block.headers) : .headers(line, block)
                guard isComplete else { return .needsMore }
            case .fixedBody(let head, let count):
                guard let body = buffer.take(count) else { return .needsMore }
                return complete(head, Array(body))
            case .chunkedBody(let head, var body):
                // The mode must not hold a second reference to the body's bytes, or each chunk would copy them.
                mode = .requestLine
                let isComplete = try body.parse(&buffer)
                if isComplete { return complete(head, body.bytes) }
                mode = .chunkedBody(head, body)
                return .needsMore
            case .failed(let error):
                return .failed(error)
            }
        }
    }

    private mutating func complete(_ head: Head, _ body: [UInt8]) -> Event {
        mode = .requestLine
        hasSkippedEmptyLine = false
        mustContinue = false
        buffer.releaseIfEmpty()
        let request = HTTPRequest(
            method: head.line.method, target: head.line.target, headers: head.headers, body: body, peer: peer)
        return .request(request, head.persistence)
    }

    // MARK: Request line

    private mutating func requestLine() throws(HTTPProtocolError) -> RequestLine? {
        while true {
            let line: ArraySlice<UInt8>?
            do {
                line = try buffer.nextLine(limit: limits.requestLineBytes)
            } catch {
                switch error {
                case .bareEnd: throw .bad("the request line must end with CR LF")
                case .tooLong:
                    let text = "the request line has more than \(limits.requestLineBytes) bytes"
                    throw HTTPProtocolError(status: 414, text: text)
                }
            }
            guard let line else { return nil }
            if line.isEmpty {
                // Old clients end a body with an empty line that they do not count (RFC 9112, section 2.2).
                guard !hasSkippedEmptyLine else { throw .bad("empty lines stand before the request line") }
                hasSkippedEmptyLine = true
                continue
            }
            return try Self.parse(line)
        }
    }

    private static func parse(_ line: ArraySlice<UInt8>) throws(HTTPProtocolError) -> RequestLine {
        let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .bad("the request line is not method, target and version") }
        let (method, target, version) = (parts[0], parts[1], Array(parts[2]))
        guard isToken(method), method.count <= 32 else { throw .bad("the method is no token of up to 32 characters") }
        let isVersion =
            version.count == 8 && version.starts(with: "HTTP/".utf8) && version[6] == UInt8(ascii: ".")
            && isDigit(version[5]) && isDigit(version[7])
        guard isVersion else { throw .bad("the version is not HTTP/1.1") }
        guard version[5] == UInt8(ascii: "1"), version[7] <= UInt8(ascii: "1") else {
            throw HTTPProtocolError(status: 505, text: "the version is not HTTP/1.1 or HTTP/1.0")
        }
        let (origin, authority) = split(target)
        guard let parsed = RequestTarget(String(decoding: origin, as: UTF8.self)) else {
            throw .bad("the request target is malformed")
        }
        return RequestLine(
            method: String(decoding: method, as: UTF8.self), target: parsed, authority: authority,
            isHTTP11: version[7] == UInt8(ascii: "1"))
    }

    /// Origin form and authority of a target, which may be in absolute form.
    private static func split(_ target: ArraySlice<UInt8>) -> (origin: ArraySlice<UInt8>, authority: String?) {
        for scheme in ["http://", "https://"] where target.count > scheme.utf8.count {
            let start = String(decoding: target.prefix(scheme.utf8.count), as: UTF8.self)
            guard HTTPHeaders.areEqual(start, scheme) else { continue }
            let rest = target.dropFirst(scheme.utf8.count)
            let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
            let path = rest[end...]
            let origin = path.first == UInt8(ascii: "/") ? path : ([UInt8(ascii: "/")] + path)[...]
            return (origin, String(decoding: rest[..<end], as: UTF8.self))
        }
        return (target, nil)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    // MARK: Head

    /// Decides from the headers what follows them.
    private mutating func judge(_ line: RequestLine, _ received: HTTPHeaders) throws(HTTPProtocolError) -> Mode {
        var headers = received
        try Self.checkHost(line, &headers)
        let connection = headers.tokens("connection")
        let persistence: Persistence =
            if connection.contains("close") {
                .close
            } else if line.isHTTP11 {
                .keepAlive
            } else {
                connection.contains("keep-alive") ? .keepAliveHTTP10 : .close
            }
        let head = Head(line: line, headers: headers, persistence: persistence)

        let codings = headers.all("transfer-encoding")
        let lengths = headers.all("content-length")
        guard codings.isEmpty || lengths.isEmpty else {
            throw .bad("Content-Length and Transfer-Encoding must not stand together")
        }
        guard lengths.count <= 1 else { throw .bad("Content-Length stands more than once") }
        let mode: Mode
        if !codings.isEmpty {
            guard line.isHTTP11, codings.count == 1, HTTPHeaders.areEqual(codings[0], "chunked") else {
                throw .bad("Transfer-Encoding is not chunked alone")
            }
            mode = .chunkedBody(
                head,
                ChunkedBody(
                    bodyLimit: limits.bodyBytes, lineLimit: limits.chunkLineBytes,
                    overheadLimit: limits.chunkOverheadBytes))
        } else {
            mode = .fixedBody(head, count: try lengths.first.map(parseLength) ?? 0)
        }
        try checkExpectation(head, hasBody: !codings.isEmpty || !(lengths.first ?? "0").utf8.allSatisfy { $0 == 0x30 })
        return mode
    }

    private func parseLength(_ text: String) throws(HTTPProtocolError) -> Int {
        let digits = Array(text.utf8)
        guard !digits.isEmpty, digits.allSatisfy(Self.isDigit) else { throw .bad("Content-Length is not a number") }
        guard let count = Int(text), count <= limits.bodyBytes else {
            throw HTTPProtocolError(status: 413, text: "the body has more than \(limits.bodyBytes) bytes")
        }
        return count
    }

    private static func checkHost(_ line: RequestLine, _ headers: inout HTTPHeaders) throws(HTTPProtocolError) {
        let hosts = headers.all("host")
        guard hosts.count <= 1 else { throw .bad("Host stands more than once") }
        guard !hosts.isEmpty || !line.isHTTP11 else { throw .bad("Host is missing") }
        for host in hosts + (line.authority.map { [$0] } ?? []) {
            guard isHost(host) else { throw .bad("Host is malformed") }
        }
        if let authority = line.authority { headers.set("Host", authority) }
    }

    /// A name, IPv4 or bracketed IPv6 address, with an optional port; no user part.
    private static func isHost(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let colon = bytes.lastIndex(of: UInt8(ascii: ":")).flatMap { index in
            bytes[index...].contains(UInt8(ascii: "]")) ? nil : index
        }
        let host = bytes[..<(colon ?? bytes.endIndex)]
        let port = colon.map { bytes[($0 + 1)...] } ?? []
        guard !host.isEmpty, port.count <= 5, port.allSatisfy(isDigit) else { return false }
        if host.first == UInt8(ascii: "[") {
            return host.last == UInt8(ascii: "]")
                && host.dropFirst().dropLast().allSatisfy {
                    hexDigit($0) != nil || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
                }
        }
        let others = Array("-._~%!$&'()*+,;=".utf8)
        return host.allSatisfy { byte in
            isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || others.contains(byte)
        }
    }

    private mutating func checkExpectation(_ head: Head, hasBody: Bool) throws(HTTPProtocolError) {
        let expectations = head.headers.tokens("expect")
        guard !expectations.isEmpty, head.line.isHTTP11 else { return }
        guard expectations == ["100-continue"] else {
            throw HTTPProtocolError(status: 417, text: "only 100-continue can be expected")
        }
        mustContinue = hasBody
    }
}
