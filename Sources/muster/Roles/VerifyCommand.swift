// `muster verify`: recounts jobs from their items and holds the result against the counters (invariants I1 and I2);
// and says what a job that has not ended waits for.

import CommandLineKit
import JSON
import JobModel
import JobStore
import ServiceKit

enum VerifyCommand {
    static let spec = CommandSpec(
        name: "verify", summary: "Recount jobs from their work items",
        discussion: """
            Reads every work item of one job, or of all jobs, in one snapshot, and compares with what the counters say.
            Drift is the number of jobs that disagree; it is 0. Of one job that has not ended it also says in words what
            the job and its open items wait for, with a count and one of the devices for each reason.
            """,
        arguments: [ArgumentSpec(name: "jobId", isRequired: false, help: "one job; without it all jobs")],
        options: [
            OptionSpec(name: "json", kind: .flag, help: "print the recount as JSON"), RoleOptions.database,
            RoleOptions.redis, RoleOptions.redisPrefix, RoleOptions.prepared, RoleOptions.logLevel,
        ],
        examples: ["muster verify", "muster verify night-reboot-01 --json"],
        exitCodes: [.success, .negative, .usage, .notFound, .unavailable])

    static let run: Action = { command, context in
        var jobID: JobID?
        if let text = command.optionalArgument("jobId") {
            do throws(JobModelError) {
                jobID = try JobID(text)
            } catch {
                throw command.mistake(error.message)
            }
        }
        let stores = try Stores(
            StoreSettings(
                databaseURL: RoleOptions.databaseURL(command), redisURL: command.text("redis-url"),
                redisPrefix: command.text("redis-prefix"), connections: 2,
                preparedStatements: !command.flag("no-prepared-statements")),
            log: RoleOptions.log(command, role: "verify"))
        let drifts = try await stores.jobs.recount(jobID)
        var waiting: WaitReport?
        if let jobID, let explanation = try await stores.jobs.explain(jobID) {
            waiting = await WaitReport(explanation, leases: stores.leases)
        }
        await stores.close()
        if let jobID, drifts.isEmpty {
            context.console.note("There is no job '\(jobID)'.")
            return .notFound
        }
        let wrong = drifts.filter { !$0.findings.isEmpty }
        if command.flag("json") {
            var document: JSONObject = [
                "drift": .integer(Int64(wrong.count)), "jobs": .array(drifts.map { .object($0.document) }),
            ]
            if let waiting { document["waits"] = .array(waiting.document) }
            context.console.json(.object(document))
        } else {
            for drift in drifts {
                let mark = drift.findings.isEmpty ? "ok   " : "DRIFT"
                context.console.line("\(mark) \(drift.jobID)  \(drift.state.rawValue)  \(drift.recounted.text)")
                for finding in drift.findings { context.console.line("      \(finding)") }
                if drift.counted != drift.recounted {
                    context.console.line("      counters say: \(drift.counted.text)")
                }
            }
            for line in waiting?.lines ?? [] { context.console.line("      \(line)") }
            let items = drifts.reduce(0) { $0 + $1.recounted.devices }
            context.console.line("\(drifts.count) jobs, \(items) items recounted, drift \(wrong.count)")
        }
        return wrong.isEmpty ? .success : .negative
    }
}

extension JobStatistics {
    fileprivate var text: String {
        "devices \(devices): succeeded \(succeeded), failed \(failed), cancelled \(cancelled), running \(running), "
            + "pending \(pending)"
    }

    fileprivate var document: JSONValue {
        [
            "deviceCount": .integer(devices), "pendingCount": .integer(pending), "runningCount": .integer(running),
            "succeededCount": .integer(succeeded), "failedCount": .integer(failed),
            "cancelledCount": .integer(cancelled),
        ]
    }
}

extension JobDrift {
    fileprivate var document: JSONObject {
        [
            "jobId": .string(jobID.text), "status": .string(state.wireStatus), "counted": counted.document,
            "recounted": recounted.document, "findings": .array(findings.map { .string($0) }),
        ]
    }
}
