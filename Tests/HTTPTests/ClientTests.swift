// Goal: the client keeps connections, repeats only what is safe, and its errors say whether the request may have been
// processed. Method: our server, and a listener that plays whatever a test wants.

import ServiceKit
import Sockets
import Synchronization
import Testing

@testable import HTTP

/// Answers each connection's bytes with a script: the n-th element after the n-th piece that arrives; then closes.
private final class Scripted: ConnectionHandler {
    private var answers: ArraySlice<String>
    private let closesAfter: Bool

    init(_ answers: [String], closesAfter: Bool) {
        self.answers = answers[...]
        self.closesAfter = closesAfter
    }

    func opened(_ connection: Connection) {}
    func received(_ bytes: Span<UInt8>, _ connection: Connection) {
        if let answer = answers.popFirst() {
            connection.write(Array(answer.utf8))
            if answers.isEmpty, closesAfter { connection.close() }
        } else {
            connection.abort()
        }
    }
    func closed(_ connection: Connection, _ reason: CloseReason) {}
}

@Suite struct ClientTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    private func get(_ target: String = "/") -> HTTPClientRequest { HTTPClientRequest(method: "GET", target: target) }

    /// A listener whose n-th connection plays the n-th script; without one it closes at the first byte.
    private func scripted(
        _ scripts: [[String]], closesAfter: Bool = false
    ) async throws -> (listener: Listener, client: HTTPClient) {
        let left = Mutex(scripts[...])
        let listener = try await Listener.listen(
            Listener.Configuration(address: .host("127.0.0.1", port: 0), tls: nil, connections: 100)
        ) { _ in Scripted(left.withLock { $0.popFirst() } ?? [], closesAfter: closesAfter) }
        let client = HTTPClient(
            endpoint: ("127.0.0.1", listener.address.port ?? 0), tls: nil, maximumConnections: 1)
        return (listener, client)
    }

    private func failure(
        _ client: HTTPClient, _ request: HTTPClientRequest, timeout: Duration = .seconds(60)
    ) async -> HTTPClientError? {
        do {
            _ = try await client.send(request, timeout: timeout)
            return nil
        } catch {
            return error
        }
    }

    @Test func connectionsAreKeptAndShared() async throws {
        let peers = Mutex<Set<String>>([])
        try await ServerHarness.run(handler: { request in
            peers.withLock { _ = $0.insert(request.peer) }
            return HTTPResponse(status: 200, body: request.body)
        }) { harness in
            let client = harness.httpClient(connections: 3)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        let body = Array(String(number).utf8)
                        let request = HTTPClientRequest(method: "POST", target: "/", body: body)
                        let response = try await client.send(request, timeout: .seconds(60))
                        #expect(response.body == body)
                    }
                }
                try await group.waitForAll()
            }
            #expect((1...3).contains(peers.withLock { $0.count }))
            client.close()
        }
    }

    @Test func refusedIsCertainlyNotProcessed() async throws {
        // Port 1 is nobody's; a port that was free a moment ago may be another test's by now.
        let client = HTTPClient(endpoint: ("127.0.0.1", 1), tls: nil)
        let error = await failure(client, get())
        #expect(error?.code == .refused)
        #expect(error?.mayHaveBeenProcessed == false)
        client.close()
    }

    @Test func unknownNameIsSaid() async throws {
        let client = HTTPClient(endpoint: ("nowhere.invalid", 80), tls: nil)
        let error = await failure(client, get())
        #expect(error?.code == .resolution)
        #expect(error?.mayHaveBeenProcessed == false)
        client.close()
    }

    @Test func timeoutAfterSendingMayHaveBeenProcessed() async throws {
        let hold = Signal()
        try await ServerHarness.run(handler: { request in
            if request.path == "/slow" { await hold.wait() }
            return HTTPResponse(status: 200)
        }) { harness in
            let client = harness.httpClient(connections: 1)
            // An open connection, so that the time is not over before the request is sent.
            try await expectOK(client, get("/first"))
            let error = await failure(client, get("/slow"), timeout: .milliseconds(500))
            #expect(error?.code == .timeout)
            #expect(error?.mayHaveBeenProcessed == true)
            hold.set()
            // The connection of the late answer is gone; the next request gets its own.
            try await expectOK(client, get("/next"))
            client.close()
        }
    }

    @Test func timeoutWhileWaitingIsCertainlyNotProcessed() async throws {
        let began = Signal()
        let hold = Signal()
        try await ServerHarness.run(handler: { _ in
            began.set()
            await hold.wait()
            return HTTPResponse(status: 200)
        }) { harness in
            let client = harness.httpClient(connections: 1)
            async let first = client.send(get("/first"), timeout: .seconds(60))
            await began.wait()
            let error = await failure(client, get("/second"), timeout: .milliseconds(50))
            #expect(error?.code == .timeout)
            #expect(error?.mayHaveBeenProcessed == false)
            hold.set()
            let answer = try await first
            #expect(answer.status == 200)
            client.close()
        }
    }

    @Test func cancellationEndsTheWait() async throws {
        let began = Signal()
        let hold = Signal()
        try await ServerHarness.run(handler: { _ in
            began.set()
            await hold.wait()
            return HTTPResponse(status: 200)
        }) { harness in
            let client = harness.httpClient()
            let task = Task { await failure(client, get()) }
            await began.wait()
            task.cancel()
            let error = await task.value
            #expect(error?.code == .cancelled)
            #expect(error?.mayHaveBeenProcessed == true)
            hold.set()
            client.close()
        }
    }

    @Test func idempotentRequestIsRepeatedOnceOnAStaleConnection() async throws {
        let (listener, client) = try await scripted([[Self.ok], [Self.ok, Self.ok]])
        try await expectOK(client, get())
        // The first connection closes without an answer; the second serves.
        try await expectOK(client, get())
        try await expectOK(client, get())
        client.close()
        await listener.close()
    }

    @Test func otherRequestsAreNotRepeated() async throws {
        let (listener, client) = try await scripted([[Self.ok], [Self.ok]])
        try await expectOK(client, get())
        let error = await failure(client, HTTPClientRequest(method: "POST", target: "/"))
        #expect(error?.code == .disconnected)
        #expect(error?.mayHaveBeenProcessed == true)
        client.close()
        await listener.close()
    }

    @Test func brokenAnswersAreSaid() async throws {
        let (listener, client) = try await scripted(
            [["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"], ["SSH-2.0-x\r\n"], ["HTTP/1.1 200 OK\r\n\r\nall"]],
            closesAfter: true)
        #expect(await failure(client, get())?.code == .disconnected)
        #expect(await failure(client, get())?.code == .malformed)
        // Without a length the end of the connection is the end of the body.
        #expect(try await client.send(get(), timeout: .seconds(60)).body == Array("all".utf8))
        client.close()
        await listener.close()
    }

    @Test func closedClientRefuses() async throws {
        try await ServerHarness.run { harness in
            let client = harness.httpClient()
            try await expectOK(client, get())
            client.close()
            #expect(await failure(client, get())?.code == .closed)
        }
    }
}
