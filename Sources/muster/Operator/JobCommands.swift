// `muster job show`, `list`, `cancel` and `results`: one request each, or the pages of one list.

import CommandLineKit
import JSON
import OperatorClient

private let jobArgument = ArgumentSpec(name: "jobId", help: "the job")

enum JobShowCommand {
    static let spec = CommandSpec(
        name: "job show", summary: "Show a job with its counts", arguments: [jobArgument],
        options: [ServiceOptions.json] + ServiceOptions.all, examples: ["muster job show night-1 --json"])

    static let run: Action = { command, context in
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        let job = try await client.job(command.argument("jobId"))
        if command.flag("json") {
            context.console.json(job)
        } else {
            context.console.write(JobView(document: job).text)
        }
        return .success
    }
}

enum JobListCommand {
    static let spec = CommandSpec(
        name: "job list", summary: "List jobs, the newest first",
        options: [
            OptionSpec(
                name: "status", kind: .choice(["cancelled", "completed", "failed", "queued", "running", "scheduled"]),
                help: "only jobs in this status"),
            OptionSpec(
                name: "type", kind: .choice(["scheduleDeviceMethod", "scheduleUpdateTwin"]),
                help: "only jobs of this type"),
            ServiceOptions.limit(), ServiceOptions.json,
        ] + ServiceOptions.all,
        examples: ["muster job list --status running"])

    static let run: Action = { command, context in
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        let listing = Listing(command, context)
        let pages = client.jobs(
            type: command.optionalText("type"), status: command.optionalText("status"), pageSize: listing.pageSize)
        try await listing.print(pages, nothing: "No jobs.") { _, items in
            var table = TextTable([
                ("JOB", .left), ("STATUS", .left), ("CREATED (UTC)", .left), ("DEVICES", .right), ("SUCCEEDED", .right),
                ("FAILED", .right), ("CANCELLED", .right), ("CONDITION", .left),
            ])
            for job in items.map(JobView.init(document:)) {
                let counts = ["deviceCount", "succeededCount", "failedCount", "cancelledCount"].map {
                    String(job.count($0))
                }
                let condition = Cell.text(job.document["queryCondition"])
                table.add([job.id, job.status, Cell.time(job.document["createdTime"])] + counts + [condition])
            }
            return table
        }
        return .success
    }
}

enum JobCancelCommand {
    static let spec = CommandSpec(
        name: "job cancel", summary: "Cancel a job that has not ended",
        discussion: """
            Devices that are done stay as they are; the others are not touched any more and count as cancelled.
            """,
        arguments: [jobArgument], options: [ServiceOptions.json] + ServiceOptions.all,
        examples: ["muster job cancel night-1"])

    static let run: Action = { command, context in
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        let job = try await client.cancelJob(command.argument("jobId"))
        let view = JobView(document: job)
        if command.flag("json") {
            context.console.json(job)
        } else {
            context.console.line("Job \(view.id) is \(view.status). Devices: \(view.counts).")
        }
        return .success
    }
}

enum JobResultsCommand {
    static let spec = CommandSpec(
        name: "job results", summary: "Show what became of each device of a job", arguments: [jobArgument],
        options: [
            OptionSpec(
                name: "status", kind: .choice(["canceled", "completed", "failed", "pending", "running"]),
                help: "only devices in this status"),
            ServiceOptions.limit(), ServiceOptions.json,
        ] + ServiceOptions.all,
        examples: ["muster job results night-1 --status failed --limit 10"])

    static let run: Action = { command, context in
        let id = command.argument("jobId")
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        // A query over the results of a job that does not exist finds nothing; that is another answer than "no such job".
        _ = try await client.job(id)
        let listing = Listing(command, context)
        let pages = client.jobResults(id, status: command.optionalText("status"), pageSize: listing.pageSize)
        try await listing.print(pages, nothing: "No devices.") { _, items in
            var table = TextTable([
                ("DEVICE", .left), ("STATUS", .left), ("CHANGED (UTC)", .left), ("RESULT", .left),
            ])
            for item in items {
                table.add([
                    Cell.text(item["deviceId"]), Cell.text(item["status"]), Cell.time(item["lastUpdatedDateTimeUtc"]),
                    result(item),
                ])
            }
            return table
        }
        return .success
    }

    private static func result(_ item: JSONValue) -> String {
        if let error = item["error"] {
            return "\(Cell.text(error["code"])): \(Cell.text(error["description"]))"
        }
        return item["outcome"]?["deviceMethodResponse"].map { Cell.text($0) } ?? ""
    }
}
