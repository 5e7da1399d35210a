// `muster device create`, `list`, `show` and `delete`.

import CommandLineKit
import JSON
import OperatorClient

private let deviceArgument = ArgumentSpec(name: "deviceId", help: "the device")

private let keysOption = OptionSpec(
    name: "show-keys", kind: .flag, help: "show the device's keys and connection string")

enum DeviceCreateCommand {
    static let spec = CommandSpec(
        name: "device create", summary: "Create a device and its twin", arguments: [deviceArgument],
        options: [
            OptionSpec(
                name: "status", kind: .choice(["disabled", "enabled"]), default: "enabled", help: "may it connect?"),
            OptionSpec(name: "tags", kind: .text(placeholder: "json"), help: "tags of the twin (\(JSONInput.help))"),
            OptionSpec(name: "desired", kind: .text(placeholder: "json"), help: "desired properties of the twin"),
            keysOption, ServiceOptions.json,
        ] + ServiceOptions.all,
        examples: ["muster device create door-7 --tags '{\"building\":\"43\",\"floor\":3}'"])

    static let run: Action = { command, context in
        let id = command.argument("deviceId")
        var entry = JSONInput.twin(
            tags: try JSONInput.object(command, "tags"), desired: try JSONInput.object(command, "desired"))
        entry["id"] = .string(id)
        entry["importMode"] = "create"
        entry["status"] = .string(command.text("status"))
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        // Identity and twin in one request, so that there is never a device without its tags.
        try await client.bulk(entry)
        let device = try await client.device(id)
        if !command.flag("json") { context.console.note("Device \(id) is created.") }
        DeviceText.print(device, client, command, context)
        return .success
    }
}

enum DeviceShowCommand {
    static let spec = CommandSpec(
        name: "device show", summary: "Show a device's identity", arguments: [deviceArgument],
        options: [keysOption, ServiceOptions.json] + ServiceOptions.all, examples: ["muster device show door-7"])

    static let run: Action = { command, context in
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        let device = try await client.device(command.argument("deviceId"))
        DeviceText.print(device, client, command, context)
        return .success
    }
}

enum DeviceListCommand {
    static let spec = CommandSpec(
        name: "device list", summary: "List devices",
        options: [
            OptionSpec(
                name: "condition", kind: .text(placeholder: "text"),
                help: "only devices for which this is true: the WHERE part of a query"),
            ServiceOptions.limit(), ServiceOptions.json,
        ] + ServiceOptions.all,
        examples: ["muster device list --condition \"tags.building = '43'\" --limit 1000"])

    static let run: Action = { command, context in
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        let listing = Listing(command, context)
        let condition = command.optionalText("condition").map { " WHERE \($0)" } ?? ""
        let pages = client.query("SELECT * FROM devices\(condition)", pageSize: listing.pageSize)
        try await listing.print(pages, nothing: "No devices.") { ItemTable.make($0, $1) }
        return .success
    }
}

enum DeviceDeleteCommand {
    static let spec = CommandSpec(
        name: "device delete", summary: "Delete devices and their twins",
        arguments: [ArgumentSpec(name: "deviceId", isRepeated: true, help: "the devices")],
        options: [
            OptionSpec(
                name: "etag", kind: .text(placeholder: "text"),
                help: "delete only if the identity has this etag (default: in any case)")
        ] + ServiceOptions.all,
        examples: ["muster device delete door-7 door-8"])

    static let run: Action = { command, context in
        let ids = command.arguments("deviceId")
        let client = try ServiceOptions.client(command, context)
        defer { client.close() }
        var failed = 0
        for id in ids {
            do {
                try await client.deleteDevice(id, etag: command.optionalText("etag"))
                context.console.line("Device \(id) is deleted.")
            } catch let error as OperatorError
                where ids.count > 1 && [.notFound, .conflict, .invalid].contains(error.kind)
            {
                context.console.note("muster: \(id): \(error)")
                failed += 1
            }
        }
        return failed == 0 ? .success : .negative
    }
}

enum DeviceText {
    static func print(
        _ device: JSONValue, _ client: OperatorClient, _ command: ParsedCommand, _ context: CommandContext
    ) {
        let showsKeys = command.flag("show-keys")
        let key = device["authentication"]?["symmetricKey"]?["primaryKey"]?.stringValue
        if command.flag("json") {
            var document = device.objectValue ?? [:]
            if !showsKeys { hideKeys(&document) }
            return context.console.json(.object(document))
        }
        var rows = [
            ("Device", Cell.text(device["deviceId"])), ("Status", Cell.text(device["status"])),
            ("Connection", Cell.text(device["connectionState"])),
            ("Last active", Cell.time(device["lastActivityTime"])),
            ("ETag", Cell.text(device["etag"])), ("Generation", Cell.text(device["generationId"])),
        ]
        if showsKeys, let key {
            let host = client.configuration.endpoint.hostName
            rows.append(("Primary key", key))
            rows.append(("Secondary", Cell.text(device["authentication"]?["symmetricKey"]?["secondaryKey"])))
            rows.append(
                ("Connect by", "HostName=\(host);DeviceId=\(Cell.text(device["deviceId"]));SharedAccessKey=\(key)"))
        }
        for (title, text) in rows { context.console.line(title.padding(to: 13) + Printable.text(text)) }
    }

    private static func hideKeys(_ document: inout JSONObject) {
        guard var authentication = document["authentication"]?.objectValue else { return }
        authentication["symmetricKey"] = nil
        document["authentication"] = .object(authentication)
    }
}
