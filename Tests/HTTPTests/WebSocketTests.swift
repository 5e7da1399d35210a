// Goal: a WebSocket is a stream like any other connection for the handler behind it: all bytes, one end, back-pressure,
// deadlines, shutdown; and what is no handshake is refused by name.
// Method: raw bytes over 127.0.0.1 to a server of the test's own; every wait has a deadline.

import ServiceKit
import Sockets
import Synchronization
import Testing

@testable import HTTP

@Suite struct WebSocketTests {
    @Test(arguments: [
        "/$iothub/websocket", "/%24iothub/websocket", "/$iothub/websocket?iothub-no-client-cert=true",
    ])
    func handshakeIsAnsweredAsTheStandardSays(_ target: String) async throws {
        let probe = StreamProbe()
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text("GET \(target) HTTP/1.1"))
            let answer = try await client.wait(for: "\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            // The example of section 1.3.
            #expect(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
            #expect(answer.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"))
            #expect(answer.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"))
            #expect(!answer.contains("Content-Length"))
            client.abort()
        }
        #expect(probe.openedCount == 1)
    }

    @Test func whatClientsSendIsUnderstood() async throws {
        let probe = StreamProbe()
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            var fields = WebSocketRequest.fields("Connection", "keep-alive, Upgrade")
            fields.removeAll { $0.hasPrefix("Sec-WebSocket-Protocol") }
            fields += ["Sec-WebSocket-Protocol: mqttv3.1, mqtt", "Sec-WebSocket-Extensions: permessage-deflate"]
            let client = try await harness.client()
            client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n" + WebSocketRequest.text(WebSocketRequest.line, fields))
            let answer = try await client.wait(for: "\r\n\r\n", times: 2)
            #expect(answer.contains("GET /a HTTP/1.1 101 "))
            #expect(answer.contains("Sec-WebSocket-Protocol: mqtt\r\n"))
            #expect(!answer.contains("permessage"))
            client.abort()
        }
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var line = WebSocketRequest.line
        var fields = WebSocketRequest.fields
        let status: Int
        var holds = ""
    }

    private static func refused(
        _ field: String, _ value: String?, _ status: Int, holds: String = ""
    ) -> Refused {
        Refused(
            testDescription: "\(field): \(value ?? "missing")", fields: WebSocketRequest.fields(field, value),
            status: status, holds: holds)
    }

    static let refusals: [Refused] = [
        Refused(
            testDescription: "POST", line: "POST /$iothub/websocket HTTP/1.1", status: 405, holds: "Allow: GET\r\n"),
        Refused(testDescription: "HTTP/1.0", line: "GET /$iothub/websocket HTTP/1.0", status: 426),
        Refused(
            testDescription: "body", fields: WebSocketRequest.fields + ["Content-Length: 3"], status: 400),
        Refused(
            testDescription: "two keys",
            fields: WebSocketRequest.fields + ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], status: 400),
        refused("Upgrade", nil, 426, holds: "Connection: close, Upgrade\r\n"),
        refused("Upgrade", "h2c", 426, holds: "Upgrade: websocket\r\n"),
        refused("Connection", nil, 426),
        refused("Connection", "close, Upgrade", 426),
        refused("Sec-WebSocket-Version", nil, 426, holds: "Sec-WebSocket-Version: 13\r\n"),
        refused("Sec-WebSocket-Version", "8", 426, holds: "Sec-WebSocket-Version: 13\r\n"),
        refused("Sec-WebSocket-Key", nil, 400),
        refused("Sec-WebSocket-Key", "c2hvcnQ=", 400),
        refused("Sec-WebSocket-Key", "no base64 at all!!!!!!==", 400),
        refused("Sec-WebSocket-Protocol", nil, 400),
        refused("Sec-WebSocket-Protocol", "MQTT", 400),
        refused("Sec-WebSocket-Protocol", "amqp, mqttv3.1", 400),
    ]

    @Test(arguments: refusals)
    func whatIsNoHandshakeIsRefused(_ refused: Refused) async throws {
        let probe = StreamProbe()
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text(refused.line, refused.fields) + "abc")
            let answer = try await client.waitForEnd()
            #expect(answer.hasPrefix("HTTP/1.1 \(refused.status) "))
            #expect(refused.holds.isEmpty || answer.contains(refused.holds))
            #expect(answer.contains("\r\nConnection: close"))
        }
        #expect(probe.openedCount == 0)
    }

    @Test func isRefusedWhileNobodyTakesIt() async throws {
        let nobody: @Sendable (HTTPRequest) -> WebSocketUpgrade? = { _ in
            WebSocketUpgrade(subprotocol: "mqtt") { _ in nil }
        }
        try await ServerHarness.run(upgrade: nobody) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text())
            #expect(try await client.waitForEnd().hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
        }
    }

    @Test func otherPathsAreOrdinaryRequests() async throws {
        try await ServerHarness.run(upgrade: StreamProbe().upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text("GET /other HTTP/1.1"))
            try await client.wait(for: "GET /other ")
            client.abort()
        }
    }

    // MARK: The stream

    @Test func bytesBehindTheHeadAreNotLost() async throws {
        let probe = StreamProbe()
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            let wire = Array(WebSocketRequest.text().utf8) + ClientFrame.binary(Array("first".utf8)).bytes
            client.send(wire + ClientFrame.binary(Array("second".utf8)).bytes)
            let frames = serverFrames(try await client.waitForFrames(bytes: 2 + 5 + 2 + 6))
            #expect(frames?.map { String(decoding: $0.payload, as: UTF8.self) } == ["first", "second"])
            #expect(frames?.allSatisfy { $0.opcode == 2 } == true)
            client.abort()
        }
        #expect(probe.reasons.count == 1)
    }

    @Test func everyByteMayComeAlone() async throws {
        let probe = StreamProbe()
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            for byte in WebSocketRequest.text().utf8 { client.send([byte]) }
            let message = Array("a message".utf8)
            for byte in ClientFrame.binary(message).bytes + ClientFrame.close(1000).bytes { client.send([byte]) }
            let frames = try #require(serverFrames(try await client.waitForFrames()))
            #expect(frames.dropLast().flatMap(\.payload) == message)
            #expect(frames.last?.opcode == 8)
        }
        #expect(probe.received == Array("a message".utf8))
    }

    @Test(arguments: [false, true])
    func muchGoesBothWays(_ isEncrypted: Bool) async throws {
        let certificates = try TestCertificates.shared.get()
        let trust = TLSConfiguration.Client(trustFile: certificates.authority)
        let probe = StreamProbe { $0.outputLimit = 8 * 1024 * 1024 }
        try await ServerHarness.run(tls: isEncrypted ? certificates.server : nil, upgrade: probe.upgrade) { harness in
            let client = try await RawClient(
                harness.address, tls: isEncrypted ? try TLSContext(client: trust) : nil)
            client.send(WebSocketRequest.text())
            var sent: [UInt8] = []
            for (number, count) in [1, 100, 200, 70_000, 300_000, 65_536, 0, 5].enumerated() {
                let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number) }
                sent += payload
                client.send(ClientFrame.binary(payload, isFinal: false).bytes + ClientFrame.ping([1]).bytes)
                client.send(ClientFrame.continuation([]).bytes)
            }
            client.send(ClientFrame.close(1001).bytes)
            let frames = try #require(serverFrames(try await client.waitForFrames()))
            #expect(frames.filter { $0.opcode == 2 }.flatMap(\.payload) == sent)
            #expect(frames.filter { $0.opcode == 10 }.map(\.payload) == [[UInt8]](repeating: [1], count: 8))
            #expect(frames.last?.opcode == 8 && frames.last?.payload == [0x03, 0xE9])
            #expect(probe.received == sent)
        }
    }

    // MARK: Ends

    @Test func clientsCloseIsAnsweredAndTold() async throws {
        let probe = StreamProbe()
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text())
            client.send(ClientFrame.close(4000, Array("bye".utf8)).bytes + ClientFrame.binary([1]).bytes)
            let frames = try #require(serverFrames(try await client.waitForFrames()))
            #expect(frames.count == 1 && frames[0].opcode == 8 && frames[0].payload == [0x0F, 0xA0])
            await probe.closed.wait()
        }
        guard probe.reasons.count == 1, case .peer = probe.reasons[0] else {
            Issue.record("told: \(probe.reasons)")
            return
        }
        #expect(probe.received.isEmpty)
    }

    @Test func clientThatLeavesWithoutAWordIsTold() async throws {
        let probe = StreamProbe()
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(Array(WebSocketRequest.text().utf8) + ClientFrame.binary([1, 2, 3]).bytes.dropLast())
            await probe.opened.wait()
            client.finishSending()
            await probe.closed.wait()
        }
        guard probe.reasons.count == 1, case .peer = probe.reasons[0] else {
            Issue.record("told: \(probe.reasons)")
            return
        }
        #expect(probe.received == [1, 2])
    }

    @Test func faultsAreNamedToBothSides() async throws {
        for (bytes, code) in [(ClientFrame(first: 0x81, payload: [65]).bytes, 1003), ([0x82, 0x01, 0x00], 1002)] {
            let probe = StreamProbe()
            try await ServerHarness.run(upgrade: probe.upgrade) { harness in
                let client = try await harness.client()
                client.send(WebSocketRequest.text())
                client.send(ClientFrame.binary([7]).bytes + bytes + ClientFrame.binary([8]).bytes)
                let frames = try #require(serverFrames(try await client.waitForFrames()))
                #expect(frames.map(\.opcode) == [2, 8])
                #expect(frames[1].payload.prefix(2).reduce(0) { $0 << 8 | Int($1) } == code)
                await probe.closed.wait()
            }
            #expect(probe.received == [7])
            guard probe.reasons.count == 1, case .failed(let error) = probe.reasons[0] else {
                Issue.record("told: \(probe.reasons)")
                return
            }
            #expect(error.message.hasPrefix("WebSocket: "))
        }
    }

    @Test func handlersCloseIsClean() async throws {
        let probe = StreamProbe { channel in
            channel.write([1])
            channel.close()
            channel.write([2])
            channel.close()
        }
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(Array(WebSocketRequest.text().utf8) + ClientFrame.binary([3]).bytes)
            let frames = try #require(serverFrames(try await client.waitForFrames()))
            #expect(frames.map(\.opcode) == [2, 8])
            #expect(frames.last?.payload == [0x03, 0xE8])
            await probe.closed.wait()
        }
        #expect(probe.reasons.count == 1)
        #expect(probe.received.isEmpty)
    }

    @Test func deadlineIsTheHandlers() async throws {
        let probe = StreamProbe { $0.deadline = $0.reactor.now + .milliseconds(50) }
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text())
            let frames = serverFrames(try await client.waitForFrames())
            #expect(frames?.map(\.opcode) == [8])
        }
        #expect(probe.reasons.count == 1)
    }

    @Test func timeoutsOfRequestsEndWithTheHandshake() async throws {
        let deadlines = Mutex<[Instant?]>([])
        let probe = StreamProbe { channel in deadlines.withLock { $0.append(channel.deadline) } }
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text())
            await probe.opened.wait()
            client.abort()
        }
        #expect(deadlines.withLock { $0 } == [nil])
    }

    // MARK: Back-pressure and shutdown

    @Test func pausedHandlerGetsNoMore() async throws {
        let probe = StreamProbe(isEcho: false) { $0.pauseReading() }
        let payload = [UInt8](repeating: 1, count: 300_000)
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text())
            await probe.opened.wait()
            // Paused from the start: nothing arrives, however much is under way.
            for _ in 0..<4 { client.send(ClientFrame.binary(payload).bytes) }
            for _ in 0..<100 { await probe.onChannel { _ in } }
            #expect(probe.received.isEmpty)
            await probe.onChannel { $0.resumeReading() }
            client.send(ClientFrame.close(1000).bytes)
            _ = try await client.waitForFrames()
        }
        #expect(probe.received.count == 4 * payload.count)
    }

    @Test func clientThatDoesNotReadIsDropped() async throws {
        let probe = StreamProbe { $0.outputLimit = 1_000_000 }
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text())
            await probe.opened.wait()
            client.pauseReading()
            // More than the kernel's buffers take.
            let piece = [UInt8](repeating: 1, count: 500_000)
            for _ in 0..<60 { await probe.onChannel { $0.write(piece) } }
            await probe.closed.wait()
            client.abort()
        }
        guard probe.reasons.count == 1, case .failed(let error) = probe.reasons[0] else {
            Issue.record("told: \(probe.reasons)")
            return
        }
        #expect(error.code == .overflow)
    }

    @Test func shutdownGoesAway() async throws {
        let probe = StreamProbe()
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text())
            await probe.opened.wait()
            await harness.server.shutdown(grace: .seconds(60))
            let frames = try #require(serverFrames(try await client.waitForFrames()))
            #expect(frames.map(\.opcode) == [8])
            #expect(frames.first?.payload.prefix(2) == [0x03, 0xE9])
        }
        #expect(probe.reasons.count == 1)
    }

    @Test func shutdownDropsWhoDoesNotLeave() async throws {
        let probe = StreamProbe { $0.outputLimit = .max }
        try await ServerHarness.run(upgrade: probe.upgrade) { harness in
            let client = try await harness.client()
            client.send(WebSocketRequest.text())
            await probe.opened.wait()
            client.pauseReading()
            await probe.onChannel { $0.write([UInt8](repeating: 0, count: 30_000_000)) }
            await harness.server.shutdown(grace: .milliseconds(10))
            #expect(probe.reasons.count == 1)
            client.abort()
        }
    }
}
