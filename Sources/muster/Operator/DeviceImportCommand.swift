// `muster device import`

import CommandLineKit
import JSON
import OperatorClient
import ServiceKit

enum DeviceImportCommand {
    /// Failures that are printed; more are counted. Whoever has more needs another file, not a longer list.
    private static let printedFailures = 100
    /// Failures that `--json` lists.
    private static let listedFailures = 10_000

    static let spec = CommandSpec(
        name: "device import", summary: "Create, change or delete devices from a file",
        discussion: """
            CSV: the first line names the columns: deviceId, and any of status, statusReason, primaryKey, secondaryKey,
            tags.<name>, desired.<name> (with more names after further dots). Unquoted numbers, true and false are what
            they look like; quoted cells are text. A type after the name holds for the whole column: tags.building:string
            (also :number, :boolean, :json). An empty cell sets nothing.

            NDJSON: one JSON object a line, as in the bulk operation of the API: {"id":…,"tags":{…},"properties":{"desired":{…}}}.

            A device that is refused is reported with its line, and the others are imported.
            """,
        arguments: [ArgumentSpec(name: "file", help: "CSV or NDJSON; - for standard input")],
        options: [
            OptionSpec(
                name: "format", kind: .choice(ImportFormat.allCases.map(\.rawValue)),
                help: "what the file is (default: told by its first character)"),
            OptionSpec(
                name: "mode", kind: .choice(DeviceImport.Mode.allCases.map(\.rawValue)), default: "create",
                help: "what to do with each device: create it, update its identity, update its twin, or delete it"),
            ServiceOptions.json,
        ] + ServiceOptions.all,
        examples: [
            "muster device import devices.csv", "zcat fleet.ndjson.gz | muster device import - --mode updateTwin",
        ])

    static let run: Action = { command, context in
        let format = command.optionalText("format").flatMap { ImportFormat(rawValue: $0) }
        let file = try ImportFile(path: command.argument("file"), format: format)
        let mode = DeviceImport.Mode(rawValue: command.text("mode")) ?? .create
        let client = try ServiceOptions.client(command, context, connections: ImportLimits.requestsInFlight)
        defer { client.close() }
        let interruption = Interruption(
            context.console, note: "Stopped. What was sent is imported; the same import again reports it as existing.")
        defer { interruption.end() }

        let total = await file.estimate()
        var display = ProgressDisplay(context, unit: "devices")
        var failures: [ImportFailure] = []
        var count = 0
        let summary = try await DeviceImport(client: client, mode: mode).run(file) { event in
            switch event {
            case .progress(let summary):
                display.update(done: summary.handled, total: total.map { max($0, summary.handled) })
            case .failure(let failure):
                count += 1
                if failures.count < listedFailures { failures.append(failure) }
                if count <= printedFailures { context.console.note(text(failure)) }
            }
        }
        display.update(done: summary.handled, total: summary.stopped == nil ? summary.handled : total, isForced: true)
        display.end()
        report(summary, failures, seconds: display.seconds, command, context)
        if let error = summary.stopped {
            context.console.note("muster: The import stopped: \(Printable.text(error.description))")
            return error.exitCode
        }
        return summary.failed == 0 ? .success : .negative
    }

    private static func text(_ failure: ImportFailure) -> String {
        let device = failure.deviceID.map { "\($0): " } ?? ""
        let code = failure.code.map { " (\($0))" } ?? ""
        return Printable.text("line \(failure.line): \(device)\(failure.message)\(code)")
    }

    private static func report(
        _ summary: DeviceImport.Summary, _ failures: [ImportFailure], seconds: Double, _ command: ParsedCommand,
        _ context: CommandContext
    ) {
        if command.flag("json") {
            let listed = failures.map { failure -> JSONValue in
                var object: JSONObject = ["line": .integer(Int64(failure.line)), "message": .string(failure.message)]
                if let id = failure.deviceID { object["deviceId"] = .string(id) }
                if let code = failure.code { object["code"] = .string(code) }
                return .object(object)
            }
            return context.console.json([
                "imported": .integer(Int64(summary.imported)), "failed": .integer(Int64(summary.failed)),
                "isComplete": .bool(summary.stopped == nil), "seconds": .number((seconds * 1000).rounded() / 1000),
                "failures": .array(listed),
            ])
        }
        if summary.failed > printedFailures { context.console.note("… and \(summary.failed - printedFailures) more.") }
        let rate = seconds > 0 ? " (\(Int(Double(summary.handled) / seconds))/s)" : ""
        let failed = summary.failed > 0 ? "; \(summary.failed) failed" : ""
        let verb =
            switch DeviceImport.Mode(rawValue: command.text("mode")) {
            case .create, nil: "Imported"
            case .delete: "Deleted"
            case .update, .updateTwin: "Updated"
            }
        context.console.line(
            "\(verb) \(summary.imported) devices in \((seconds * 10).rounded() / 10) s\(rate)\(failed).")
    }
}
