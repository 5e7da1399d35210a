// One API server over real HTTP on stores of its own, and a client with tokens of its policies: the world of the API's
// tests.

import API
import Access
import Crypto
import HTTP
import JSON
import JobStore
import Postgres
import RouteStore
import ServiceKit
import Sockets
import Testing
import TwinStore

struct Reply {
    let status: Int
    let headers: HTTPHeaders
    let body: [UInt8]
    let json: JSONValue

    init(_ response: HTTPResponse) {
        status = response.status
        headers = response.headers
        body = response.body
        do {
            json =
                response.body.isEmpty
                ? .null : try JSONValue(parsing: response.body, limits: JSONLimits(bytes: 64 << 20))
        } catch {
            json = .string(String(decoding: response.body, as: UTF8.self))
        }
    }

    var errorCode: String? { headers.first("iothub-errorcode") }
    var continuation: String? { headers.first("x-ms-continuation") }
    var itemType: String? { headers.first("x-ms-item-type") }

    /// The text of an error body of either form.
    var errorText: String {
        guard let message = json["Message"]?.stringValue else { return "" }
        do {
            return try JSONValue(parsing: message)["message"]?.stringValue ?? message
        } catch {
            return message
        }
    }
}

final class APIWorld: Sendable {
    let pool: PostgresPool
    let twins: TwinStore
    let jobs: JobStore
    let routes: RouteStore
    let server: APIServer
    let metrics: Metrics
    let policies: [String: Policy]
    private let transport: @Sendable (HTTPClientRequest) async throws -> HTTPResponse

    static let version = "api-version=2021-04-12"

    init(
        pool: PostgresPool, twins: TwinStore, jobs: JobStore, routes: RouteStore, server: APIServer, metrics: Metrics,
        policies: [Policy],
        transport: @escaping @Sendable (HTTPClientRequest) async throws -> HTTPResponse
    ) {
        self.pool = pool
        self.twins = twins
        self.jobs = jobs
        self.routes = routes
        self.server = server
        self.metrics = metrics
        self.policies = Dictionary(uniqueKeysWithValues: policies.map { ($0.name, $0) })
        self.transport = transport
    }

    /// The header that a client of the policy sends; valid for an hour.
    func token(_ policy: String, resource: String = "localhost", expiresIn seconds: Double = 3600) throws -> String {
        let key = try #require(policies[policy]).primaryKey
        let expiry = Int64(SystemClock().unixTime + seconds)
        return SASToken.text(resource: resource, key: key, policyName: policy, expiry: expiry)
    }

    /// Sends a request with the usual api-version; `headers` may replace `Authorization`.
    func send(
        _ method: String, _ path: String, _ body: JSONValue? = nil, headers: [(String, String)] = [],
        policy: String = "iothubowner"
    ) async throws -> Reply {
        try await send(method, path, bytes: body?.bytes ?? [], headers: headers, policy: policy)
    }

    func send(
        _ method: String, _ path: String, bytes: [UInt8], headers: [(String, String)] = [],
        policy: String = "iothubowner"
    ) async throws -> Reply {
        let target = path.contains("api-version") ? path : path + (path.contains("?") ? "&" : "?") + Self.version
        var fields = HTTPHeaders([("Content-Type", "application/json; charset=utf-8")])
        if !headers.contains(where: { $0.0 == "Authorization" }) {
            fields.set("Authorization", try token(policy))
        }
        for (name, value) in headers where !(name == "Authorization" && value.isEmpty) { fields.set(name, value) }
        return Reply(
            try await transport(HTTPClientRequest(method: method, target: target, headers: fields, body: bytes)))
    }

    /// One text that changes when anything changes that a service request may change.
    func fingerprint() async throws -> String {
        let statement = Statement(
            name: "test_fingerprint",
            text: """
                SELECT md5(coalesce(string_agg(line, E'\\n' ORDER BY line), '')) AS digest FROM (
                    SELECT 'd' || d::text AS line FROM devices d UNION ALL SELECT 't' || t::text FROM twins t
                    UNION ALL SELECT 'j' || j::text FROM jobs j UNION ALL SELECT 'e' || e::text FROM job_events e
                    UNION ALL SELECT 'p' || p::text FROM policies p) AS lines
                """)
        return try await pool.run(statement)[0].get("digest")
    }
}
