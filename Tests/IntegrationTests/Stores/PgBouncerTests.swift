// The client behind PgBouncer in transaction mode, where every transaction may land on another server connection.
//
// Method: PgBouncer with two server connections in front of the test's database, prepared statements off, and many
// callers at once. Without pgbouncer on the machine the suite is skipped.

import Foundation
import JSON
import Postgres
import ServiceKit
import TestKit
import Testing

@testable import DevCluster

@Suite(.enabled(if: PgBouncer.program != nil, "pgbouncer is not installed"))
struct PgBouncerTests {
    private static let insert = Statement(name: "insert", text: "INSERT INTO t VALUES ($1)")
    private static let count = Statement(name: "count", text: "SELECT count(*) AS n FROM t")

    @Test func everyKindOfCallWorks() async throws {
        try await withWorld(isMigrated: false) { world in
            try await world.pool.run(Statement(name: "t", text: "CREATE TABLE t (n bigint PRIMARY KEY)"))
            let bouncer = try PgBouncer(serverConninfo: world.postgresConnectionString)
            let pool = PostgresPool(
                PostgresConfiguration(
                    connectionString: bouncer.conninfo, maximumConnections: 8, preparedStatements: false),
                clock: world.clock, random: world.random, log: .silent, metrics: world.metrics)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<Int64(100) {
                    group.addTask {
                        try await pool.run(Self.insert, [.integer(index * 10)])
                        try await pool.runAtomically([
                            (Self.insert, [.integer(index * 10 + 1)]), (Self.insert, [.integer(index * 10 + 2)]),
                        ])
                        try await pool.transaction { transaction in
                            _ = try await transaction.run(Self.insert, [.integer(index * 10 + 3)])
                            _ = try await transaction.run(Self.insert, [.integer(index * 10 + 4)])
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await pool.run(Self.count).only?.get("n") == 500)
            let copy = Statement(name: "copy", text: "COPY t FROM STDIN")
            #expect(try await pool.copyIn(copy, rows: (5000..<6000).map { CopyText.line([.integer($0)]) }) == 1000)
            let late = await #expect(throws: StoreError.self) {
                try await pool.run(Statement(name: "sleep", text: "SELECT pg_sleep(60)"), timeout: .milliseconds(300))
            }
            #expect(late?.code == .timeout)
            let duplicate = await #expect(throws: StoreError.self) {
                try await pool.runAtomically([(Self.insert, [7]), (Self.insert, [0])])
            }
            #expect(duplicate?.code == .conflict)
            #expect(try await pool.run(Self.count).only?.get("n") == 1500)
            await pool.close()
            await bouncer.stop()
        }
    }

    @Test func aServerConnectionThatDiesUnderAStatement() async throws {
        try await withWorld(isMigrated: false) { world in
            let bouncer = try PgBouncer(serverConninfo: world.postgresConnectionString)
            let pool = PostgresPool(
                PostgresConfiguration(connectionString: bouncer.conninfo, preparedStatements: false),
                clock: world.clock, random: world.random, log: .silent, metrics: world.metrics)
            let work = Task { try await pool.run(Statement(name: "sleep", text: "SELECT pg_sleep(61)")) }
            let terminate = Statement(
                name: "terminate",
                text: """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep(61)' AND state = 'active'
                    """)
            try await eventually("the sleeper is ended") { try await !world.pool.run(terminate).isEmpty }
            let error = try await #require(throws: StoreError.self) { try await work.value }
            #expect(error.code == .unavailable)
            #expect(try await pool.run(Statement(name: "one", text: "SELECT 1 AS n")).only?.get("n") == 1)
            await pool.close()
            await bouncer.stop()
        }
    }
}

/// A PgBouncer of its own on a Unix socket.
private struct PgBouncer {
    let conninfo: String
    private let process: SupervisedProcess
    private let directory: String

    static var program: String? {
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].first { access($0, X_OK) == 0 }
    }

    init(serverConninfo: String) throws {
        let installation = try Installation.find(environment: ProcessInfo.processInfo.environment)
        directory = TestCluster.newDirectory()
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let file = "\(directory)/pgbouncer.ini"
        let server = serverConninfo.split(separator: " ").filter { !$0.hasPrefix("dbname=") }.joined(separator: " ")
        try Data(
            """
            [databases]
            * = \(server)
            [pgbouncer]
            listen_addr =
            listen_port = 6432
            unix_socket_dir = \(directory)
            auth_type = any
            pool_mode = transaction
            default_pool_size = 2
            """.utf8
        ).write(to: URL(filePath: file))
        if let user = installation.user { chown(directory, user.id, user.group) }
        let database = try #require(serverConninfo.split(separator: " ").first { $0.hasPrefix("dbname=") })
        conninfo = "host=\(directory) port=6432 user=muster \(database)"
        process = try SupervisedProcess(
            command: installation.command([try #require(Self.program), file]), log: "\(directory)/log",
            endSignal: "INT", removing: "", environment: ["PATH=/usr/bin:/bin"])
    }

    func stop() async {
        await process.stop(grace: .seconds(10), clock: SystemClock())
        do {
            try FileManager.default.removeItem(atPath: directory)
        } catch {
            Issue.record("\(directory) cannot be removed: \(error)")
        }
    }
}
