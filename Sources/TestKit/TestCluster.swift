// One private PostgreSQL and Redis for all tests of a process: started by the first test that asks, ended by the kernel
// with the process, also when it crashes (see DevCluster).
//
// Durability is off here, because tests kill processes but not the machine.

package import DevCluster
private import Foundation
private import Migrations
private import Postgres
private import ServiceKit
private import Synchronization

package enum TestCluster {
    private static let template = "muster_template"
    private static let started = Mutex<Task<DevCluster.Addresses, any Error>?>(nil)
    private static let counter = Mutex(0)

    /// Addresses of the running cluster; its database `muster` is empty and nobody's.
    package static func addresses() async throws -> DevCluster.Addresses {
        let task = started.withLock { started in
            if let started { return started }
            let task = Task { try await start() }
            started = task
            return task
        }
        return try await task.value
    }

    /// A cluster of the test's own, to stop, kill and restart. The caller stops it.
    package static func own(isEphemeral: Bool = true, directory: String? = nil) -> DevCluster {
        DevCluster(
            DevCluster.Options(
                directory: directory ?? newDirectory(), isEphemeral: isEphemeral,
                postgresSettings: ["fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"]),
            environment: ProcessInfo.processInfo.environment)
    }

    /// A path below /tmp, where every user may go and paths are short enough for sockets.
    package static func newDirectory() -> String {
        "/tmp/muster-test-\(ProcessInfo.processInfo.processIdentifier)-\(next())"
    }

    /// A number that no other caller in this process gets.
    package static func next() -> Int {
        counter.withLock { counter in
            counter += 1
            return counter
        }
    }

    /// Creates a database; `isMigrated` with the product's schema. Returns its conninfo.
    static func createDatabase(isMigrated: Bool) async throws -> (name: String, connectionString: String) {
        let addresses = try await addresses()
        let name = "test_\(next())"
        try await administer(addresses, "CREATE DATABASE \(name) TEMPLATE \(isMigrated ? template : "template0")")
        return (name, conninfo(addresses, name))
    }

    /// Copies a database as a crash at this moment would leave it, also while it is in use: its connections are ended, and
    /// come back afterwards. Returns the copy's name.
    package static func copyDatabase(_ source: String) async throws -> String {
        let addresses = try await addresses()
        let name = "test_\(next())"
        try await administer(addresses, "ALTER DATABASE \(source) ALLOW_CONNECTIONS false")
        do {
            // CREATE DATABASE itself waits some seconds for the ended connections to be gone.
            try await administer(
                addresses,
                // Who waits for a lock first: its holder's end would let it commit.
                """
                DO $$ BEGIN
                    PERFORM pg_terminate_backend(pid)
                    FROM (SELECT pid FROM pg_stat_activity WHERE datname = '\(source)'
                          ORDER BY wait_event_type IS DISTINCT FROM 'Lock' OFFSET 0) AS ends;
                END $$
                """
            )
            try await administer(addresses, "CREATE DATABASE \(name) TEMPLATE \(source)")
        } catch {
            try await administer(addresses, "ALTER DATABASE \(source) ALLOW_CONNECTIONS true")
            throw error
        }
        try await administer(addresses, "ALTER DATABASE \(source) ALLOW_CONNECTIONS true")
        return name
    }

    static func dropDatabase(_ name: String) async throws {
        try await administer(try await addresses(), "DROP DATABASE \(name) WITH (FORCE)")
    }

    private static func start() async throws -> DevCluster.Addresses {
        let cluster = own()
        let addresses = try await cluster.start()
        // Kept for the life of the process: the cluster ends with it.
        keeper.withLock { $0 = cluster }
        try await administer(addresses, "CREATE DATABASE \(template) TEMPLATE template0")
        let pool = pool(conninfo(addresses, template))
        try await Migrator(pool).apply()
        await pool.close()
        return addresses
    }

    private static let keeper = Mutex<DevCluster?>(nil)

    private static func administer(_ addresses: DevCluster.Addresses, _ text: String) async throws {
        let pool = pool(addresses.postgres)
        do {
            try await pool.run(Statement(name: "administer", text: text, isPrepared: false))
        } catch {
            await pool.close()
            throw error
        }
        await pool.close()
    }

    private static func pool(_ connectionString: String) -> PostgresPool {
        PostgresPool(
            PostgresConfiguration(connectionString: connectionString, maximumConnections: 1), clock: SystemClock(),
            random: SystemRandom(), log: .silent, metrics: Metrics())
    }

    static func conninfo(_ addresses: DevCluster.Addresses, _ database: String) -> String {
        addresses.postgres.replacingOccurrences(of: "dbname=muster", with: "dbname=\(database)")
    }
}
