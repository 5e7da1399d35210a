// The table of all commands. Each stands in a file of its own, as a namespace with its description and its action.

import CommandLineKit

/// What an action gets: the checked command line and the outside world.
typealias Action = @Sendable (ParsedCommand, CommandContext) async throws -> ExitCode

enum Commands {
    static let table = CommandTable<Action>(
        program: "muster",
        summary: "Muster runs jobs on fleets of devices: one job, millions of devices, every outcome accounted for.",
        groups: [
            CommandGroup(name: "policy", summary: "Shared access policies")
        ],
        entries: [
            .init(CoordinatorCommand.spec, CoordinatorCommand.run),
            .init(DevCommand.spec, DevCommand.run),
            .init(MigrateCommand.spec, MigrateCommand.run),
            .init(PolicyCommands.createSpec, PolicyCommands.create),
            .init(PolicyCommands.listSpec, PolicyCommands.list),
            .init(PolicyCommands.showSpec, PolicyCommands.show),
            .init(PolicyCommands.tokenSpec, PolicyCommands.token),
            .init(VerifyCommand.spec, VerifyCommand.run),
            .init(VersionCommand.spec, VersionCommand.run),
            .init(WorkerCommand.spec, WorkerCommand.run),
        ],
        footer: """
            Commands that talk to a service take its connection string from --connection-string or
            MUSTER_CONNECTION_STRING. Exit codes: 0 success, 1 the answer is no, 2 usage, 3 not found,
            4 unauthorized, 5 unavailable, 6 conflict, 70 internal error.
            """)
}
