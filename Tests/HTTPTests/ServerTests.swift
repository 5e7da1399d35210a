// Goal: the server keeps RFC 9112's promises on real sockets: order, persistence, framing, limits, shutdown.
// Method: raw bytes over 127.0.0.1 to a server of the test's own; every wait has a deadline.

import ServiceKit
import Sockets
import Synchronization
import Testing

@testable import HTTP

@Suite struct ServerTests {
    @Test func keepsAliveAndAnswersInOrder() async throws {
        let wire = (0..<50).map { "PUT /\($0) HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n\($0 % 10)" }.joined()
        try await ServerHarness.run { harness in
            let client = try await harness.client()
            client.send(wire + "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let answer = try await client.waitForEnd()
            var rest = answer[...]
            for number in 0..<50 {
                let found = try #require(rest.firstRange(of: "PUT /\(number) \(number % 10)"))
                rest = rest[found.upperBound...]
            }
            #expect(rest.hasSuffix("Connection: close\r\n\r\nGET /last "))
        }
    }

    @Test func answersCarryTheirHeaders() async throws {
        try await ServerHarness.run { harness in
            let client = try await harness.client()
            client.send("POST /jobs/v2/a/cancel HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            let answer = try await client.wait(for: "cancel ")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("\r\nServer: muster\r\n"))
            #expect(answer.contains("\r\nContent-Length: 23\r\n"))
            #expect(answer.contains(/\r\nDate: \w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT\r\n/))
        }
    }

    @Test func headHasLengthAndNoBody() async throws {
        try await ServerHarness.run { harness in
            let client = try await harness.client()
            client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let answer = try await client.waitForEnd()
            #expect(answer.contains("Content-Length: 8\r\n\r\nHTTP/1.1 200 OK"))
        }
    }

    @Test func bodyComesByteByByteInChunks() async throws {
        try await ServerHarness.run { harness in
            let client = try await harness.client()
            let wire =
                "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
            for byte in wire.utf8 { client.send([byte]) }
            try await client.wait(for: "PUT /a hello!")
        }
    }

    @Test func continueIsSentBeforeTheBody() async throws {
        try await ServerHarness.run { harness in
            let client = try await harness.client()
            client.send("PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            #expect(try await client.wait(for: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            client.send("hello")
            try await client.wait(for: "PUT /a hello")
        }
    }

    @Test func http10ClosesUnlessAskedTo() async throws {
        try await ServerHarness.run { harness in
            let client = try await harness.client()
            client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try await client.wait(for: "GET /a").contains("Connection: keep-alive\r\n"))
            client.send("GET /b HTTP/1.0\r\n\r\n")
            #expect(try await client.waitForEnd().contains("Connection: close\r\n\r\nGET /b"))
        }
    }

    @Test(arguments: Samples.refused)
    func smugglingIsRefusedAndTheConnectionClosed(sample: Sample) async throws {
        let limits = Samples.limits
        try await ServerHarness.run(limits: { $0 = limits }) { harness in
            let client = try await harness.client()
            client.send(sample.wire + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            let answer = try await client.waitForEnd()
            #expect(answer.hasPrefix("HTTP/1.1 \(sample.status ?? 0) "))
            #expect(answer.contains("\r\nConnection: close\r\n"))
            #expect(!answer.contains("smuggled"))
        }
    }

    @Test func refusalsHaveTheBodyThatWasConfigured() async throws {
        var configuration = HTTPServer.Configuration(address: .host("127.0.0.1", port: 0))
        configuration.errorResponse = {
            HTTPResponse(status: $0.status, body: Array("{\"Message\":\"\($0.text)\"}".utf8))
        }
        let server = HTTPServer(
            configuration: configuration, log: .silent, metrics: Metrics(), clock: SystemClock(),
            handler: ServerHarness.echo)
        let client = try await RawClient(try await server.start())
        client.send("GET / HTTP/1.1\r\n\r\n")
        #expect(try await client.waitForEnd().hasSuffix("{\"Message\":\"Host is missing\"}"))
        await server.shutdown(grace: .zero)
    }

    @Test func largeBodyIsRefusedWhileItIsSent() async throws {
        try await ServerHarness.run(limits: { $0.bodyBytes = 1000 }) { harness in
            let client = try await harness.client()
            client.send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
            client.send(Array(repeating: 0x61, count: 500_000))
            #expect(try await client.waitForEnd().hasPrefix("HTTP/1.1 413 Content Too Large\r\n"))
        }
    }

    @Test func manyUnfinishedBodiesAreRefused() async throws {
        try await ServerHarness.run(limits: { $0.bufferedBytes = 100_000 }) { harness in
            let first = try await harness.client()
            first.send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n")
            first.send(Array(repeating: 0x61, count: 89_999))
            let second = try await harness.client()
            second.send("PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n")
            second.send(Array(repeating: 0x61, count: 89_999))
            // Whoever comes first holds the bytes; the other is refused, and then there is room again.
            let clients = [first, second]
            let answer = try await withThrowingTaskGroup(of: String.self) { group in
                for client in clients { group.addTask { try await client.wait(for: "HTTP/1.1 503") } }
                defer { for client in clients { client.abort() } }
                return try await group.next()
            }
            #expect(answer?.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n") == true)
        }
    }

    // MARK: Timeouts

    @Test func slowHeadersAreRefused() async throws {
        try await ServerHarness.run(limits: { $0.headerTimeout = .seconds(3) }) { harness in
            let client = try await harness.client()
            client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ")
            #expect(try await client.waitForEnd().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        }
    }

    @Test func slowBodiesAreRefused() async throws {
        try await ServerHarness.run(limits: { $0.bodyTimeout = .milliseconds(100) }) { harness in
            let client = try await harness.client()
            client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try await client.waitForEnd().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        }
    }

    @Test func idleConnectionsAreClosedWithoutAWord() async throws {
        try await ServerHarness.run(limits: { $0.idleTimeout = .milliseconds(100) }) { harness in
            let client = try await harness.client()
            client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.waitForEnd().hasSuffix("GET /a "))
        }
    }

    @Test func silentConnectionsAreClosedWithoutAWord() async throws {
        try await ServerHarness.run(limits: { $0.headerTimeout = .milliseconds(100) }) { harness in
            let client = try await harness.client()
            #expect(try await client.waitForEnd() == "")
        }
    }

    @Test func clientsThatDoNotReadAreDropped() async throws {
        let body = [UInt8](repeating: 0x61, count: 32 * 1024 * 1024)
        try await ServerHarness.run(
            limits: { $0.writeTimeout = .milliseconds(100) }, handler: { _ in HTTPResponse(status: 200, body: body) }
        ) { harness in
            let client = try await harness.client()
            client.pauseReading()
            client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            // The client's own side is told of the reset although it does not read.
            let received = try await client.waitForEnd()
            #expect(received.utf8.count < body.count)
        }
    }

    // MARK: Connections

    @Test func connectionsBeyondTheLimitWait() async throws {
        try await ServerHarness.run(limits: { $0.connections = 2 }) { harness in
            let clients = [try await harness.client(), try await harness.client()]
            for client in clients {
                client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
                try await client.wait(for: "GET /a")
            }
            let third = try await harness.client()
            third.send("GET /third HTTP/1.1\r\nHost: a\r\n\r\n")
            clients[0].abort()
            try await third.wait(for: "GET /third")
        }
    }

    @Test func handlerIsCancelledWhenItsClientGoes() async throws {
        let began = Signal()
        let cancelled = Signal()
        try await ServerHarness.run(handler: { request in
            guard request.path == "/slow" else { return HTTPResponse(status: 200, body: Array("ok".utf8)) }
            await withTaskCancellationHandler {
                began.set()
                await cancelled.wait()
            } onCancel: {
                cancelled.set()
            }
            return HTTPResponse(status: 499)
        }) { harness in
            let client = try await harness.client()
            client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await began.wait()
            client.abort()
            await cancelled.wait()
            let next = try await harness.client()
            next.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            try await next.wait(for: "ok")
        }
    }

    @Test func unixSocketsServeAndReplaceAnAbandonedFile() async throws {
        let path = "/tmp/muster-http-\(SystemRandom().next()).sock"
        for _ in 0..<2 {
            try await ServerHarness.run(address: .unix(path: path)) { harness in
                let client = try await harness.client()
                client.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(try await client.waitForEnd().hasSuffix("GET /a "))
            }
        }
    }

    @Test func takenPortIsAnError() async throws {
        try await ServerHarness.run { harness in
            let second = HTTPServer(
                configuration: HTTPServer.Configuration(address: harness.address), log: .silent, metrics: Metrics(),
                clock: SystemClock(), handler: ServerHarness.echo)
            await #expect(throws: SocketError.self) { _ = try await second.start() }
        }
    }

    // MARK: Shutdown

    @Test func shutdownFinishesRunningRequests() async throws {
        let began = Signal()
        let mayEnd = Signal()
        let server = HTTPServer(
            // A path, which no other test's server can take when this one gives it up.
            configuration: HTTPServer.Configuration(address: .unix(path: "/tmp/muster-\(SystemRandom().next()).sock")),
            log: .silent,
            metrics: Metrics(), clock: SystemClock(),
            handler: { request in
                if request.path == "/slow" {
                    began.set()
                    await mayEnd.wait()
                }
                return HTTPResponse(status: 200, body: Array("done".utf8))
            })
        let address = try await server.start()
        let idle = try await RawClient(address)
        idle.send("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
        try await idle.wait(for: "done")
        let busy = try await RawClient(address)
        busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        await began.wait()
        async let shutdown: Void = server.shutdown(grace: .seconds(30))
        // The idle connection ends at once, although another request still runs.
        _ = try await idle.waitForEnd()
        let refused = try await RawClient(address)
        #expect(try await refused.waitForEnd() == "")
        mayEnd.set()
        let answer = try await busy.waitForEnd()
        #expect(answer.hasSuffix("Connection: close\r\n\r\ndone"))
        #expect(answer.components("HTTP/1.1 200") == 1)
        await shutdown
    }

    @Test func shutdownCancelsAfterItsGrace() async throws {
        let began = Signal()
        let cancelled = Signal()
        let server = HTTPServer(
            configuration: HTTPServer.Configuration(address: .host("127.0.0.1", port: 0)), log: .silent,
            metrics: Metrics(), clock: SystemClock(),
            handler: { _ in
                await withTaskCancellationHandler {
                    began.set()
                    await cancelled.wait()
                } onCancel: {
                    cancelled.set()
                }
                return HTTPResponse(status: 200)
            })
        let client = try await RawClient(try await server.start())
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await began.wait()
        await server.shutdown(grace: .milliseconds(50))
        #expect(cancelled.isSet)
        _ = try await client.waitForEnd()
    }
}

extension String {
    fileprivate func components(_ text: String) -> Int { ranges(of: text).count }
}
