// `muster job watch`, and the waiting part of `muster job create --watch`.

import CommandLineKit
import JSON
import OperatorClient
import ServiceKit

enum JobWatchCommand {
    static let interval = OptionSpec(
        name: "interval", kind: .duration(.milliseconds(100) ... .seconds(3600)), default: "500ms",
        help: "between two looks at the job")

    /// With the waits between them about 40 seconds: whoever watches a rollout wants to outlast a restart.
    static let attempts = 15

    static let spec = CommandSpec(
        name: "job watch", summary: "Show a job's progress until it ends",
        discussion: """
            A progress bar with rate and estimate on a terminal, plain lines elsewhere. Ends with 0 when every device
            succeeded, with 1 when the job failed, was cancelled, or a device failed. Ctrl-C stops watching, not the job.
            """,
        arguments: [ArgumentSpec(name: "jobId", help: "the job")],
        options: [interval, ServiceOptions.json] + ServiceOptions.all,
        examples: ["muster job watch night-1"])

    static let run: Action = { command, context in
        let client = try ServiceOptions.client(command, context, attempts: attempts)
        defer { client.close() }
        return try await watch(command.argument("jobId"), client, command, context)
    }

    static func watch(
        _ id: String, _ client: OperatorClient, _ command: ParsedCommand, _ context: CommandContext
    ) async throws -> ExitCode {
        let interruption = Interruption(
            context.console, note: "Stopped watching. The job goes on; see it with: muster job show \(id)")
        defer { interruption.end() }
        var display = ProgressDisplay(context, unit: "devices")
        var lastStatus: String?
        while true {
            let job = JobView(document: try await client.job(id))
            show(job, &display, isNews: job.status != lastStatus)
            lastStatus = job.status
            if job.isEnded {
                display.end()
                finish(job, command, context)
                return job.exitCode
            }
            try await context.clock.sleep(for: command.duration("interval"))
        }
    }

    private static func show(_ job: JobView, _ display: inout ProgressDisplay, isNews: Bool) {
        switch job.status {
        case "scheduled": display.update(text: "scheduled for \(Cell.time(job.document["startTime"])) UTC")
        case "queued": display.update(text: "queued")
        case "running" where job.devices == 0: display.update(text: "running  selecting devices")
        default:
            let failed = job.count("failedCount")
            display.update(
                prefix: job.status + (failed > 0 ? ", \(failed) failed" : ""), done: job.endedDevices,
                total: job.devices, isForced: isNews || job.isEnded)
        }
    }

    private static func finish(_ job: JobView, _ command: ParsedCommand, _ context: CommandContext) {
        if command.flag("json") { return context.console.json(job.document) }
        context.console.line("Job \(job.id) is \(job.status). Devices: \(job.counts).")
        if let reason = job.reason { context.console.line("Reason: \(Printable.text(reason))") }
        if job.count("failedCount") > 0 {
            context.console.note("See which failed with: muster job results \(job.id) --status failed")
        }
    }
}
