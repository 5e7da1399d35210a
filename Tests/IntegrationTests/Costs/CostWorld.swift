// A world on servers of its own, so that what their counters say is this test's work and nobody else's.

import DevCluster
import Foundation
import JobStore
import Migrations
import Postgres
import Redis
import ServiceKit
import TestKit
import Testing

/// What some work cost both servers.
struct Cost: Sendable {
    /// Statements of the product; transactions' BEGIN and COMMIT count, too.
    let statements: Int
    let walBytes: Int
    /// Each read of a socket is a round trip of a client, or several that came together.
    let redisReads: Int
    let redisNetworkBytes: Int
    let seconds: Double
}

enum CostWorld {
    static func run(_ body: (JobWorld) async throws -> Void) async throws {
        let servers = DevCluster(
            DevCluster.Options(
                directory: TestCluster.newDirectory(), isEphemeral: true,
                // No pages in full and no vacuum: what the log holds is what the statements wrote.
                postgresSettings: [
                    "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
                    "shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_utility": "on",
                ]), environment: ProcessInfo.processInfo.environment)
        let addresses = try await servers.start()
        let pool = PostgresPool(
            PostgresConfiguration(connectionString: addresses.postgres, maximumConnections: 12), clock: SystemClock(),
            random: SystemRandom(), log: .silent, metrics: Metrics())
        let redis = try RedisClient(
            RedisConfiguration(url: addresses.redis), clock: SystemClock(), random: SystemRandom(), log: .silent,
            metrics: Metrics())
        let world = JobWorld(pool: pool, redis: redis)
        let result: Result<Void, any Error>
        do {
            _ = try await Migrator(pool).apply()
            try await world.execute("CREATE EXTENSION pg_stat_statements")
            result = .success(try await body(world))
        } catch {
            result = .failure(error)
        }
        await world.stopAll()
        await redis.close()
        await pool.close()
        await servers.stop()
        try result.get()
    }
}

extension JobWorld {
    func cost(_ work: () async throws -> Void) async throws -> Cost {
        let start = clock.now
        let before = try await counters()
        try await work()
        let after = try await counters()
        return Cost(
            statements: after.statements - before.statements, walBytes: after.walBytes - before.walBytes,
            redisReads: after.redisReads - before.redisReads,
            redisNetworkBytes: after.redisNetworkBytes - before.redisNetworkBytes,
            seconds: (clock.now - start).inSeconds)
    }

    private func counters() async throws -> Cost {
        // Every statement of the product comes from a file that begins with a comment; those of the tests do not. What
        // the test polls with is not counted.
        let statements = try await query(
            """
            SELECT coalesce(sum(calls), 0)::bigint AS n FROM pg_stat_statements
            WHERE query ~ '^(-- |BEGIN|COMMIT)' AND query NOT LIKE '-- One job with its statistics%'
            """)
        let wal = try await query("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS n")
        let info = try await redis.command(["INFO", "stats"]).text ?? ""
        func number(_ name: String) throws -> Int {
            let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
            return try #require(line.flatMap { Int($0.dropFirst(name.count + 1)) }, "INFO has no \(name)")
        }
        return Cost(
            statements: statements, walBytes: wal, redisReads: try number("total_reads_processed"),
            redisNetworkBytes: try number("total_net_input_bytes") + number("total_net_output_bytes"), seconds: 0)
    }

    /// Bytes of all keys.
    func redisBytes() async throws -> Int {
        var bytes = 0
        for key in try await redis.command(["KEYS", "*"]).array ?? [] {
            let usage = try await redis.command(["MEMORY", "USAGE", .bytes(key.bytes ?? []), "SAMPLES", "0"])
            bytes += Int(usage.integer ?? 0)
        }
        return bytes
    }
}
