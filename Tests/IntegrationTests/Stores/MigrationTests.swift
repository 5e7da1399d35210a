// The migrator on real databases: order, repeats, two at once, refusals, and the dump that stands in the repository.

import Foundation
import Migrations
import Postgres
import ServiceKit
import TestKit
import Testing

@Suite struct MigrationTests {
    private static let first = Migration(
        name: "0001_a", text: Array("CREATE TABLE a (x int); INSERT INTO a VALUES (1)".utf8))
    private static let second = Migration(name: "0002_b", text: Array("CREATE TABLE b (x int)".utf8))

    @Test func appliesAllOnceAndReportsIt() async throws {
        try await withWorld(isMigrated: false) { world in
            let migrator = Migrator(world.pool)
            #expect(try await migrator.status().pending == Migration.all)
            #expect(try await migrator.apply(dryRun: true) == Migration.all)
            #expect(try await migrator.status().applied.isEmpty)
            var reported: [Migration] = []
            let done = try await migrator.apply { reported.append($0) }
            #expect(done == Migration.all)
            #expect(reported == Migration.all)
            #expect(try await migrator.apply().isEmpty)
            #expect(try await migrator.status().isCurrent)
        }
    }

    @Test func severalAtOnceApplyEachOnce() async throws {
        try await withWorld(isMigrated: false) { world in
            let migrator = Migrator(world.pool)
            let counts = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 { group.addTask { try await migrator.apply().count } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(counts.reduce(0, +) == Migration.all.count)
        }
    }

    @Test func aFailingMigrationLeavesNothing() async throws {
        try await withWorld(isMigrated: false) { world in
            let broken = Migration(name: "0002_b", text: Array("CREATE TABLE b (x int); SELECT 1/0".utf8))
            let error = await #expect(throws: StoreError.self) {
                try await Migrator(world.pool, known: [Self.first, broken]).apply()
            }
            #expect(error?.operation == "0002_b")
            let status = try await Migrator(world.pool, known: [Self.first, Self.second]).status()
            #expect(status.applied.map(\.name) == ["0001_a"])
            #expect(try await Migrator(world.pool, known: [Self.first, Self.second]).apply() == [Self.second])
        }
    }

    @Test func refusesWhatDoesNotFit() async throws {
        try await withWorld(isMigrated: false) { world in
            try await Migrator(world.pool, known: [Self.first, Self.second]).apply()
            await #expect(throws: MigrationError.newerSchema(version: 2, known: 1)) {
                try await Migrator(world.pool, known: [Self.first]).apply()
            }
            let edited = Migration(name: "0001_a", text: Array("CREATE TABLE a (x bigint)".utf8))
            await #expect(throws: MigrationError.changed(name: "0001_a", appliedName: "0001_a")) {
                try await Migrator(world.pool, known: [edited, Self.second]).status()
            }
            let third = Migration(name: "0003_c", text: [])
            await #expect(throws: MigrationError.unknown(name: "0001_a")) {
                try await Migrator(world.pool, known: [Self.second, third]).apply()
            }
        }
    }

    @Test func theListIsThatOfTheFolder() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: ExpectedSchemaTests.folder)
        let names = files.filter { $0.hasSuffix(".sql") && $0.first?.isNumber == true }.map { $0.dropLast(4) }
        #expect(Migration.all.map(\.name) == names.sorted().map(String.init))
    }
}

/// Method: dump a freshly migrated database, drop what differs from run to run, compare. MUSTER_UPDATE_EXPECTED=1 writes
/// the file instead. Dumps of different major versions differ in form, so only the file's own version is compared.
@Suite struct ExpectedSchemaTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "migrations").path()

    @Test func theDumpIsThatOfTheRepository() async throws {
        let file = URL(filePath: Self.folder + "/expected_schema.sql")
        let dump = try await withWorld { world in
            let text = Statement(
                name: "version", text: "SELECT current_setting('server_version_num')::int / 10000 AS v")
            let version: Int = try #require(try await world.pool.run(text).only).get("v")
            return "-- pg_dump of PostgreSQL \(version) after all migrations; see README.md, rule 6.\n\n"
                + (try Self.dump(world.postgresConnectionString))
        }
        if ProcessInfo.processInfo.environment["MUSTER_UPDATE_EXPECTED"] == "1" {
            try Data(dump.utf8).write(to: file)
            return
        }
        let expected = try String(contentsOf: file, encoding: .utf8)
        guard expected.prefix(while: { $0 != "\n" }) == dump.prefix(while: { $0 != "\n" }) else { return }
        let difference = dump.split(separator: "\n").difference(from: expected.split(separator: "\n"))
        #expect(difference.isEmpty, "run with MUSTER_UPDATE_EXPECTED=1 and review the change")
    }

    private static func dump(_ connectionString: String) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--exclude-table=schema_migrations",
            connectionString,
        ]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "pg_dump failed")
        var lines: [Substring] = []
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
            // Comments name versions, \restrict has a random key, SET and set_config are of the dump, not of the schema.
            let isNoise = ["--", "\\", "SET ", "SELECT pg_catalog.set_config"].contains { line.hasPrefix($0) }
            if isNoise || (line.isEmpty && lines.last?.isEmpty ?? true) { continue }
            lines.append(line)
        }
        return lines.joined(separator: "\n")
    }
}
