// Connection strings are libpq's business; here stands what Muster adds: defaults, DATABASE_URL, and masking.

import ServiceKit
import Testing

@testable import Postgres

@Suite struct ConfigurationTests {
    private func parts(_ text: String) throws -> [String: String] {
        let parts = try PostgresConfiguration(connectionString: text).visibleParts()
        return Dictionary(uniqueKeysWithValues: parts.map { ($0.name, $0.value) })
    }

    @Test func urlWithEverything() throws {
        let parts = try parts("postgresql://ann:s%40crt@db.example:5433/fleet?sslmode=require")
        #expect(parts["host"] == "db.example")
        #expect(parts["port"] == "5433")
        #expect(parts["user"] == "ann")
        #expect(parts["password"] == "***")
        #expect(parts["dbname"] == "fleet")
        #expect(parts["sslmode"] == "require")
    }

    @Test func conninfoWithSocketDirectory() throws {
        let parts = try parts("host=/run/sockets dbname=fleet password=hidden-word")
        #expect(parts["host"] == "/run/sockets")
        #expect(!parts.values.contains { $0.contains("hidden") })
    }

    @Test func emptyMeansTheEnvironment() throws {
        #expect(try parts("")["dbname"] == nil)
        #expect(PostgresConfiguration.connectionString(environment: [:]) == "")
        #expect(
            PostgresConfiguration.connectionString(environment: ["DATABASE_URL": "postgres://h/d"])
                == "postgres://h/d")
    }

    @Test(arguments: ["postgresql://host/db?hots=1", "hots=localhost", "host=a password='open"])
    func malformed(_ text: String) {
        let error = #expect(throws: StoreError.self) { try self.parts(text) }
        #expect(error?.code == .fatal)
        #expect(error?.effect == StoreError.Effect.none)
    }
}
