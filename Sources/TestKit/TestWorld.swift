// The world of one test: a database of its own (a copy of a migrated one), a Redis database of its own, clients for both.

package import DevCluster
private import Migrations
package import Postgres
package import Redis
package import ServiceKit

package struct TestWorld: Sendable {
    package let pool: PostgresPool
    package let redis: RedisClient
    /// For processes that the test starts.
    package let postgresConnectionString: String
    package let database: String
    package let redisURL: String
    package let clock: any ServiceClock
    package let random: any RandomSource
    package let metrics: Metrics
    package let log: TestLog

    /// Another pool on the same database, as another process would have it. The caller closes it.
    package func anotherPool(
        maximumConnections: Int = 4, preparedStatements: Bool = true, statementTimeout: Duration = .seconds(30)
    ) -> PostgresPool {
        PostgresPool(
            PostgresConfiguration(
                connectionString: postgresConnectionString, maximumConnections: maximumConnections,
                preparedStatements: preparedStatements, statementTimeout: statementTimeout),
            clock: clock, random: random, log: log.log, metrics: metrics)
    }

    /// Another client on the same Redis database. The caller closes it.
    package func anotherRedis() throws(StoreError) -> RedisClient {
        try RedisClient(
            RedisConfiguration(url: redisURL), clock: clock, random: random, log: log.log, metrics: metrics)
    }
}

/// Runs `body` in a fresh world and removes it afterwards. A pool connection that the test leaked shows as a hang here.
/// With `copy`, made by `TestCluster.copyDatabase`, it is the world of that database, and on the same Redis if wanted.
package func withWorld<Value: Sendable>(
    isMigrated: Bool = true, copy: String? = nil, redis: String? = nil, maximumConnections: Int = 8,
    clock: any ServiceClock = SystemClock(), random: any RandomSource = SystemRandom(),
    _ body: (TestWorld) async throws -> Value
) async throws -> Value {
    let addresses = try await TestCluster.addresses()
    let database =
        if let copy {
            (name: copy, connectionString: TestCluster.conninfo(addresses, copy))
        } else {
            try await TestCluster.createDatabase(isMigrated: isMigrated)
        }
    let metrics = Metrics()
    let log = TestLog()
    let redisURL = redis ?? "\(addresses.redis)?db=\(TestCluster.next() % 1000)"
    let world = TestWorld(
        pool: PostgresPool(
            PostgresConfiguration(
                connectionString: database.connectionString, maximumConnections: maximumConnections),
            clock: clock, random: random, log: log.log, metrics: metrics),
        redis: try RedisClient(
            RedisConfiguration(url: redisURL), clock: clock, random: random, log: log.log, metrics: metrics),
        postgresConnectionString: database.connectionString, database: database.name, redisURL: redisURL, clock: clock,
        random: random,
        metrics: metrics, log: log)
    let result: Result<Value, any Error>
    do {
        result = .success(try await body(world))
    } catch {
        result = .failure(error)
    }
    await world.pool.close()
    await world.redis.close()
    try await TestCluster.dropDatabase(database.name)
    return try result.get()
}

/// The same on stores of the test's own, which it may stop and halt: for what would hurt other tests.
package func withOwnStores<Value: Sendable>(
    _ body: (TestWorld, DevCluster) async throws -> Value
) async throws -> Value {
    let cluster = TestCluster.own()
    let addresses = try await cluster.start()
    let (clock, random, metrics, log) = (SystemClock(), SystemRandom(), Metrics(), TestLog())
    let world = TestWorld(
        pool: PostgresPool(
            PostgresConfiguration(connectionString: addresses.postgres, maximumConnections: 8), clock: clock,
            random: random, log: log.log, metrics: metrics),
        redis: try RedisClient(
            RedisConfiguration(url: addresses.redis), clock: clock, random: random, log: log.log, metrics: metrics),
        postgresConnectionString: addresses.postgres, database: "muster", redisURL: addresses.redis, clock: clock,
        random: random, metrics: metrics, log: log)
    let result: Result<Value, any Error>
    do {
        try await Migrator(world.pool).apply()
        result = .success(try await body(world, cluster))
    } catch {
        result = .failure(error)
    }
    await world.pool.close()
    await world.redis.close()
    await cluster.stop()
    return try result.get()
}
