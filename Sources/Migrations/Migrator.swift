// Applies migrations/*.sql: forward only, in order, each in one transaction together with its row in schema_migrations.
//
// Any number may run at once: each transaction takes an advisory lock first and then looks at what is there. A migrator
// that dies leaves the schema between two migrations, and the next one goes on.

package import Postgres
import ServiceKit

package struct Migrator: Sendable {
    /// Long enough for an index on a large table, or for the wait while another migrator works.
    private static let timeout: Duration = .seconds(3600)

    private let pool: PostgresPool
    private let known: [Migration]

    package init(_ pool: PostgresPool) { self.init(pool, known: Migration.all) }

    /// With other migrations than the product's own, for tests.
    package init(_ pool: PostgresPool, known: [Migration]) {
        self.pool = pool
        self.known = known
    }

    package struct Status: Sendable {
        package let applied: [AppliedMigration]
        package let pending: [Migration]
        package var isCurrent: Bool { pending.isEmpty }
    }

    /// What is applied and what is not. Throws MigrationError when schema and binary do not fit. Changes nothing.
    package func status() async throws -> Status {
        let exists = try await pool.run(.find).only?.get("exists", as: Bool.self) ?? false
        let applied = exists ? try Self.applied(try await pool.run(.list)) : []
        return Status(applied: applied, pending: try MigrationPlan.pending(known: known, applied: applied))
    }

    /// Applies what is pending and returns it. With `dryRun` it only returns it. `report` hears of each migration as soon
    /// as it is committed.
    @discardableResult
    package func apply(dryRun: Bool = false, report: (Migration) -> Void = { _ in }) async throws -> [Migration] {
        if dryRun { return try await status().pending }
        var done: [Migration] = []
        while let migration = try await applyNext() {
            report(migration)
            done.append(migration)
        }
        return done
    }

    /// One transaction: the next pending migration, or nil when there is none.
    private func applyNext() async throws -> Migration? {
        try await pool.transaction(timeout: Self.timeout) { transaction in
            _ = try await transaction.run(.lock)
            _ = try await transaction.run(.create)
            let applied = try Self.applied(try await transaction.run(.list))
            guard let next = try MigrationPlan.pending(known: known, applied: applied).first else { return nil }
            _ = try await transaction.run(
                .record, [.integer(Int64(next.version)), .text(next.name), .text(next.checksum)])
            try await transaction.runScript(next.text, name: next.name)
            return next
        }
    }

    private static func applied(_ rows: Rows) throws(StoreError) -> [AppliedMigration] {
        var applied: [AppliedMigration] = []
        for row in rows {
            applied.append(
                AppliedMigration(
                    version: try row.get("version"), name: try row.get("name"), checksum: try row.get("checksum"),
                    appliedAt: try row.get("applied_at")))
        }
        return applied
    }
}

// Prepared never: the table appears and changes while a migrator runs, and each is used a few times only.
extension Statement {
    private static func once(_ name: String, _ resource: [UInt8]) -> Statement {
        Statement(name: name, text: String(decoding: resource, as: UTF8.self), isPrepared: false)
    }

    fileprivate static let create = once("create_schema_migrations", PackageResources.create_schema_migrations_sql)
    fileprivate static let find = once("find_schema_migrations", PackageResources.find_schema_migrations_sql)
    fileprivate static let list = once("list_schema_migrations", PackageResources.list_schema_migrations_sql)
    fileprivate static let lock = once("lock_schema_migrations", PackageResources.lock_schema_migrations_sql)
    fileprivate static let record = once("record_schema_migration", PackageResources.record_schema_migration_sql)
}
