// The opening handshake of a WebSocket (RFC 6455, section 4.2): whether a request is one, and what it is answered.

private import Crypto
package import Sockets

/// What becomes of a request for a WebSocket: the stream goes to a handler made for it.
package struct WebSocketUpgrade: Sendable {
    /// The one that the client has to offer; echoed to it.
    package var subprotocol: String
    /// Nil when nobody can take the stream now; the answer is then 503.
    package var makeHandler: @Sendable (Reactor) -> (any ByteStreamHandler)?

    package init(subprotocol: String, makeHandler: @escaping @Sendable (Reactor) -> (any ByteStreamHandler)?) {
        self.subprotocol = subprotocol
        self.makeHandler = makeHandler
    }
}

enum WebSocketHandshake {
    /// Why a request to the WebSocket's path is no handshake.
    struct Refusal: Error {
        let error: HTTPProtocolError
        var headers: [(String, String)] = []

        init(_ status: Int, _ text: String, headers: [(String, String)] = []) {
            error = HTTPProtocolError(status: status, text: text)
            self.headers = headers
        }
    }

    /// The value of Sec-WebSocket-Accept. `persistence` is `keepAlive` for exactly the HTTP/1.1 requests that do not
    /// ask to close.
    static func accept(
        _ request: HTTPRequest, _ persistence: HTTPRequestParser.Persistence, subprotocol: String
    ) throws(Refusal) -> String {
        guard request.method == "GET" else {
            throw Refusal(405, "a WebSocket begins with GET", headers: [("Allow", "GET")])
        }
        let headers = request.headers
        guard persistence == .keepAlive, headers.tokens("upgrade").contains("websocket"),
            headers.tokens("connection").contains("upgrade")
        else {
            let text = "a WebSocket begins with an HTTP/1.1 request to upgrade the connection"
            throw Refusal(426, text, headers: [("Upgrade", "websocket")])
        }
        guard headers.all("sec-websocket-version") == ["13"] else {
            throw Refusal(
                426, "the version of WebSocket is not 13",
                headers: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")])
        }
        let keys = headers.all("sec-websocket-key")
        guard keys.count == 1, Base64.decode(keys[0])?.count == 16 else {
            throw Refusal(400, "Sec-WebSocket-Key is not 16 bytes in Base64")
        }
        // Unlike most tokens these differ by case, and a client compares what is echoed.
        guard headers.members("sec-websocket-protocol").contains(subprotocol) else {
            throw Refusal(400, "the WebSocket's subprotocol is not \(subprotocol)")
        }
        guard request.body.isEmpty else { throw Refusal(400, "a request for a WebSocket has no body") }
        return acceptance(of: keys[0])
    }

    /// Proves that the server understood the request as a WebSocket's; no secret is in it.
    static func acceptance(of key: String) -> String {
        Base64.encode(Hashing.sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }
}
