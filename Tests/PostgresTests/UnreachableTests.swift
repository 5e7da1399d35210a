// Goal: who waits for a server that is not there learns it at once, and waits no longer than the configuration says.

import Postgres
import ServiceKit
import TestKit
import Testing

@Suite struct UnreachableTests {
    /// `muster migrate` gives its statements an hour, and waited for that long in silence.
    @Test func aTransactionWaitsForAServerOnlyAsLongAsConfigured() async throws {
        let log = TestLog()
        let clock = SystemClock()
        let pool = PostgresPool(
            PostgresConfiguration(
                connectionString: "host=127.0.0.1 port=1 dbname=none", maximumConnections: 1,
                statementTimeout: .seconds(1)), clock: clock, random: SystemRandom(), log: log.log,
            metrics: Metrics())
        let start = clock.now
        let error = await #expect(throws: StoreError.self) {
            try await pool.transaction(timeout: .seconds(3600)) { _ in }
        }
        #expect(error?.code == .unavailable && error?.effect == StoreError.Effect.none)
        #expect(clock.now - start < .seconds(30))
        #expect(log.count("postgres_unreachable") == 1)
        await pool.close()
    }
}
