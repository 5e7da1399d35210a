// The Redis client on a real server: commands, scripts, blocking pops, and what callers hear when something breaks.

import DevCluster
import Glibc
import Redis
import ServiceKit
import TestKit
import Testing

@Suite struct RedisClientTests {
    @Test func commandsAndPipelines() async throws {
        try await withWorld(isMigrated: false) { world in
            let redis = world.redis
            #expect(try await redis.command(["SET", "k", .bytes([0, 13, 10, 255])]) == .status("OK"))
            #expect(try await redis.command(["GET", "k"]).bytes == [0, 13, 10, 255])
            #expect(try await redis.command(["GET", "missing"]).isNull)
            #expect(redis.serverRunID?.count == 40)
            let replies = try await redis.pipeline([["INCR", "n"], ["INCRBY", "n", 5], ["LRANGE", "l", 0, -1]])
            #expect(replies == [.integer(1), .integer(6), .array([])])
            let wrongType = await #expect(throws: StoreError.self) { try await redis.command(["LPUSH", "n", "x"]) }
            #expect(wrongType?.code == .fatal)
            #expect(wrongType?.serverCode == "WRONGTYPE")
            #expect(wrongType?.effect == StoreError.Effect.none)
            let partly = await #expect(throws: StoreError.self) {
                try await redis.pipeline([["INCR", "n"], ["LPUSH", "n", "x"]])
            }
            #expect(partly?.effect == .unknown)
            let kept = try await redis.pipeline([["LPUSH", "n", "x"], ["GET", "n"]], keepsErrors: true)
            #expect(kept.last == .string(Array("7".utf8)))
            let large = [UInt8](repeating: 7, count: 5_000_000)
            _ = try await redis.command(["SET", "large", .bytes(large)])
            #expect(try await redis.command(["GET", "large"]).bytes == large)
        }
    }

    @Test func concurrentCallsKeepTheirAnswersApart() async throws {
        try await withWorld(isMigrated: false) { world in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<50 {
                    group.addTask {
                        for round in 0..<40 {
                            let reply = try await world.redis.command(["ECHO", "\(caller):\(round)"])
                            #expect(reply.text == "\(caller):\(round)")
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func aForgottenScriptIsSentAgain() async throws {
        try await withWorld(isMigrated: false) { world in
            let add = RedisScript(name: "add", text: "return redis.call('INCRBY', KEYS[1], ARGV[1])")
            #expect(try await world.redis.run(add, keys: ["n"], arguments: [2]) == .integer(2))
            _ = try await world.redis.command(["SCRIPT", "FLUSH"])
            #expect(try await world.redis.run(add, keys: ["n"], arguments: [3]) == .integer(5))
            let broken = RedisScript(
                name: "broken", text: "redis.call('INCR', KEYS[1]) return redis.call('LPOP', KEYS[1])")
            let error = await #expect(throws: StoreError.self) { try await world.redis.run(broken, keys: ["n"]) }
            #expect(error?.operation == "broken")
            #expect(error?.effect == .unknown)
            #expect(try await world.redis.command(["GET", "n"]).integer == 6)
        }
    }

    @Test func aBlockingPopWaitsAndEnds() async throws {
        try await withWorld(isMigrated: false) { world in
            let start = world.clock.now
            #expect(try await world.redis.blockingPop(["a", "b"], timeout: .milliseconds(200)) == nil)
            #expect(world.clock.now - start >= .milliseconds(190))
            let pop = Task { try await world.redis.blockingPop(["a", "b"], timeout: .seconds(20)) }
            try await eventually("the pop is blocked") { try await self.blocked(world.redis) == 1 }
            _ = try await world.redis.command(["RPUSH", "b", "x"])
            let popped = try await pop.value
            #expect(popped?.key == "b" && popped?.value == "x")
            _ = try await world.redis.command(["XADD", "s", "1-1", "f", "v"])
            let read = try await world.redis.blockingCommand(
                ["XREAD", "BLOCK", 1000, "STREAMS", "s", "0"], timeout: .seconds(1))
            #expect(read?.array?.count == 1)
        }
    }

    /// Goal: cancelling loses no element. Method: pops are cancelled while elements are pushed; every element was either
    /// returned or is still in the list.
    @Test func cancellingAPopLosesNothing() async throws {
        try await withWorld(isMigrated: false) { world in
            for round in 0..<100 {
                let key = "q\(round)"
                let pop = Task { try await world.redis.blockingPop([key], timeout: .seconds(30)) }
                if round.isMultiple(of: 2) {
                    try await eventually("the pop is blocked") { try await self.blocked(world.redis) >= 1 }
                }
                async let pushed = world.redis.command(["RPUSH", "\(key)", "x"])
                pop.cancel()
                _ = try await pushed
                let wasReceived = try await pop.value != nil
                #expect(try await world.redis.command(["LLEN", "\(key)"]) == .integer(wasReceived ? 0 : 1))
            }
        }
    }

    private func blocked(_ redis: RedisClient) async throws -> Int {
        let database =
            try #require(try await redis.command(["CLIENT", "INFO"]).text)
            .split(separator: " ").first { $0.hasPrefix("db=") } ?? ""
        let clients = try await redis.command(["CLIENT", "LIST"]).text ?? ""
        return clients.split(separator: "\n").count { $0.contains(" \(database) ") && $0.contains("flags=b") }
    }

    @Test func aWrongPasswordIsFatalAtOnce() async throws {
        let addresses = try await TestCluster.addresses()
        for url in ["unix://:wrong@\(addresses.socketDirectory)/redis", "redis://127.0.0.1:\(addresses.redisPort)"] {
            let redis = try RedisClient(
                RedisConfiguration(url: url), clock: SystemClock(), random: SystemRandom(), log: .silent,
                metrics: Metrics())
            let error = await #expect(throws: StoreError.self) { try await redis.command(["PING"]) }
            #expect(error?.code == .fatal)
            let blocking = await #expect(throws: StoreError.self) {
                try await redis.blockingPop(["q"], timeout: .seconds(5))
            }
            #expect(blocking?.code == .fatal)
            await redis.close()
        }
        let redis = try RedisClient(
            RedisConfiguration(url: addresses.redisTCP), clock: SystemClock(), random: SystemRandom(), log: .silent,
            metrics: Metrics())
        #expect(try await redis.command(["PING"]).text == "PONG")
        await redis.close()
        let closed = await #expect(throws: StoreError.self) { try await redis.command(["PING"]) }
        #expect(closed?.effect == StoreError.Effect.none)
    }

    @Test func aServerThatHangsDiesAndComesBack() async throws {
        let cluster = TestCluster.own()
        let addresses = try await cluster.start()
        let clock = SystemClock()
        let redis = try RedisClient(
            RedisConfiguration(url: addresses.redis), clock: clock, random: SystemRandom(), log: .silent,
            metrics: Metrics())
        let info = try await redis.command(["INFO", "server"]).text ?? ""
        let line = try #require(info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("process_id:") })
        let pid = try #require(Int32(line.dropFirst("process_id:".count)))
        #expect(kill(pid, SIGSTOP) == 0)
        let late = await #expect(throws: StoreError.self) {
            try await redis.command(["INCR", "n"], timeout: .milliseconds(200))
        }
        #expect(late?.code == .timeout)
        #expect(late?.effect == .unknown)
        #expect(kill(pid, SIGCONT) == 0)
        #expect(try await redis.command(["PING"]).text == "PONG")

        let firstRun = redis.serverRunID
        let pop = Task { try await redis.blockingPop(["q"], timeout: .seconds(30)) }
        try await eventually("the pop is blocked") {
            try await redis.command(["CLIENT", "LIST"]).text?.contains("cmd=blpop") ?? false
        }
        await cluster.end(.redis, inOrder: false)
        let lost = try await #require(throws: StoreError.self) { _ = try await pop.value }
        #expect(lost.code == .unavailable)
        let refused = await #expect(throws: StoreError.self) {
            try await redis.command(["PING"], timeout: .milliseconds(100))
        }
        #expect(refused?.effect == StoreError.Effect.none)
        async let patient = redis.command(["PING"])
        try await cluster.restart(.redis)
        #expect(try await patient.text == "PONG")
        #expect(redis.serverRunID != firstRun)
        await redis.close()
        await cluster.stop()
    }
}
