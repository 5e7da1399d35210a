// The URL forms that people know, and what is refused.

import ServiceKit
import Testing

@testable import Redis

@Suite struct EndpointTests {
    @Test func hostAlone() throws {
        let endpoint = try RedisEndpoint("redis://cache.example")
        #expect(endpoint.address == .tcp(host: "cache.example", port: 6379))
        #expect(endpoint.user == nil && endpoint.password == nil && endpoint.database == 0)
    }

    @Test func everything() throws {
        let endpoint = try RedisEndpoint("redis://ann:s%40c%2Fret@cache.example:6380/3")
        #expect(endpoint.address == .tcp(host: "cache.example", port: 6380))
        #expect(endpoint.user == "ann")
        #expect(endpoint.password == "s@c/ret")
        #expect(endpoint.database == 3)
        #expect(!endpoint.description.contains("s@c"))
    }

    @Test func passwordWithoutUser() throws {
        let endpoint = try RedisEndpoint("redis://:secret@[::1]:7000/?db=2")
        #expect(endpoint.address == .tcp(host: "::1", port: 7000))
        #expect(endpoint.user == nil && endpoint.password == "secret" && endpoint.database == 2)
    }

    @Test(arguments: ["unix", "redis-socket", "redis+unix"])
    func socket(_ scheme: String) throws {
        let endpoint = try RedisEndpoint("\(scheme)://ann:pw@/run/redis/redis.sock?db=4")
        #expect(endpoint.address == .unix(path: "/run/redis/redis.sock"))
        #expect(endpoint.user == "ann" && endpoint.password == "pw" && endpoint.database == 4)
        #expect(try RedisEndpoint("\(scheme):///s?password=x").password == "x")
    }

    @Test(arguments: [
        "", "localhost:6379", "http://h", "rediss://h", "redis://h:0", "redis://h:70000", "redis://h:x", "redis://h/x",
        "redis://h/-1", "redis://h?timeout=1", "redis://h/1%", "redis://a%zz@h", "redis://[::1", "unix://relative",
        "unix://",
    ])
    func malformed(_ url: String) {
        let error = #expect(throws: StoreError.self) { try RedisEndpoint(url) }
        #expect(error?.code == .fatal)
    }

    @Test func environment() {
        #expect(RedisConfiguration.url(environment: [:]) == "redis://127.0.0.1:6379")
        #expect(RedisConfiguration.url(environment: ["REDIS_URL": "redis://h"]) == "redis://h")
    }
}
