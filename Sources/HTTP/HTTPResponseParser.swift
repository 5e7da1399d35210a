// The incremental parser of responses, for the client: pure, as strict as the request parser where framing is at stake.

struct HTTPResponseParser {
    enum Event {
        case needsMore
        case response(HTTPResponse, keepsAlive: Bool)
        case failed(HTTPProtocolError)
    }

    private enum Mode {
        case statusLine
        case headers(status: Int, isHTTP11: Bool, HeaderBlock)
        case fixedBody(Head, count: Int)
        case chunkedBody(Head, ChunkedBody)
        /// The body ends with the connection.
        case openBody(Head)
        case failed(HTTPProtocolError)
    }

    private struct Head {
        let status: Int
        let headers: HTTPHeaders
        let keepsAlive: Bool
    }

    private let limits: HTTPLimits
    private let isHead: Bool
    private var buffer = ReceiveBuffer()
    private var mode = Mode.statusLine
    /// True once anything has arrived.
    private(set) var hasBegun = false

    /// Parses one response; `isHead` when the request's method was HEAD.
    init(limits: HTTPLimits, isHead: Bool) {
        self.limits = limits
        self.isHead = isHead
    }

    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        hasBegun = true
        buffer.append(bytes)
    }

    /// Nothing follows the response: anything that does makes the connection useless.
    var isEmpty: Bool { buffer.isEmpty }

    mutating func next() -> Event {
        do {
            return try step()
        } catch {
            mode = .failed(error)
            return .failed(error)
        }
    }

    /// The connection has ended: the end of a body without length, or a broken response.
    mutating func end() -> Event {
        guard case .openBody(let head) = mode else { return next() }
        return .response(
            HTTPResponse(status: head.status, headers: head.headers, body: Array(buffer.takeUpTo(buffer.count))),
            keepsAlive: false)
    }

    private mutating func step() throws(HTTPProtocolError) -> Event {
        while true {
            switch mode {
            case .statusLine:
                guard let line = try statusLine() else { return .needsMore }
                mode = try parse(line)
            case .headers(let status, let isHTTP11, var block):
                guard try block.parse(&buffer) else {
                    mode = .headers(status: status, isHTTP11: isHTTP11, block)
                    return .needsMore
                }
                mode = try judge(status, isHTTP11, block.headers)
            case .fixedBody(let head, let count):
                guard let body = buffer.take(count) else { return .needsMore }
                return complete(head, Array(body))
            case .chunkedBody(let head, var body):
                mode = .statusLine
                if try body.parse(&buffer) { return complete(head, body.bytes) }
                mode = .chunkedBody(head, body)
                return .needsMore
            case .openBody:
                guard buffer.count <= limits.responseBytes else { throw tooLarge }
                return .needsMore
            case .failed(let error):
                return .failed(error)
            }
        }
    }

    private func complete(_ head: Head, _ body: [UInt8]) -> Event {
        .response(
            HTTPResponse(status: head.status, headers: head.headers, body: body),
            keepsAlive: head.keepsAlive && buffer.isEmpty)
    }

    private var tooLarge: HTTPProtocolError { .bad("the response has more than \(limits.responseBytes) bytes") }

    private mutating func statusLine() throws(HTTPProtocolError) -> ArraySlice<UInt8>? {
        do {
            return try buffer.nextLine(limit: limits.requestLineBytes)
        } catch {
            throw .bad("the status line is malformed")
        }
    }

    private func parse(_ line: ArraySlice<UInt8>) throws(HTTPProtocolError) -> Mode {
        let bytes = Array(line)
        guard bytes.count >= 12, bytes.starts(with: "HTTP/1.".utf8), bytes[8] == UInt8(ascii: " "),
            bytes.count == 12 || bytes[12] == UInt8(ascii: " "),
            let status = Int(String(decoding: bytes[9..<12], as: UTF8.self)), (100...999).contains(status)
        else { throw .bad("the answer does not begin with a status line of HTTP/1.1") }
        let block = HeaderBlock(bytes: limits.headerBytes, fields: limits.headerCount)
        return .headers(status: status, isHTTP11: bytes[7] == UInt8(ascii: "1"), block)
    }

    private func judge(_ status: Int, _ isHTTP11: Bool, _ headers: HTTPHeaders) throws(HTTPProtocolError) -> Mode {
        guard status != 101 else { throw .bad("the server changes the protocol, which nobody asked for") }
        // Interim responses such as 100 come before the real one.
        guard status >= 200 else { return .statusLine }
        let connection = headers.tokens("connection")
        let keepsAlive = !connection.contains("close") && (isHTTP11 || connection.contains("keep-alive"))
        let head = Head(status: status, headers: headers, keepsAlive: keepsAlive)
        let codings = headers.all("transfer-encoding")
        let lengths = headers.all("content-length")
        guard !isHead, status != 204, status != 304 else { return .fixedBody(head, count: 0) }
        guard codings.isEmpty || lengths.isEmpty, lengths.count <= 1, codings.count <= 1 else {
            throw .bad("the response's length is ambiguous")
        }
        if let coding = codings.first {
            guard HTTPHeaders.areEqual(coding, "chunked") else { throw .bad("the response's coding is unknown") }
            return .chunkedBody(
                head,
                ChunkedBody(
                    bodyLimit: limits.responseBytes, lineLimit: limits.chunkLineBytes,
                    overheadLimit: limits.chunkOverheadBytes))
        }
        guard let text = lengths.first else {
            return .openBody(Head(status: status, headers: headers, keepsAlive: false))
        }
        guard let count = Int(text), count >= 0, text.utf8.first != UInt8(ascii: "+") else {
            throw .bad("the response's length is no number")
        }
        guard count <= limits.responseBytes else { throw tooLarge }
        return .fixedBody(head, count: count)
    }
}
