// Goal: what goes out is framed right, and what comes back to the client is read the same however it was split.

import Testing

@testable import HTTP

@Suite struct MessageTests {
    private func text(
        _ response: HTTPResponse, isHead: Bool = false, _ persistence: HTTPRequestParser.Persistence = .keepAlive
    ) -> String {
        let framing = MessageWriter.Framing(date: "D", isHead: isHead, persistence: persistence)
        return String(decoding: MessageWriter.bytes(of: response, framing), as: UTF8.self)
    }

    @Test func responsesAreFramed() {
        let response = HTTPResponse(status: 200, headers: HTTPHeaders([("X", "y")]), body: Array("hello".utf8))
        let head = "HTTP/1.1 200 OK\r\nX: y\r\nDate: D\r\nServer: muster\r\nContent-Length: 5\r\n"
        #expect(text(response) == head + "\r\nhello")
        #expect(text(response, isHead: true) == head + "\r\n")
        #expect(text(response, .close) == head + "Connection: close\r\n\r\nhello")
        #expect(text(response, .keepAliveHTTP10) == head + "Connection: keep-alive\r\n\r\nhello")
        #expect(text(HTTPResponse(status: 204)) == "HTTP/1.1 204 No Content\r\nDate: D\r\nServer: muster\r\n\r\n")
        #expect(text(HTTPResponse(status: 200)).contains("Content-Length: 0\r\n"))
    }

    @Test func headerValuesCannotBeginALine() {
        let headers = HTTPHeaders([("X", "a\r\nSet-Cookie: b\u{0}"), ("Content-Length", "7"), ("connection", "x")])
        let wire = text(HTTPResponse(status: 200, headers: headers))
        #expect(wire.contains("X: a  Set-Cookie: b \r\n"))
        #expect(!wire.contains("7") && !wire.contains("connection"))
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"), (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
    ])
    func dates(seconds: Int, expected: String) {
        #expect(HTTPDate.text(unixSeconds: seconds) == expected)
    }

    @Test func headersCompareWithoutCase() {
        var headers = HTTPHeaders([("If-Match", "a"), ("X", "1, Two"), ("x", "THREE,,")])
        #expect(headers.first("if-match") == "a")
        #expect(headers.all("X") == ["1, Two", "THREE,,"])
        #expect(headers.tokens("x") == ["1", "two", "three"])
        headers.set("IF-MATCH", "b")
        #expect(headers.all("If-Match") == ["b"])
        headers.remove("x")
        #expect(headers.count == 1)
    }

    private func parse(_ pieces: [[UInt8]], isHead: Bool = false, ends: Bool = false) -> [String] {
        var parser = HTTPResponseParser(limits: HTTPLimits(), isHead: isHead)
        func describe(_ event: HTTPResponseParser.Event) -> String? {
            switch event {
            case .needsMore: nil
            case .response(let response, let keepsAlive):
                "\(response.status) \(String(decoding: response.body, as: UTF8.self)) \(keepsAlive)"
            case .failed(let error): "failed \(error.text)"
            }
        }
        for piece in pieces {
            piece.withUnsafeBufferPointer { parser.append($0) }
            if let result = describe(parser.next()) { return [result] }
        }
        return ends ? [describe(parser.end()) ?? "cut"] : []
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 hello true"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200  true"),
        ("HTTP/1.1 204\r\n\r\n", "204  true"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "200 hello true"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "200 x false"),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "200 x false"),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 until the end false"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "cut"),
        ("HTTP/1.1 20", "cut"),
    ])
    func clientReadsResponses(wire: String, expected: String) {
        let bytes = Array(wire.utf8)
        #expect(parse([bytes], ends: true) == [expected])
        #expect(parse(bytes.map { [$0] }, ends: true) == [expected])
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    ])
    func clientRefusesResponses(wire: String) {
        #expect(parse([Array(wire.utf8)]).first?.hasPrefix("failed") == true)
    }
}
