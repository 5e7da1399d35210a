// Goal: permissions per policy, host names, and the open routes for probes and metrics. Method: requests over HTTP.

import Access
import HTTP
import JSON
import Postgres
import ServiceKit
import Testing
import TwinStore

@Suite struct ServiceRouteTests {
    @Test("Every policy may do what the contract's table says, and nothing else")
    func permissions() async throws {
        try await APIWorld.run { world in
            let requests: [(String, String, Set<String>)] = [
                ("GET", "/devices", ["iothubowner", "registryRead", "registryReadWrite"]),
                ("GET", "/statistics/devices", ["iothubowner", "registryRead", "registryReadWrite"]),
                ("DELETE", "/devices/none", ["iothubowner", "registryReadWrite"]),
                ("GET", "/twins/none", ["iothubowner", "service"]),
                ("GET", "/jobs/v2/query", ["iothubowner", "service"]),
                ("GET", "/statistics/service", ["iothubowner", "service"]),
                ("POST", "/devices/query", ["iothubowner", "service"]),
            ]
            for (method, path, allowed) in requests {
                for policy in ["iothubowner", "service", "device", "registryRead", "registryReadWrite"] {
                    let reply = try await world.send(method, path, policy: policy)
                    #expect((reply.status != 401) == allowed.contains(policy), "\(policy) \(method) \(path)")
                }
            }
        }
    }

    @Test("Tokens for any name of this hub, with any port, signed with either key")
    func hosts() async throws {
        try await APIWorld.run { world in
            for host in ["localhost", "localhost:8443", "127.0.0.1:1", "HUB.example", "hub.example:443"] {
                let reply = try await world.send(
                    "GET", "/devices", headers: [("Authorization", try world.token("iothubowner", resource: host))])
                #expect(reply.status == 200, "\(host)")
            }
            let policy = try #require(world.policies["service"])
            let second = SASToken.text(
                resource: "localhost", key: policy.secondaryKey, policyName: "service",
                expiry: Int64(SystemClock().unixTime) + 60)
            #expect(try await world.send("GET", "/jobs/v2/query", headers: [("Authorization", second)]).status == 200)
        }
    }

    @Test("A new policy works at once; there are at most sixteen")
    func newPolicy() async throws {
        try await APIWorld.run { world in
            _ = try await world.send("GET", "/devices")
            for index in 0..<11 {
                let policy = Policy(
                    name: "extra-\(index)", permissions: [.registryRead],
                    primaryKey: [UInt8](repeating: UInt8(index), count: 32),
                    secondaryKey: [UInt8](repeating: 99, count: 32))
                #expect(try await world.twins.createPolicy(policy) == .created)
                if index == 0 { #expect(try await world.twins.createPolicy(policy) == .exists) }
            }
            let last = Policy(
                name: "too-many", permissions: [], primaryKey: [UInt8](repeating: 1, count: 32),
                secondaryKey: [UInt8](repeating: 1, count: 32))
            #expect(try await world.twins.createPolicy(last) == .full)
            #expect(try await world.twins.policies().count == 16)
        }
    }

    @Test("Beyond the limit of requests in work clients are told to come back; probes still answer")
    func busy() async throws {
        try await APIWorld.run(concurrentRequests: 0) { world in
            let reply = try await world.send("GET", "/devices")
            #expect(reply.status == 503)
            #expect(reply.errorCode == "ServerBusy")
            #expect(reply.headers.first("Retry-After") == "1")
            #expect(try await world.send("GET", "/livez").status == 200)
        }
    }

    @Test("Probes and metrics need no token")
    func probes() async throws {
        try await APIWorld.run { world in
            let none = [("Authorization", "")]
            #expect(try await world.send("GET", "/livez", headers: none).status == 200)
            let ready = try await world.send("GET", "/readyz", headers: none)
            #expect(ready.status == 200)
            #expect(ready.json == ["status": "ready", "checks": ["postgres": "ok"]])
            _ = try await world.send("GET", "/devices")
            let metrics = try await world.send("GET", "/metrics", headers: none)
            #expect(metrics.status == 200)
            let text = String(decoding: metrics.body, as: UTF8.self)
            #expect(text.contains(#"muster_http_requests_total{operation="listDevices",status="200"} 1"#))
            await world.pool.close()
            let failed = try await world.send("GET", "/readyz", headers: none)
            #expect(failed.status == 503)
            #expect(failed.json["checks"] == ["postgres": "failed"])
            let unavailable = try await world.send("GET", "/jobs/v2/query")
            #expect(unavailable.status == 503)
            #expect(unavailable.headers.first("Retry-After") == "1", "clients repeat by themselves")
        }
    }
}
