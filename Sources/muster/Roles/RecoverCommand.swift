// `muster recover`: after a restore or an asynchronous failover, before the roles are started again (invariant I6).

import CommandLineKit
import JSON
import JobModel
import JobStore
import ServiceKit
import TwinStore

enum RecoverCommand {
    static let spec = CommandSpec(
        name: "recover", summary: "After a restore or an asynchronous failover: let nothing happen twice",
        discussion: """
            For a database that lacks commits that were acknowledged: restored from a backup, or promoted from a standby
            that was behind. Stop every role, empty Redis, restore, run this, then start the roles.

            It takes all claimed work back, so that nobody who held it before can write; forgets the workers, gateways
            and sessions of before; raises fences, epochs, versions and etags beyond what lost commits can have used; and
            ends open items of direct methods as failed with OutcomeUnknown: those with a recorded dispatch, and, because
            any other may have been called in a commit that is lost, those too. A method job whose device set was not
            complete, or that should have started by now and had not, ends as failed. Twin jobs go on: what they have
            not patched in this database they patch.

            What it cannot know: jobs that were created, cancelled or ended in lost commits; which devices were called;
            reported properties and desired versions that are lost. Devices read their twins when they connect again, and
            take later desired versions as news, because versions jump by 1,000,000.

            With --resume-calls only items with a recorded dispatch are unknown, and the rest is called: for a restore to
            the very last commit, or for methods that a device may be called for twice. Safe to repeat, and after an
            interruption it has to be repeated.
            """,
        options: [
            OptionSpec(name: "dry-run", kind: .flag, help: "print what it would do and change nothing"),
            OptionSpec(
                name: "resume-calls", kind: .flag, help: "call the devices of items for which no dispatch is recorded"),
            OptionSpec(name: "force", kind: .flag, help: "even while workers, gateways or a leader live"),
            OptionSpec(name: "json", kind: .flag, help: "print JSON"), RoleOptions.database, RoleOptions.prepared,
            RoleOptions.logLevel,
        ],
        examples: ["muster recover --dry-run", "muster recover --json > recovered.json"],
        exitCodes: [.success, .negative, .usage, .unavailable])

    static let run: Action = { command, context in
        let stores = try Stores(
            StoreSettings(
                databaseURL: RoleOptions.databaseURL(command), redisURL: "redis://127.0.0.1", connections: 2,
                preparedStatements: !command.flag("no-prepared-statements")),
            log: RoleOptions.log(command, role: "recover"))
        do {
            let code = try await recover(command, context, stores)
            await stores.close()
            return code
        } catch {
            await stores.close()
            throw error
        }
    }

    private static func recover(
        _ command: ParsedCommand, _ context: CommandContext, _ stores: Stores
    ) async throws -> ExitCode {
        let isDryRun = command.flag("dry-run")
        if !command.flag("force"), !isDryRun {
            let living = try await stores.jobs.livingProcesses(clock: context.clock)
            guard living.isEmpty else {
                let names = living.map { "\($0.kind) \($0.name)" }.joined(separator: ", ")
                context.console.note("Stop every role first; these live: \(names). Nothing was changed.")
                return .negative
            }
        }
        // Before the jobs: no job goes on while a twin still has a version that was given before.
        let twins = isDryRun ? nil : try await stores.twins.raiseVersions(by: Limits.recoveryJump)
        let recovery = try await stores.jobs.recover(
            resumesCalls: command.flag("resume-calls"), isDryRun: isDryRun)
        if command.flag("json") {
            context.console.json(.object(recovery.document(twins: twins)))
        } else {
            for line in recovery.lines { context.console.line(line) }
            if let twins { context.console.line("versions of \(twins) twins raised") }
            if isDryRun { context.console.line("Nothing was changed.") }
        }
        return .success
    }
}

extension Recovery {
    /// Items that people see; `--json` has more.
    private static let shownItems = 100

    fileprivate var lines: [String] {
        var lines = jobs.map { job in
            "job \(job.jobID)  \(job.state.rawValue)  \(job.unknown) unknown (\(job.dispatched) dispatched), "
                + "\(job.batchesTakenBack) batches taken back"
        }
        for item in items.prefix(Self.shownItems) {
            let why = item.wasDispatched ? "dispatched" : "may have been dispatched"
            lines.append("unknown  \(item.jobID)  \(item.seq)  \(Printable.text(item.deviceID))  \(why)")
        }
        if unknown > Self.shownItems {
            lines.append("… and \(unknown - Int64(Self.shownItems)) more with OutcomeUnknown")
        }
        lines.append(
            "\(jobs.count) jobs, \(unknown) items unknown; forgotten: \(workers) workers, \(gateways) gateways, "
                + "\(sessions) sessions")
        return lines
    }

    fileprivate func document(twins: Int64?) -> JSONObject {
        [
            "jobs": .array(
                jobs.map { job in
                    [
                        "jobId": .string(job.jobID.text), "type": .string(job.type.rawValue),
                        "status": .string(job.state.wireStatus), "unknown": .integer(job.unknown),
                        "dispatched": .integer(job.dispatched), "batchesTakenBack": .integer(job.batchesTakenBack),
                    ]
                }),
            "unknown": .integer(unknown),
            "items": .array(
                items.map { item in
                    [
                        "jobId": .string(item.jobID.text), "seq": .integer(item.seq),
                        "deviceId": .string(item.deviceID), "dispatched": .bool(item.wasDispatched),
                    ]
                }),
            "workers": .integer(workers), "gateways": .integer(gateways), "sessions": .integer(sessions),
            "twinsRaised": twins.map { .integer($0) } ?? .null,
        ]
    }
}
