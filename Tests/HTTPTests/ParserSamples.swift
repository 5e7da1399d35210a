// Requests that the parser must take or refuse, as the bytes stand on the wire, and a text form of what came out.

@testable import HTTP

struct Sample: Sendable, CustomStringConvertible {
    let name: String
    let wire: String
    /// The status of the refusal; nil for a request that is taken.
    var status: Int?

    init(_ name: String, _ wire: String, _ status: Int? = nil) {
        self.name = name
        self.wire = wire
        self.status = status
    }

    var description: String { name }
}

enum Samples {
    static let accepted: [Sample] = [
        Sample("plain GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Sample(
            "query and headers",
            "GET /devices/a%2Fb?api-version=2021-04-12&top=5 HTTP/1.1\r\nHost: localhost:8443\r\n"
                + "Authorization: SharedAccessSignature sr=x\r\nAccept: application/json\r\n\r\n"),
        Sample("length 0", "POST /jobs/v2/a/cancel HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        Sample("body", "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
        Sample(
            "chunks",
            "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n"
                + "0\r\n\r\n"),
        Sample(
            "trailers",
            "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0A\r\n0123456789\r\n0\r\n"
                + "Digest: x\r\n\r\n"),
        Sample("empty line before", "\r\nGET /a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        Sample("HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n"),
        Sample("HTTP/1.0 kept alive", "GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
        Sample("absolute form", "GET http://b:80/c?d HTTP/1.1\r\nHost: a\r\n\r\n"),
        Sample("absolute form without path", "GET HTTPS://b?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        Sample("tabs around a value", "GET / HTTP/1.1\r\nHost:\t a \t\r\nX: a\tb\r\nEmpty:\r\n\r\n"),
        Sample("IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
        Sample(
            "expectation", "PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nok"),
        Sample("UTF-8 value", "GET / HTTP/1.1\r\nHost: a\r\nX: grün\r\n\r\n"),
    ]

    /// Shapes that a proxy in front may read differently, and plain mistakes. All end the connection.
    static let refused: [Sample] = [
        // Lengths.
        Sample("two lengths", post("Content-Length: 5\r\nContent-Length: 5"), 400),
        Sample("two different lengths", post("Content-Length: 5\r\nContent-Length: 6"), 400),
        Sample("length list", post("Content-Length: 5, 5"), 400),
        Sample("signed length", post("Content-Length: +5"), 400),
        Sample("negative length", post("Content-Length: -5"), 400),
        Sample("hexadecimal length", post("Content-Length: 0x5"), 400),
        Sample("empty length", post("Content-Length:"), 400),
        Sample("length with a space", post("Content-Length: 5 0"), 400),
        Sample("huge length", post("Content-Length: 99999999999999999999999999"), 413),
        Sample("length over the limit", post("Content-Length: 1001"), 413),
        Sample("length and chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400),
        Sample("chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400),
        // Codings.
        Sample("other coding", post("Transfer-Encoding: gzip"), 400),
        Sample("coding list", post("Transfer-Encoding: gzip, chunked"), 400),
        Sample("chunked twice", post("Transfer-Encoding: chunked, chunked"), 400),
        Sample("two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400),
        Sample("identity", post("Transfer-Encoding: identity"), 400),
        Sample("coding with vertical tab", post("Transfer-Encoding: \u{0B}chunked"), 400),
        Sample("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        // Line ends.
        Sample("bare LF in the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        Sample("bare LF in a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
        Sample("bare LF as the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        Sample("bare CR in a header", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400),
        Sample("double CR", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
        Sample("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("LF before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        // Headers.
        Sample("space before the colon", get("Content-Length : 5"), 400),
        Sample("tab before the colon", get("Content-Length\t: 5"), 400),
        Sample("folded header", get("X: a\r\n b"), 400),
        Sample("folded with a tab", get("X: a\r\n\tb"), 400),
        Sample("space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        Sample("no colon", get("Host"), 400),
        Sample("empty name", get(": x"), 400),
        Sample("name with a slash", get("X/Y: x"), 400),
        Sample("name that is not ASCII", get("Ü: x"), 400),
        Sample("NUL in a value", get("X: a\u{0}b"), 400),
        Sample("escape in a value", get("X: a\u{1B}b"), 400),
        Sample("DEL in a value", get("X: a\u{7F}b"), 400),
        // Host.
        Sample("no host", "GET / HTTP/1.1\r\n\r\n", 400),
        Sample("two hosts", get("Host: b"), 400),
        Sample("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        Sample("host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        Sample("host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        Sample("host with a bad port", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400),
        Sample("host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        Sample("absolute form with a user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        // Request line.
        Sample("no version", "GET /\r\n\r\n", 400),
        Sample("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        Sample("method with a colon", "G:T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("long version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
        Sample("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        Sample("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        Sample("HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 505),
        Sample("asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("authority form", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("target without slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("target that is not ASCII", "GET /ü HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("control in the target", "GET /\u{01} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("half an escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("wrong escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("escaped NUL", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("escaped bad UTF-8", "GET /?a=%FF HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        Sample("TLS on a plain port", "\u{16}\u{03}\u{01}\u{02}\u{00}\u{01}\u{00}\r\n\r\n", 400),
        // Limits; see `limits` below.
        Sample("long target", "GET /\(String(repeating: "a", count: 300)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        Sample("long header", get("X: \(String(repeating: "a", count: 500))"), 431),
        Sample("many headers", get(Array(repeating: "X: y", count: 20).joined(separator: "\r\n")), 431),
        // Chunks.
        Sample("chunk size not hexadecimal", chunked("5g\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("empty chunk size", chunked("\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("signed chunk size", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("prefixed chunk size", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("space before a chunk size", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("space after a chunk size", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400),
        Sample("overflowing chunk size", chunked("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("long chunk size", chunked("0000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("large chunk", chunked("3E9\r\n"), 413),
        Sample("large sum of chunks", chunked("3E8\r\n\(String(repeating: "a", count: 1000))\r\n1\r\n"), 413),
        Sample("chunk longer than its size", chunked("4\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("bare LF after a chunk size", chunked("5\nhello\r\n0\r\n\r\n"), 400),
        Sample("bare LF after a chunk", chunked("5\r\nhello\n0\r\n\r\n"), 400),
        Sample("control in an extension", chunked("5;a=\u{01}\r\nhello\r\n0\r\n\r\n"), 400),
        Sample("long extension", chunked("5;\(String(repeating: "a", count: 100))\r\nhello\r\n0\r\n\r\n"), 400),
        Sample(
            "many extensions",
            chunked(
                String(repeating: "1;\(String(repeating: "a", count: 40))\r\nx\r\n", count: 10) + "0\r\n\r\n"), 400),
        Sample("folded trailer", chunked("0\r\nX: y\r\n z\r\n\r\n"), 400),
        Sample("expectation of something else", post("Expect: tea\r\nContent-Length: 1"), 417),
    ]

    static var limits: HTTPLimits {
        var limits = HTTPLimits()
        limits.requestLineBytes = 200
        limits.headerBytes = 400
        limits.headerCount = 10
        limits.bodyBytes = 1000
        limits.chunkLineBytes = 64
        limits.chunkOverheadBytes = 300
        return limits
    }

    private static func get(_ headers: String) -> String { "GET / HTTP/1.1\r\nHost: a\r\n\(headers)\r\n\r\n" }
    private static func post(_ headers: String) -> String {
        "POST / HTTP/1.1\r\nHost: a\r\n\(headers)\r\n\r\n0\r\n\r\n"
    }
    private static func chunked(_ body: String) -> String {
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)"
    }
}

/// Everything that the parser makes of pieces of input, as text.
func parse(_ pieces: [[UInt8]], limits: HTTPLimits = Samples.limits) -> [String] {
    var parser = HTTPRequestParser(limits: limits)
    var results: [String] = []
    for piece in pieces {
        piece.withUnsafeBufferPointer { parser.append($0) }
        events: while true {
            switch parser.next() {
            case .needsMore:
                break events
            case .request(let request, let persistence):
                let headers = request.headers.fields.map { "\($0.name)=\($0.value)" }
                let query = request.query.map { "\($0.name)=\($0.value)" }
                results.append(
                    "\(request.method) \(request.path) \(request.segments) \(query) \(headers) "
                        + "\(String(decoding: request.body, as: UTF8.self)) \(persistence)")
            case .failed(let error):
                results.append("failed \(error.status) \(error.text)")
                return results
            }
        }
    }
    return results
}
