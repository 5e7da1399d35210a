// Goal: a store that stalls, or more requests than can be served, cost no more memory than `ARCHITECTURE.md` states; load is
// shed with 503 and Retry-After; and all goes on by itself when the store does (I9, I10).
// Method: real processes on stores of the test's own, which SIGSTOP halts; the kernel's high-water mark of each process.

import Access
import DevCluster
import Foundation
import HTTP
import JSON
import JobModel
import JobStore
import Postgres
import ServiceKit
import TestKit
import Testing
import TwinStore

@Suite struct StallTests {
    /// Megabytes that one process may ever have resident; stated in ARCHITECTURE.md.
    private static let worker = 100
    private static let gateway = 100
    private static let coordinator = 200

    @Test func aWorkerOutlivesAStalledPostgres() async throws {
        try await withOwnStores { world, stores in
            let cluster = try await FleetCluster(world, devices: 200, latency: "10ms..50ms")
            try await cluster.addTwins(60_000)
            let worker = try await cluster.worker()
            try await cluster.put("twins", .updateTwin(["tags": ["a": 1]]))
            try await cluster.putCalls("calls", condition: "tags.ring >= 0")
            try await cluster.wait(for: "twins") { $0.statistics.succeeded > 0 }
            // Longer than a lease and than Redis' patience.
            try await stores.halted(.postgres, for: .seconds(9))
            for job in ["twins", "calls"] {
                let done = try await cluster.wait(for: job) { $0.state == .completed }
                #expect(done.statistics.succeeded == done.statistics.devices, "\(done.statistics)")
            }
            #expect(
                try await cluster.query(
                    "SELECT count(*) AS n FROM twins WHERE etag = 2 AND device_id LIKE 'd-%'") == 60_000)
            let calls = try await cluster.callsSeen()
            #expect(calls["received"] == 200 && calls["devicesOnce"] == 200, "\(calls.text)")
            for drift in try await cluster.store.recount(nil) { #expect(drift.findings.isEmpty, "\(drift)") }
            try report([worker: Self.worker, cluster.coordinator: Self.coordinator, cluster.gateway: Self.gateway])
        }
    }

    @Test func aGatewayOutlivesAStalledRedis() async throws {
        try await withOwnStores { world, stores in
            let cluster = try await FleetCluster(world, devices: 500, latency: "10ms..2s")
            let worker = try await cluster.worker()
            try await cluster.putCalls("before")
            try await cluster.wait(for: "before") { $0.statistics.devices == 500 }
            try await stores.halted(.redis, for: .seconds(9))
            try await cluster.putCalls("after")
            for job in ["before", "after"] {
                let done = try await cluster.wait(for: job) { $0.state == .completed }
                let known = done.statistics.succeeded + done.statistics.failed
                #expect(known == 500, "\(done.statistics)")
            }
            // A call that was under way when Redis stalled may have lost its answer, and is not made again.
            let unknown = try await cluster.query("SELECT count(*) AS n FROM work_items WHERE state = 'failed'")
            let calls = try await cluster.callsSeen()
            let received = try #require(calls["received"]?.integerValue)
            #expect(received <= 1000 && received >= 1000 - Int64(unknown), "\(calls.text)")
            #expect(calls["repeatedRids"] == 0)
            for drift in try await cluster.store.recount(nil) { #expect(drift.findings.isEmpty, "\(drift)") }
            print("a stalled Redis: \(received) calls received, \(unknown) outcomes unknown")
            try report([worker: Self.worker, cluster.coordinator: Self.coordinator, cluster.gateway: Self.gateway])
        }
    }

    @Test func theAPIShedsLoadWhileItsStoreStalls() async throws {
        try await withOwnStores { world, stores in
            let requests = 1500
            let coordinator = try MusterProcess(["coordinator", "--listen", "127.0.0.1:0"], world: world)
            try await coordinator.event("listening")
            let port = try coordinator.port()
            let policies = try await TwinStore(world.pool).policies()
            let owner = try #require(policies.first { $0.name == "iothubowner" })
            let token = SASToken.text(
                resource: "localhost", key: owner.primaryKey, policyName: owner.name,
                expiry: Int64(world.clock.unixTime) + 3600)
            let client = HTTPClient(endpoint: ("127.0.0.1", port), tls: nil, maximumConnections: requests)
            defer { client.close() }
            @Sendable func get() async throws -> HTTPResponse {
                var headers = HTTPHeaders()
                headers.set("Authorization", token)
                headers.set("Host", "localhost:\(port)")
                return try await client.send(
                    HTTPClientRequest(
                        method: "GET", target: "/statistics/devices?api-version=2021-04-12", headers: headers),
                    timeout: .seconds(60))
            }
            #expect(try await get().status == 200)
            let resume = try await stores.halt(.postgres)
            let responses = try await withThrowingTaskGroup(of: HTTPResponse.self) { group in
                for _ in 0..<requests { group.addTask { try await get() } }
                var responses: [HTTPResponse] = []
                for try await response in group {
                    responses.append(response)
                    // All that had no room are answered while the store stands still; then it goes on.
                    if responses.count == requests - Self.admitted { resume() }
                }
                return responses
            }
            let refused = responses.filter { $0.status == 503 || $0.status == 429 }
            let answered = responses.count { $0.status == 200 }
            print("an overloaded API: \(answered) answered, \(refused.count) refused")
            #expect(answered + refused.count == requests)
            #expect(refused.count >= requests - Self.admitted)
            #expect(answered > 0)
            #expect(refused.allSatisfy { $0.headers.first("Retry-After") != nil })
            #expect(try await get().status == 200)
            try report([coordinator: Self.coordinator])
        }
    }

    /// `APILimits.concurrentRequests`.
    private static let admitted = 512

    private func report(_ limits: KeyValuePairs<MusterProcess, Int>) throws {
        for (process, limit) in limits {
            let peak = try process.peakMegabytes()
            print("peak of \(process.role): \(peak) MB")
            #expect(peak < limit, "\(process.role) had \(peak) MB resident")
        }
    }
}

extension DevCluster {
    /// Stops every process of the server, as a machine that hangs; the result lets them go on.
    fileprivate func halt(_ server: Server) async throws -> @Sendable () -> Void {
        let root = try #require(processID(server))
        // Parents first, so that they start none meanwhile.
        var family = [root]
        var index = 0
        while index < family.count {
            kill(family[index], SIGSTOP)
            family += Self.children(of: family[index])
            index += 1
        }
        // It does not answer any more, or the rest of the test shows nothing.
        try #require(family.count > (server == .postgres ? 3 : 0))
        let stopped = family
        return { for process in stopped { kill(process, SIGCONT) } }
    }

    fileprivate func halted(_ server: Server, for duration: Duration) async throws {
        let resume = try await halt(server)
        defer { resume() }
        try await SystemClock().sleep(for: duration)
    }

    private static func children(of parent: Int32) -> [Int32] {
        let path = "/proc/\(parent)/task/\(parent)/children"
        let text = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: " ").compactMap { Int32($0) }
    }
}
