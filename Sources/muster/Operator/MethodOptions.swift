// The options that describe a direct method, for `muster job create` and `muster device call`.

import CommandLineKit
import JSON

enum MethodOptions {
    static let call: [OptionSpec] = [
        OptionSpec(
            name: "payload", kind: .text(placeholder: "json"),
            help: "what the method gets (\(JSONInput.help); default: null)"
        ),
        OptionSpec(
            name: "response-timeout", kind: .integer(5...300), default: "30",
            help: "seconds that the device has to answer"),
    ]

    static let job: [OptionSpec] =
        [
            OptionSpec(
                name: "method", kind: .text(placeholder: "name"),
                help: "call this direct method instead of changing twins")
        ] + call

    /// The members of a call; nil without a name.
    static func method(_ command: ParsedCommand, name: String?) throws(UsageError) -> JSONObject? {
        let payload = try JSONInput.value(command, "payload")
        guard let name else {
            guard payload == nil else { throw command.mistake("payload", "needs --method.") }
            return nil
        }
        return [
            "methodName": .string(name), "payload": payload ?? .null,
            "responseTimeoutInSeconds": .integer(Int64(command.integer("response-timeout"))),
        ]
    }
}
