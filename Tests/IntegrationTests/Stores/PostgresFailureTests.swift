// Connections that break, servers that hang or restart, pools that are full: what callers hear, and that it goes on.

import DevCluster
import Glibc
import Postgres
import ServiceKit
import TestKit
import Testing

@Suite struct PostgresFailureTests {
    private static let one = Statement(name: "one", text: "SELECT 1 AS n")
    private static let pid = Statement(name: "pid", text: "SELECT pg_backend_pid() AS pid")
    private static let sleep = Statement(name: "sleep", text: "SELECT pg_sleep(60)")
    private static let sleeping = Statement(
        name: "sleeping",
        text: """
            SELECT pid FROM pg_stat_activity
            WHERE wait_event = 'PgSleep' AND datname = current_database()
            """)
    private static let terminate = Statement(name: "terminate", text: "SELECT pg_terminate_backend($1::int)")

    private func sleeperPid(_ pool: PostgresPool) async throws -> Int64 {
        var pid: Int64?
        try await eventually("the sleeper runs") {
            pid = try await pool.run(Self.sleeping).first?.get("pid")
            return pid != nil
        }
        return try #require(pid)
    }

    private func outcome(_ work: Task<Rows, any Error>) async throws -> StoreError {
        try await #require(throws: StoreError.self) { try await work.value }
    }

    @Test func aTerminatedBackendIsClassifiedAndReplaced() async throws {
        try await withWorld(isMigrated: false) { world in
            let pool = world.anotherPool(maximumConnections: 1)
            let work = Task { try await pool.run(Self.sleep) }
            try await world.pool.run(Self.terminate, [.integer(try await sleeperPid(world.pool))])
            let error = try await outcome(work)
            #expect(error.code == .unavailable)
            #expect(error.effect == StoreError.Effect.none)
            #expect(error.serverCode == "57P01")
            #expect(try await pool.run(Self.one).only?.get("n") == 1)
            await pool.close()
        }
    }

    @Test func aConnectionThatDiedWhileIdleIsReplacedUnnoticed() async throws {
        try await withWorld(isMigrated: false) { world in
            let pool = world.anotherPool(maximumConnections: 1)
            for _ in 0..<5 {
                let pid: Int64 = try #require(try await pool.run(Self.pid).only).get("pid")
                try await world.pool.run(Self.terminate, [.integer(pid)])
                let gone = Statement(name: "gone", text: "SELECT 1 FROM pg_stat_activity WHERE pid = $1::int")
                try await eventually("the backend is gone") { try await world.pool.run(gone, [.integer(pid)]).isEmpty }
                #expect(try await pool.run(Self.one).only?.get("n") == 1)
            }
            await pool.close()
        }
    }

    @Test func aTimeoutCancelsTheStatementAtTheServer() async throws {
        try await withWorld(isMigrated: false) { world in
            let error = await #expect(throws: StoreError.self) {
                try await world.pool.run(Self.sleep, timeout: .milliseconds(300))
            }
            #expect(error?.code == .timeout)
            // The server said that it was cancelled, so it did nothing.
            #expect(error?.effect == StoreError.Effect.none)
            try await eventually("nobody sleeps") { try await world.pool.run(Self.sleeping).isEmpty }
        }
    }

    @Test func aHangingServerLeavesTheEffectOpen() async throws {
        try await withWorld(isMigrated: false) { world in
            let pool = world.anotherPool(maximumConnections: 1)
            let pid: Int32 = try #require(try await pool.run(Self.pid).only).get("pid")
            // Once before, so that it is prepared: preparing alone would have no effect.
            try await pool.run(Self.one)
            #expect(kill(pid, SIGSTOP) == 0)
            defer { kill(pid, SIGCONT) }
            let start = world.clock.now
            let error = await #expect(throws: StoreError.self) {
                try await pool.run(Self.one, timeout: .milliseconds(200))
            }
            #expect(error?.code == .timeout)
            #expect(error?.effect == .unknown)
            #expect(world.clock.now - start < .seconds(5))
            #expect(try await pool.run(Self.one).only?.get("n") == 1)
            await pool.close()
        }
    }

    @Test func aTaskIsCancelledBeforeItsRequestLeavesAndNotAfter() async throws {
        try await withWorld(isMigrated: false) { world in
            let pool = world.anotherPool(maximumConnections: 1)
            let short = Statement(name: "short", text: "SELECT pg_sleep(2), 5 AS n")
            let sent = Task { try await pool.run(short) }
            _ = try await sleeperPid(world.pool)
            // The only connection is in use: this one waits.
            let waiting = Task { try await pool.run(Self.one) }
            waiting.cancel()
            let error = try await outcome(waiting)
            #expect(error.code == .cancelled)
            #expect(error.effect == StoreError.Effect.none)
            sent.cancel()
            #expect(try await sent.value.only?.get("n") == 5)
            await pool.close()
        }
    }

    @Test func aFullPoolRefusesOrTimesOut() async throws {
        try await withWorld(isMigrated: false) { world in
            let pool = PostgresPool(
                PostgresConfiguration(
                    connectionString: world.postgresConnectionString, maximumConnections: 1, maximumWaiters: 1),
                clock: world.clock, random: world.random, log: .silent, metrics: world.metrics)
            let holder = Task { try await pool.run(Self.sleep) }
            let pid = try await sleeperPid(world.pool)
            let callers = (0..<3).map { _ in Task { try await pool.run(Self.one, timeout: .seconds(1)) } }
            var codes: [StoreError.Code] = []
            for caller in callers {
                let error = try await outcome(caller)
                #expect(error.effect == StoreError.Effect.none)
                codes.append(error.code)
            }
            // One has the only place to wait and waits in vain; the others are refused.
            #expect(codes.count { $0 == .timeout } == 1)
            #expect(codes.count { $0 == .unavailable } == 2)
            try await world.pool.run(Self.terminate, [.integer(pid)])
            _ = try await outcome(holder)
            #expect(try await pool.run(Self.one).only?.get("n") == 1)
            await pool.close()
            await pool.close()
            let closed = await #expect(throws: StoreError.self) { try await pool.run(Self.one) }
            #expect(closed?.code == .unavailable)
        }
    }

    @Test func wrongSetUpsAreFatalAtOnce() async throws {
        try await withWorld(isMigrated: false) { world in
            for (string, state) in [
                ("\(world.postgresConnectionString) dbname=missing", "3D000"),
                ("\(world.postgresConnectionString) user=nobody_here", "28000"),
            ] {
                let pool = PostgresPool(
                    PostgresConfiguration(connectionString: string), clock: world.clock, random: world.random,
                    log: .silent, metrics: world.metrics)
                let error = await #expect(throws: StoreError.self) { try await pool.run(Self.one) }
                #expect(error?.code == .fatal)
                #expect(error?.serverCode == state)
                await pool.close()
            }
            let syntax = await #expect(throws: StoreError.self) {
                try await world.pool.run(Statement(name: "bad", text: "SELEC 1"))
            }
            #expect(syntax?.code == .fatal)
            #expect(syntax?.description == "bad: fatal [42601]")
        }
    }

    @Test func preparedStatementsSurviveSchemaChangesAndForgetfulServers() async throws {
        try await withWorld(isMigrated: false) { world in
            let pool = world.anotherPool(maximumConnections: 1)
            try await pool.run(Statement(name: "t", text: "CREATE TABLE t AS SELECT 1 AS n"))
            let read = Statement(name: "read", text: "SELECT * FROM t")
            for _ in 0..<3 { #expect(try await pool.run(read).only?.get("n") == 1) }
            try await pool.run(Statement(name: "alter", text: "ALTER TABLE t ALTER n TYPE text, ADD m int DEFAULT 2"))
            #expect(try await pool.run(read).only?.get("m") == 2)
            try await pool.run(Statement(name: "forget", text: "DEALLOCATE ALL", isPrepared: false))
            #expect(try await pool.run(read).only?.get("m") == 2)
            try await pool.run(Statement(name: "forget", text: "DEALLOCATE ALL", isPrepared: false))
            #expect(try await pool.runAtomically([(read, []), (Self.one, [])]).count == 2)
            // More texts than a connection keeps.
            for index in 0..<300 {
                let row = try await pool.run(Statement(name: "many", text: "SELECT \(index) AS n")).only
                #expect(try row?.get("n") == index)
            }
            await pool.close()
        }
    }

    @Test func aServerThatDiesAndComesBack() async throws {
        let cluster = TestCluster.own()
        let addresses = try await cluster.start()
        let metrics = Metrics()
        let pool = PostgresPool(
            PostgresConfiguration(connectionString: addresses.postgres, maximumConnections: 2), clock: SystemClock(),
            random: SystemRandom(), log: .silent, metrics: metrics)
        let work = Task { try await pool.run(Self.sleep) }
        _ = try await sleeperPid(pool)
        await cluster.end(.postgres, inOrder: false)
        let error = try await outcome(work)
        #expect(error.code == .unavailable)
        #expect(error.effect == .unknown)
        // While it is away, calls wait for it up to their deadline …
        let refused = await #expect(throws: StoreError.self) {
            try await pool.run(Self.one, timeout: .milliseconds(100))
        }
        #expect(refused?.code == .unavailable || refused?.code == .timeout)
        #expect(refused?.effect == StoreError.Effect.none)
        // … and succeed when it comes in time.
        async let patient = pool.run(Self.one)
        try await cluster.restart(.postgres)
        #expect(try await patient.only?.get("n") == 1)
        #expect(
            metrics.value("muster_postgres_errors_total", labels: [("code", "unavailable"), ("effect", "unknown")]) == 1
        )
        await pool.close()
        await cluster.stop()
    }
}
