// The service API as the operator's commands use it. One object for one service; safe to use from many tasks, each
// request on a kept-alive connection of a bounded pool.

import Access
package import HTTP
package import JSON
package import ServiceKit
import Sockets

/// Whether the same request may be sent again after an answer was lost.
package enum Repetition: Sendable {
    /// Reads, and writes that give the same when they come twice.
    case always
    /// Only when the service certainly did not process it.
    case ifNotProcessed
}

package final class OperatorClient: Sendable {
    package struct Configuration: Sendable {
        package var endpoint: ServiceEndpoint
        /// For one try of one request.
        package var timeout: Duration = .seconds(30)
        package var connections = 8
        /// Tries of one request, the first included. With the waits between them: about three seconds against a service
        /// that refuses at once, which outlasts the restart of one process behind a balancer.
        package var attempts = 5

        package init(endpoint: ServiceEndpoint) { self.endpoint = endpoint }
    }

    package static let apiVersion = "2021-04-12"
    /// Long enough for the longest request with all its tries; a token leaks less the sooner it expires.
    private static let tokenSeconds: Int64 = 900
    /// The longest wait that the service's Retry-After can impose on one try.
    private static let retryAfterMaximum: Duration = .seconds(10)
    /// The largest answer: a page of 100 twins with all metadata.
    private static let jsonLimits = JSONLimits(depth: 128, bytes: 64 * 1024 * 1024)

    package let configuration: Configuration
    private let client: HTTPClient
    private let clock: any ServiceClock
    private let random: any RandomSource

    package init(_ configuration: Configuration, clock: any ServiceClock, random: any RandomSource) {
        let endpoint = configuration.endpoint
        self.configuration = configuration
        self.clock = clock
        self.random = random
        client = HTTPClient(
            endpoint: (host: endpoint.host, port: endpoint.port),
            tls: endpoint.isPlain ? nil : TLSConfiguration.Client(trustFile: endpoint.trustFile),
            maximumConnections: configuration.connections)
    }

    package func close() { client.close() }

    // MARK: Requests

    /// Sends, repeats where that is safe, and returns the first answer that is no error or one of `accepted`.
    package func send(
        _ method: String, _ target: RequestPath, headers: [(String, String)] = [], body: [UInt8]? = nil,
        _ repetition: Repetition, accepted: Set<Int> = []
    ) async throws -> Answer {
        var request = HTTPClientRequest(method: method, target: target.text)
        for (name, value) in headers { request.headers.set(name, value) }
        request.headers.set("Host", configuration.endpoint.hostName)
        if let body {
            request.headers.set("Content-Type", "application/json; charset=utf-8")
            request.body = body
        }
        var backoff = Backoff(initial: .milliseconds(250), maximum: .seconds(4))
        var attempt = 1
        while true {
            let error: OperatorError
            switch await tryOnce(request, accepted) {
            case .success(let response): return try answer(response, attempt: attempt)
            case .failure(let failure): error = failure
            }
            try Task.checkCancellation()
            guard attempt < configuration.attempts, Self.mayRepeat(error, repetition) else { throw error }
            attempt += 1
            let wait = backoff.next(random)
            try await clock.sleep(for: max(wait, min(error.retryAfter ?? .zero, Self.retryAfterMaximum)))
        }
    }

    private func tryOnce(_ request: HTTPClientRequest, _ accepted: Set<Int>) async -> Result<
        HTTPResponse, OperatorError
    > {
        var request = request
        let expiry = Int64(clock.unixTime) + Self.tokenSeconds
        if let token = configuration.endpoint.credentials.authorization(expiry: expiry) {
            request.headers.set("Authorization", token)
        }
        do {
            let response = try await client.send(request, timeout: configuration.timeout)
            guard response.status < 300 || accepted.contains(response.status) else {
                return .failure(OperatorError(response))
            }
            return .success(response)
        } catch {
            return .failure(OperatorError(error, endpoint: configuration.endpoint))
        }
    }

    static func mayRepeat(_ error: OperatorError, _ repetition: Repetition) -> Bool {
        // An explicit 500 is a defect, and a defect stays; everything that is unavailable may come back.
        guard error.kind == .unavailable else { return false }
        return switch repetition {
        case .always: true
        case .ifNotProcessed: !error.mayHaveBeenProcessed
        }
    }

    private func answer(_ response: HTTPResponse, attempt: Int) throws(OperatorError) -> Answer {
        guard !response.body.isEmpty else { return Answer(response: response, body: .null, attempt: attempt) }
        do {
            let body = try JSONValue(parsing: response.body, limits: Self.jsonLimits)
            return Answer(response: response, body: body, attempt: attempt)
        } catch {
            throw OperatorError(
                .failed, status: response.status,
                "\(configuration.endpoint.text) answered with what is no JSON (\(error)); is it a Muster service?",
                mayHaveBeenProcessed: true)
        }
    }

    // MARK: Pages

    /// A list of which the service gives one page a request. Stops asking when the caller stops reading.
    package func pages(
        _ method: String, _ target: RequestPath, body: JSONValue? = nil, pageSize: Int
    ) -> Pages {
        Pages(client: self, method: method, target: target, body: body, pageSize: pageSize)
    }
}

package struct Answer: Sendable {
    package let response: HTTPResponse
    /// Null when there is none.
    package let body: JSONValue
    /// 1 when the first try succeeded; more means that an earlier try may have been processed too.
    package let attempt: Int

    package func array() throws(OperatorError) -> [JSONValue] {
        guard let array = body.arrayValue else {
            throw OperatorError(
                .failed, status: response.status, "The service answered with \(body.kind) where a list should stand.",
                mayHaveBeenProcessed: true)
        }
        return array
    }
}

package struct Pages: AsyncSequence, Sendable {
    package struct Page: Sendable {
        package let items: [JSONValue]
        /// `Twin`, `DeviceJob`, `JobResponse` or `Raw`.
        package let itemType: String
        package let isLast: Bool
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        let pages: Pages
        var continuation: String?
        var isDone = false

        package mutating func next() async throws -> Page? {
            guard !isDone else { return nil }
            var headers = [("x-ms-max-item-count", String(pages.pageSize))]
            if let continuation { headers.append(("x-ms-continuation", continuation)) }
            let answer = try await pages.client.send(
                pages.method, pages.target, headers: headers, body: pages.body?.bytes, .always)
            let next = answer.response.headers.first("x-ms-continuation")
            guard next == nil || next != continuation else {
                throw OperatorError(.failed, "The service repeats a page of the list.")
            }
            continuation = next
            isDone = next == nil
            return Page(
                items: try answer.array(), itemType: answer.response.headers.first("x-ms-item-type") ?? "Raw",
                isLast: isDone)
        }
    }

    let client: OperatorClient
    let method: String
    let target: RequestPath
    let body: JSONValue?
    let pageSize: Int

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pages: self) }
}
