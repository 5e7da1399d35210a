// The table of all commands. Each stands in a file of its own, as a namespace with its description and its action.

import CommandLineKit

/// What an action gets: the checked command line and the outside world.
typealias Action = @Sendable (ParsedCommand, CommandContext) async throws -> ExitCode

enum Commands {
    static let table = CommandTable<Action>(
        program: "muster",
        summary: "Muster runs jobs on fleets of devices: one job, millions of devices, every outcome accounted for.",
        groups: [
            CommandGroup(name: "bench", summary: "Measurements of this machine, each beside its limit"),
            CommandGroup(name: "device", summary: "Devices of the registry"),
            CommandGroup(name: "job", summary: "Jobs on the devices that a condition selects"),
            CommandGroup(name: "policy", summary: "Shared access policies"),
            CommandGroup(name: "twin", summary: "Twins: tags, desired and reported properties"),
        ],
        entries: [
            .init(BenchCommands.allSpec, BenchCommands.all),
            .init(BenchCommands.expandSpec, BenchCommands.expand),
            .init(BenchCommands.idleSpec, BenchCommands.idle),
            .init(BenchCommands.inFlightSpec, BenchCommands.inFlight),
            .init(BenchCommands.latencySpec, BenchCommands.latency),
            .init(BenchCommands.methodsSpec, BenchCommands.methods),
            .init(BenchCommands.scaleSpec, BenchCommands.scale),
            .init(BenchCommands.sessionsSpec, BenchCommands.sessions),
            .init(BenchCommands.takeoverSpec, BenchCommands.takeover),
            .init(BenchCommands.twinPatchSpec, BenchCommands.twinPatch),
            .init(EchoCommands.clientSpec, EchoCommands.client),
            .init(EchoCommands.serverSpec, EchoCommands.server),
            .init(CoordinatorCommand.spec, CoordinatorCommand.run),
            .init(DevCommand.spec, DevCommand.run),
            .init(DeviceCallCommand.spec, DeviceCallCommand.run),
            .init(DeviceCreateCommand.spec, DeviceCreateCommand.run),
            .init(DeviceDeleteCommand.spec, DeviceDeleteCommand.run),
            .init(DeviceImportCommand.spec, DeviceImportCommand.run),
            .init(DeviceListCommand.spec, DeviceListCommand.run),
            .init(DeviceShowCommand.spec, DeviceShowCommand.run),
            .init(GatewayCommand.spec, GatewayCommand.run),
            .init(JobCancelCommand.spec, JobCancelCommand.run),
            .init(JobCreateCommand.spec, JobCreateCommand.run),
            .init(JobListCommand.spec, JobListCommand.run),
            .init(JobResultsCommand.spec, JobResultsCommand.run),
            .init(JobShowCommand.spec, JobShowCommand.run),
            .init(JobWatchCommand.spec, JobWatchCommand.run),
            .init(MigrateCommand.spec, MigrateCommand.run),
            .init(PolicyCommands.createSpec, PolicyCommands.create),
            .init(PolicyCommands.listSpec, PolicyCommands.list),
            .init(PolicyCommands.showSpec, PolicyCommands.show),
            .init(PolicyCommands.tokenSpec, PolicyCommands.token),
            .init(QueryCommand.spec, QueryCommand.run),
            .init(RecoverCommand.spec, RecoverCommand.run),
            .init(SimulateCommand.spec, SimulateCommand.run),
            .init(TwinPatchCommand.spec, TwinPatchCommand.run),
            .init(TwinShowCommand.spec, TwinShowCommand.run),
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
