// `muster migrate`: brings the database's schema to this release.

import CommandLineKit
import JSON
import Migrations
import ServiceKit

enum MigrateCommand {
    static let spec = CommandSpec(
        name: "migrate", summary: "Bring the database's schema to this release",
        discussion: """
            Applies what is pending, each migration in one transaction, and prints it. Safe to repeat and safe when two
            run at once. Refuses a schema that is newer than this release.
            """,
        options: [
            OptionSpec(name: "dry-run", kind: .flag, help: "print the SQL of what is pending and change nothing"),
            OptionSpec(name: "json", kind: .flag, help: "print the names as JSON"),
            RoleOptions.database, RoleOptions.prepared, RoleOptions.logLevel,
        ],
        examples: ["muster migrate", "muster migrate --dry-run"])

    static let run: Action = { command, context in
        let stores = try Stores(
            StoreSettings(
                databaseURL: RoleOptions.databaseURL(command), redisURL: "redis://127.0.0.1", connections: 2,
                preparedStatements: !command.flag("no-prepared-statements")),
            log: RoleOptions.log(command, role: "migrate"))
        let isDryRun = command.flag("dry-run")
        let isJSON = command.flag("json")
        let migrations = try await Migrator(stores.pool).apply(dryRun: isDryRun) { migration in
            if !isJSON { context.console.line("applied \(migration.name)") }
        }
        await stores.close()
        if isJSON {
            let names = migrations.map { JSONValue.string($0.name) }
            context.console.json([isDryRun ? "pending" : "applied": .array(names)])
        } else if isDryRun {
            for migration in migrations { context.console.line("-- \(migration.name)\n\n\(migration.text)") }
        }
        if migrations.isEmpty, !isJSON { context.console.line("The schema is current.") }
        return .success
    }
}
