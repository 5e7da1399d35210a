// What every role stands on: the two stores, clock, log and metrics, opened from a command's options and checked once.

import CommandLineKit
import JSON
import JobStore
import LeaseStore
import Migrations
import Postgres
import Redis
import RouteStore
import ServiceKit
import TwinStore

struct StoreSettings: Sendable {
    var databaseURL: String
    var redisURL: String
    var redisPrefix = "muster"
    var connections: Int
    var preparedStatements = true
}

struct Stores: Sendable {
    let pool: PostgresPool
    let redis: RedisClient
    let jobs: JobStore
    let leases: LeaseStore
    let routes: RouteStore
    let twins: TwinStore
    let clock: any ServiceClock = SystemClock()
    let random: any RandomSource = SystemRandom()
    let log: Log
    let metrics: Metrics

    /// Opens no connection yet.
    init(_ settings: StoreSettings, log: Log, metrics: Metrics = Metrics()) throws {
        pool = PostgresPool(
            PostgresConfiguration(
                connectionString: settings.databaseURL, maximumConnections: settings.connections,
                preparedStatements: settings.preparedStatements),
            clock: clock, random: random, log: log, metrics: metrics)
        redis = try RedisClient(
            RedisConfiguration(url: settings.redisURL), clock: clock, random: random, log: log, metrics: metrics)
        jobs = JobStore(pool: pool)
        leases = LeaseStore(redis: redis, prefix: settings.redisPrefix)
        routes = RouteStore(redis: redis, prefix: settings.redisPrefix)
        twins = TwinStore(pool)
        self.log = log
        self.metrics = metrics
    }

    func close() async {
        await redis.close()
        await pool.close()
    }

    /// Asks both stores the questions whose wrong answers would hurt later, and logs what they are.
    func check() async throws {
        let status = try await Migrator(pool).status()
        guard status.isCurrent else { throw StartError.schemaIsOld(pending: status.pending.map(\.name)) }
        let policy = try await redis.command(["CONFIG", "GET", "maxmemory-policy"])
        if case .array(let reply) = policy, reply.count == 2, let name = reply[1].text, name != "noeviction" {
            log.warning(
                "redis_may_evict",
                [
                    ("maxmemory_policy", .string(name)),
                    ("advice", "set maxmemory-policy to noeviction: an evicted lease costs a takeover"),
                ])
        }
    }

    /// Readiness: both stores answer and the schema fits.
    var readiness: [ReadinessProbe] {
        [
            ReadinessProbe(name: "postgresql") {
                guard try await Migrator(pool).status().isCurrent else { throw StartError.schemaIsOld(pending: []) }
            },
            ReadinessProbe(name: "redis") { _ = try await redis.command(["PING"]) },
        ]
    }
}

struct ReadinessProbe: Sendable {
    let name: String
    let check: @Sendable () async throws -> Void
}

enum StartError: Error, CustomStringConvertible {
    case schemaIsOld(pending: [String])
    case plainTextNotAllowed(String, flag: String)
    case badAddress(String, option: String)
    case keyWithoutCertificate
    case gateway(String)

    var exitCode: ExitCode {
        switch self {
        case .schemaIsOld: .conflict
        case .plainTextNotAllowed, .badAddress, .keyWithoutCertificate, .gateway: .usage
        }
    }

    var description: String {
        switch self {
        case .schemaIsOld(let pending):
            "The database's schema is older than this binary; run 'muster migrate' first (pending: "
                + pending.joined(separator: ", ") + ")."
        case .plainTextNotAllowed(let address, let flag):
            "\(address) is not a loopback address: give --tls-cert and --tls-key, or allow plain text by name with "
                + "--\(flag) (behind a proxy that speaks TLS)."
        case .badAddress(let text, let option):
            "--\(option): '\(text)' is no address; give host:port, [IPv6]:port or unix:/path."
        case .keyWithoutCertificate: "--tls-cert and --tls-key go together."
        case .gateway(let text): text
        }
    }
}
