// What happens together: pipelines and explicit transactions.

import Postgres
import ServiceKit
import TestKit
import Testing

@Suite struct PostgresTransactionTests {
    private static let insert = Statement(name: "insert", text: "INSERT INTO t VALUES ($1)")
    private static let count = Statement(name: "count", text: "SELECT count(*) AS n FROM t")

    private func withTable(_ body: (TestWorld) async throws -> Void) async throws {
        try await withWorld(isMigrated: false) { world in
            try await world.pool.run(
                Statement(name: "t", text: "CREATE TABLE t (n int CONSTRAINT one_n PRIMARY KEY DEFERRABLE)"))
            try await body(world)
        }
    }

    private func rows(_ pool: PostgresPool) async throws -> Int {
        try #require(try await pool.run(Self.count).only).get("n")
    }

    private struct Stop: Error {}

    private func careless(_ pool: PostgresPool) async throws {
        try await pool.transaction { transaction in
            _ = try await transaction.run(Self.insert, [3])
            do throws(StoreError) {
                _ = try await transaction.run(Self.insert, [1])
                Issue.record("the second 1 was accepted")
            } catch {
                #expect(error.code == .conflict)
            }
        }
    }

    @Test(arguments: [true, false])
    func aPipelineHappensWholeOrNotAtAll(isPrepared: Bool) async throws {
        try await withTable { world in
            let pool = world.anotherPool(maximumConnections: 1, preparedStatements: isPrepared)
            let results = try await pool.runAtomically([(Self.insert, [1]), (Self.insert, [2]), (Self.count, [])])
            #expect(results.map(\.affected) == [1, 1, 1])
            #expect(try results[2].only?.get("n") == 2)
            let error = await #expect(throws: StoreError.self) {
                try await pool.runAtomically([(Self.insert, [3]), (Self.insert, [1]), (Self.insert, [4])])
            }
            #expect(error?.code == .conflict)
            #expect(error?.effect == StoreError.Effect.none)
            #expect(error?.constraint == "one_n")
            #expect(try await rows(pool) == 2)
            // The only failure is that of the commit, after every step has answered.
            let deferChecks = Statement(name: "defer", text: "SET CONSTRAINTS ALL DEFERRED")
            let late = await #expect(throws: StoreError.self) {
                try await pool.runAtomically([(deferChecks, []), (Self.insert, [1])])
            }
            #expect(late?.code == .conflict)
            #expect(late?.effect == StoreError.Effect.none)
            #expect(try await rows(pool) == 2)
            await pool.close()
        }
    }

    @Test func aTransactionCommitsOrRollsBack() async throws {
        try await withTable { world in
            let value = try await world.pool.transaction { transaction in
                _ = try await transaction.run(Self.insert, [1])
                #expect(try await rows(world.pool) == 0)
                return 7
            }
            #expect(value == 7)
            await #expect(throws: Stop.self) {
                try await world.pool.transaction { transaction in
                    _ = try await transaction.run(Self.insert, [2])
                    throw Stop()
                }
            }
            // A body that goes on after a failed statement must not believe in its commit.
            let error = await #expect(throws: StoreError.self) { try await careless(world.pool) }
            #expect(error?.operation == "commit")
            #expect(error?.effect == StoreError.Effect.none)
            #expect(try await rows(world.pool) == 1)
            #expect(
                try await world.pool.transaction { try await $0.copyIn(Self.copy, rows: [Array("8\n9\n".utf8)]) } == 2)
            #expect(try await rows(world.pool) == 3)
        }
    }

    private static let copy = Statement(name: "copy", text: "COPY t FROM STDIN")

    @Test func transactionsShareASnapshot() async throws {
        try await withTable { world in
            try await world.pool.run(Self.insert, [1])
            try await world.pool.transaction(.repeatableRead()) { first in
                let export = Statement(name: "export", text: "SELECT pg_export_snapshot() AS id")
                let id: String = try #require(try await first.run(export).only).get("id")
                try await world.pool.run(Self.insert, [2])
                try await world.pool.transaction(.repeatableRead(snapshot: id)) { second in
                    let rows = try await second.run(Self.count)
                    #expect(try rows.only?.get("n") == 1)
                }
                #expect(try await rows(world.pool) == 2)
            }
        }
    }

    @Test func serializationFailuresAndDeadlocksAreForRepeating() async throws {
        try await withTable { world in
            try await world.pool.runAtomically([(Self.insert, [1]), (Self.insert, [2])])
            let lock = Statement(name: "lock", text: "SELECT n FROM t WHERE n = $1 FOR UPDATE")
            let delete = Statement(name: "delete", text: "DELETE FROM t WHERE n = $1")
            let conflict = await #expect(throws: StoreError.self) {
                try await world.pool.transaction(.repeatableRead()) { transaction in
                    _ = try await transaction.run(Self.count)
                    try await world.pool.run(delete, [1])
                    _ = try await transaction.run(lock, [1])
                }
            }
            #expect(conflict?.code == .retry)
            try await world.pool.run(Self.insert, [1])
            let codes = try await withThrowingTaskGroup(of: StoreError.Code?.self) { group in
                let meeting = Meeting(of: 2)
                for (mine, other) in [(1, 2), (2, 1)] {
                    group.addTask {
                        do {
                            try await world.pool.transaction { transaction in
                                _ = try await transaction.run(lock, [.integer(Int64(mine))])
                                await meeting.arrive()
                                _ = try await transaction.run(lock, [.integer(Int64(other))])
                            }
                            return nil
                        } catch let error as StoreError {
                            return error.code
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(codes.contains(.retry) && codes.contains(nil))
        }
    }
}

/// Lets tasks go on together.
private actor Meeting {
    private let size: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(of size: Int) { self.size = size }

    func arrive() async {
        if waiting.count + 1 == size {
            for one in waiting { one.resume() }
            waiting = []
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }
}
