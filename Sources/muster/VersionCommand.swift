// `muster version`

import CommandLineKit

enum VersionCommand {
    static let version = "0.1.0"

    static let spec = CommandSpec(name: "version", summary: "Print the version", exitCodes: [.success])

    static let run: Action = { _, context in
        context.console.line("muster \(version)")
        return .success
    }
}
