// Turns responses and requests into bytes. What would break a header line is replaced by a space, so that no value, from
// wherever it comes, can begin a line of its own.

enum MessageWriter {
    /// What the server decides about a response.
    struct Framing {
        /// IMF-fixdate.
        let date: String
        let isHead: Bool
        let persistence: HTTPRequestParser.Persistence
    }

    static func bytes(of response: HTTPResponse, _ framing: Framing) -> [UInt8] {
        let hasBody = response.status >= 200 && response.status != 204 && response.status != 304
        let body = hasBody && !framing.isHead ? response.body : []
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256 + body.count)
        let status = (100...999).contains(response.status) ? response.status : 500
        bytes += "HTTP/1.1 \(status) \(HTTPResponse.reasonPhrase(status))\r\n".utf8
        for (name, value) in response.headers.fields where !isOwnedByServer(name) {
            append(name, value, to: &bytes)
        }
        append("Date", framing.date, to: &bytes)
        append("Server", "muster", to: &bytes)
        if hasBody { append("Content-Length", String(response.body.count), to: &bytes) }
        switch framing.persistence {
        // The names of hop-by-hop fields belong into Connection; of those only Upgrade occurs, in an answer 426.
        case .close: append("Connection", response.headers.contains("upgrade") ? "close, Upgrade" : "close", to: &bytes)
        case .keepAlive: break
        case .keepAliveHTTP10: append("Connection", "keep-alive", to: &bytes)
        }
        bytes += "\r\n".utf8
        bytes += body
        return bytes
    }

    /// The answer to a WebSocket's request, from which on the connection carries frames.
    static func switchToWebSocket(accept: String, subprotocol: String, date: String) -> [UInt8] {
        var bytes = Array("HTTP/1.1 101 \(HTTPResponse.reasonPhrase(101))\r\n".utf8)
        append("Upgrade", "websocket", to: &bytes)
        append("Connection", "Upgrade", to: &bytes)
        append("Sec-WebSocket-Accept", accept, to: &bytes)
        append("Sec-WebSocket-Protocol", subprotocol, to: &bytes)
        append("Date", date, to: &bytes)
        append("Server", "muster", to: &bytes)
        bytes += "\r\n".utf8
        return bytes
    }

    static func bytes(of request: HTTPClientRequest, host: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512 + request.body.count)
        bytes += "\(request.method) \(request.target) HTTP/1.1\r\n".utf8
        if !request.headers.contains("host") { append("Host", host, to: &bytes) }
        for (name, value) in request.headers.fields where !isFraming(name) {
            append(name, value, to: &bytes)
        }
        if !request.body.isEmpty || ["POST", "PUT", "PATCH", "DELETE"].contains(request.method) {
            append("Content-Length", String(request.body.count), to: &bytes)
        }
        bytes += "\r\n".utf8
        bytes += request.body
        return bytes
    }

    private static func append(_ name: String, _ value: String, to bytes: inout [UInt8]) {
        precondition(isToken(name.utf8), "a header's name is no token")
        bytes += name.utf8
        bytes += ": ".utf8
        for byte in value.utf8 {
            bytes.append(byte < 0x20 && byte != UInt8(ascii: "\t") || byte == 0x7F ? UInt8(ascii: " ") : byte)
        }
        bytes += "\r\n".utf8
    }

    private static func isOwnedByServer(_ name: String) -> Bool {
        isFraming(name) || HTTPHeaders.areEqual(name, "date") || HTTPHeaders.areEqual(name, "server")
    }

    private static func isFraming(_ name: String) -> Bool {
        ["content-length", "connection", "transfer-encoding"].contains { HTTPHeaders.areEqual(name, $0) }
    }
}
