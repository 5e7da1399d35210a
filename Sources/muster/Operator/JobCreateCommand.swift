// `muster job create`

import CommandLineKit
import JSON
import OperatorClient
import ServiceKit

enum JobCreateCommand {
    static let spec = CommandSpec(
        name: "job create",
        summary: "Schedule a twin change or a direct method on every device that a condition selects",
        discussion: """
            The condition is evaluated once, when the job starts. A change of twins is applied to each selected device
            exactly once; a method is called on each at most once, and a device that is not connected is called when it
            connects. Creating the same job again under the same id changes nothing.
            """,
        options: [
            OptionSpec(
                name: "condition", kind: .text(placeholder: "text"), isRequired: true,
                help: "which devices: the WHERE part of a query over devices; * for all")
        ] + JSONInput.twinOptions(whole: "twin-patch") + MethodOptions.job + [
            OptionSpec(
                name: "id", kind: .text(placeholder: "text"),
                help: "letters, digits and '-', at most 64 (default: a random UUID)"),
            OptionSpec(
                name: "start", kind: .text(placeholder: "time"),
                help: "2031-05-06T07:08:09Z, or +10m from now (default: at once)"),
            OptionSpec(
                name: "max-seconds", kind: .integer(1...Int(Int32.max)),
                help: "devices that are not done so many seconds after the start fail (default: 3600)"),
            OptionSpec(name: "watch", kind: .flag, help: "show progress until the job ends, as 'muster job watch'"),
            JobWatchCommand.interval, ServiceOptions.json,
        ] + ServiceOptions.all,
        examples: [
            """
            muster job create --condition "tags.building = '43' AND tags.floor = 3" \\
              --desired '{"firmware":"4.1"}' --watch
            """,
            "muster job create --condition \"tags.site = 's1'\" --method lockDoor --payload '{\"delay\":10}' --watch",
            "muster job create --id night-1 --condition '*' --twin-patch @patch.json --start 2031-05-06T02:00:00Z",
        ])

    static let run: Action = { command, context in
        let id = command.optionalText("id") ?? uuid(context.random)
        let body = try body(command, id: id, now: context.clock.unixTime)
        let isWatching = command.flag("watch")
        let client = try ServiceOptions.client(
            command, context, attempts: isWatching ? JobWatchCommand.attempts : nil)
        defer { client.close() }
        let created = try await client.createJob(id, .object(body))
        if isWatching { return try await JobWatchCommand.watch(id, client, command, context) }
        if command.flag("json") {
            context.console.json(created)
        } else {
            context.console.line("Job \(id) is \(JobView(document: created).status).")
            context.console.note("Follow it with: muster job watch \(id)")
        }
        return .success
    }

    private static func body(_ command: ParsedCommand, id: String, now: Double) throws(UsageError) -> JSONObject {
        var body: JSONObject = ["jobId": .string(id), "queryCondition": .string(command.text("condition"))]
        if let method = try MethodOptions.method(command, name: command.optionalText("method")) {
            guard ["tags", "desired", "twin-patch"].allSatisfy({ command.optionalText($0) == nil }) else {
                throw command.mistake("A job calls a method or changes twins: --method stands alone.")
            }
            body["type"] = "scheduleDeviceMethod"
            body["cloudToDeviceMethod"] = .object(method)
        } else {
            var update = try JSONInput.twinPatch(command, whole: "twin-patch", besides: "a method in --method")
            if update["etag"] == nil { update["etag"] = "*" }
            body["type"] = "scheduleUpdateTwin"
            body["updateTwin"] = .object(update)
        }
        if let start = command.optionalText("start") {
            body["startTime"] = .string(try startTime(start, command, now: now))
        }
        if let seconds = command.optionalInteger("max-seconds") {
            body["maxExecutionTimeInSeconds"] = .integer(Int64(seconds))
        }
        return body
    }

    private static func startTime(_ text: String, _ command: ParsedCommand, now: Double) throws(UsageError) -> String {
        if text.hasPrefix("+"), let wait = DurationText.parse(String(text.dropFirst())) {
            return TimestampFormatter().text(unixTime: now + wait.inSeconds)
        }
        guard TimestampFormatter().microseconds(text) != nil else {
            throw command.mistake(
                "start", "must be a date and time such as 2031-05-06T07:08:09Z, or +10m; it is '\(text.prefix(100))'.")
        }
        return text
    }

    /// Version 4 from 122 random bits.
    private static func uuid(_ random: any RandomSource) -> String {
        let high = random.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = random.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits = [high, low].map { value in
            let text = String(value, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
        var parts: [Substring] = []
        var rest = digits[...]
        for length in [8, 4, 4, 4, 12] {
            parts.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return parts.joined(separator: "-")
    }
}
