// `muster twin show` and `muster twin patch`.

import CommandLineKit
import JSON
import OperatorClient

enum TwinShowCommand {
    static let spec = CommandSpec(
        name: "twin show", summary: "Show a device's twin",
        discussion: "Without --json the metadata (when and at which version each value was set) is left out.",
        arguments: [ArgumentSpec(name: "deviceId", help: "the device")],
        options: [ServiceOptions.json] + ServiceOptions.all, examples: ["muster twin show door-7"])

    static let run: Action = { command, context in
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        TwinOutput.print(try await client.twin(command.argument("deviceId")), command, context)
        return .success
    }
}

enum TwinPatchCommand {
    static let spec = CommandSpec(
        name: "twin patch", summary: "Change tags and desired properties of one twin",
        discussion: """
            What the patch does not name stays; null removes. For many devices create a job: muster job create.
            """,
        arguments: [ArgumentSpec(name: "deviceId", help: "the device")],
        options: JSONInput.twinOptions(whole: "patch") + [
            OptionSpec(
                name: "etag", kind: .text(placeholder: "text"),
                help: "change it only if the twin has this etag (default: in any case)"),
            ServiceOptions.json,
        ] + ServiceOptions.all,
        examples: ["muster twin patch door-7 --desired '{\"firmware\":\"4.1\"}' --tags '{\"ring\":null}'"])

    static let run: Action = { command, context in
        let patch = try JSONInput.twinPatch(command, whole: "patch")
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        let twin = try await client.patchTwin(
            command.argument("deviceId"), .object(patch), etag: command.optionalText("etag"))
        TwinOutput.print(twin, command, context)
        return .success
    }
}

private enum TwinOutput {
    static func print(_ twin: JSONValue, _ command: ParsedCommand, _ context: CommandContext) {
        if command.flag("json") { context.console.json(twin) } else { context.console.line(TwinText.text(twin)) }
    }
}
