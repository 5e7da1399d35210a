// What is left to do, decided from what the binary knows and what the database has. Pure.

package struct AppliedMigration: Sendable, Hashable {
    package let version: Int
    package let name: String
    package let checksum: String
    /// Microseconds since 1970.
    package let appliedAt: Int64

    package init(version: Int, name: String, checksum: String, appliedAt: Int64) {
        self.version = version
        self.name = name
        self.checksum = checksum
        self.appliedAt = appliedAt
    }
}

/// Why a schema and a binary do not fit. Nothing was changed.
package enum MigrationError: Error, Equatable, CustomStringConvertible {
    /// The database was migrated by a newer release.
    case newerSchema(version: Int, known: Int)
    /// An applied file was edited, or this binary is of another line of development.
    case changed(name: String, appliedName: String)
    /// The database has a migration that this binary does not know, between others that it does.
    case unknown(name: String)
    /// A later migration was applied before this one.
    case outOfOrder(name: String, applied: Int)

    package var description: String {
        switch self {
        case .newerSchema(let version, let known):
            "the database's schema is at version \(version), newer than this release knows (\(known)); "
                + "use the release that migrated it, or a newer one"
        case .changed(let name, let appliedName):
            "migration \(name) is not the one that was applied (\(appliedName)): its checksum differs; "
                + "applied migrations must not change"
        case .unknown(let name):
            "the database has the migration \(name), which this release does not know"
        case .outOfOrder(let name, let applied):
            "migration \(name) is not applied, but version \(applied) after it is"
        }
    }
}

enum MigrationPlan {
    /// The migrations still to apply, in order.
    static func pending(known: [Migration], applied: [AppliedMigration]) throws(MigrationError) -> [Migration] {
        let newest = known.last?.version ?? 0
        if let newer = applied.map(\.version).max(), newer > newest {
            throw .newerSchema(version: newer, known: newest)
        }
        for one in applied {
            guard let migration = known.first(where: { $0.version == one.version }) else {
                throw .unknown(name: one.name)
            }
            guard migration.checksum == one.checksum, migration.name == one.name else {
                throw .changed(name: migration.name, appliedName: one.name)
            }
        }
        let last = applied.map(\.version).max() ?? 0
        let pending = known.filter { migration in !applied.contains { $0.version == migration.version } }
        if let early = pending.first, early.version < last { throw .outOfOrder(name: early.name, applied: last) }
        return pending
    }
}
