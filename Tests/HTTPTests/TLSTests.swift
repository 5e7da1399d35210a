// Goal: TLS carries everything that plain text does, and a certificate that should not be trusted never is.
// Method: certificates made by `openssl` at run time; our client and server against each other.

import ServiceKit
import Sockets
import Testing

@testable import HTTP

@Suite struct TLSTests {
    private let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared.get() }

    private func trust(_ file: String) -> TLSConfiguration.Client { TLSConfiguration.Client(trustFile: file) }

    @Test func requestsTravelEncrypted() async throws {
        try await ServerHarness.run(tls: certificates.server) { harness in
            let client = harness.httpClient(tls: trust(certificates.authority))
            let body = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            for round in 0..<3 {
                let request = HTTPClientRequest(method: "PUT", target: "/\(round)", body: body)
                let response = try await client.send(request, timeout: .seconds(60))
                #expect(response.status == 200)
                #expect(response.body == Array("PUT /\(round) ".utf8) + body)
            }
            client.close()
        }
    }

    @Test func addressesAreVerifiedToo() async throws {
        try await ServerHarness.run(tls: certificates.server) { harness in
            let client = HTTPClient(
                endpoint: ("127.0.0.1", harness.address.port ?? 0), tls: trust(certificates.authority))
            let request = HTTPClientRequest(method: "GET", target: "/")
            try await expectOK(client, request)
            client.close()
        }
    }

    @Test func pipelinedRequestsComeThroughTLSInOrder() async throws {
        let context = try TLSContext(client: trust(certificates.authority))
        try await ServerHarness.run(tls: certificates.server) { harness in
            let client = try await RawClient(harness.address, tls: context)
            let wire = (0..<200).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
            client.send(wire + "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let answer = try await client.waitForEnd()
            #expect(answer.ranges(of: "HTTP/1.1 200").count == 201)
            #expect(answer.hasSuffix("GET /last "))
            guard case .peer = client.closeReason else {
                Issue.record("not closed in an orderly way: \(String(describing: client.closeReason))")
                return
            }
        }
    }

    @Test func foreignAuthorityIsNotTrusted() async throws {
        try await ServerHarness.run(tls: certificates.server) { harness in
            for trust in [trust(certificates.otherAuthority), TLSConfiguration.Client()] {
                let client = harness.httpClient(tls: trust)
                let error = await failure(client)
                #expect(error?.code == .certificate)
                #expect(error?.mayHaveBeenProcessed == false)
                client.close()
            }
        }
    }

    @Test func otherNameIsNotTrusted() async throws {
        try await ServerHarness.run(tls: certificates.server) { harness in
            // Another of this machine's addresses: the connection works, the certificate is not for it.
            let client = HTTPClient(
                endpoint: ("127.0.0.2", harness.address.port ?? 0), tls: trust(certificates.authority))
            #expect(await failure(client)?.code == .refused)
            client.close()
        }
        try await ServerHarness.run(tls: certificates.server, address: .host("0.0.0.0", port: 0)) { harness in
            let client = HTTPClient(
                endpoint: ("127.0.0.2", harness.address.port ?? 0), tls: trust(certificates.authority))
            let error = await failure(client)
            #expect(error?.code == .certificate)
            #expect(error?.message.contains("IP address mismatch") == true)
            client.close()
        }
    }

    @Test func plainTextAndTLSDoNotMix() async throws {
        try await ServerHarness.run { harness in
            let client = harness.httpClient(tls: trust(certificates.authority))
            #expect(await failure(client)?.code == .tls)
            client.close()
        }
        try await ServerHarness.run(tls: certificates.server) { harness in
            let client = try await harness.client()
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.waitForEnd().contains("HTTP") == false)
        }
    }

    @Test func handshakeThatStallsDoesNotBlockOthers() async throws {
        try await ServerHarness.run(tls: certificates.server) { harness in
            let silent = try await harness.client()
            silent.send([0x16, 0x03, 0x01])
            let client = harness.httpClient(tls: trust(certificates.authority))
            let request = HTTPClientRequest(method: "GET", target: "/")
            try await expectOK(client, request)
            silent.abort()
            client.close()
        }
    }

    @Test func unusableFilesAreNamed() throws {
        #expect(throws: SocketError.self) {
            try TLSContext(server: TLSConfiguration(certificateFile: "/none.pem", keyFile: certificates.foreignKey))
        }
        let mismatch = #expect(throws: SocketError.self) {
            try TLSContext(
                server: TLSConfiguration(
                    certificateFile: certificates.server.certificateFile, keyFile: certificates.foreignKey))
        }
        #expect(mismatch?.message.contains("key") == true)
        #expect(mismatch?.code == .configuration)
        #expect(throws: SocketError.self) { try TLSContext(client: trust("/none.pem")) }
    }

    private func failure(_ client: HTTPClient) async -> HTTPClientError? {
        do {
            _ = try await client.send(HTTPClientRequest(method: "GET", target: "/"), timeout: .seconds(60))
            return nil
        } catch {
            return error
        }
    }
}
