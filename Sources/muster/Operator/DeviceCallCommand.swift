// `muster device call`: one direct method on one device, now.

import CommandLineKit
import JSON
import OperatorClient
import ServiceKit

enum DeviceCallCommand {
    static let spec = CommandSpec(
        name: "device call", summary: "Call a direct method of a device and print its answer",
        discussion: """
            Sent at most once. Prints the answer's payload; with --json status and payload. Ends with 1 when the device
            answered with a status of 400 or above.
            """,
        arguments: [
            ArgumentSpec(name: "deviceId", help: "the device"), ArgumentSpec(name: "method", help: "the method's name"),
        ],
        options: MethodOptions.call + [
            OptionSpec(
                name: "connect-timeout", kind: .integer(0...300), default: "0",
                help: "seconds to wait for a device that is not connected"),
            ServiceOptions.json,
        ] + ServiceOptions.all,
        examples: ["muster device call door-7 lockDoor --payload '{\"delay\":10}'"])

    /// Left for the service's own timeouts and the network.
    private static let margin: Duration = .seconds(10)

    static let run: Action = { command, context in
        guard var call = try MethodOptions.method(command, name: command.argument("method")) else { return .usage }
        let connect = command.integer("connect-timeout")
        call["connectTimeoutInSeconds"] = .integer(Int64(connect))
        let client = try ServiceOptions.client(
            command, context, timeout: .seconds(connect + command.integer("response-timeout")) + margin)
        defer { client.close() }
        let answer = try await client.callMethod(command.argument("deviceId"), .object(call))
        let status = answer["status"]?.integerValue ?? 0
        if command.flag("json") {
            context.console.json(answer)
        } else {
            context.console.line((answer["payload"] ?? .null).text)
            if status >= 400 { context.console.note("The device answered with status \(status).") }
        }
        return status >= 400 ? .negative : .success
    }
}
