// All commands of a program, and the way from its arguments to one of them: `muster job create …` and `muster dev …`.

/// A first word that has commands below it.
package struct CommandGroup: Sendable {
    package let name: String
    package let summary: String

    package init(name: String, summary: String) {
        self.name = name
        self.summary = summary
    }
}

/// `Action` is what the program attaches to each command, usually a function.
package struct CommandTable<Action: Sendable>: Sendable {
    package struct Entry: Sendable {
        package let spec: CommandSpec
        package let action: Action

        package init(_ spec: CommandSpec, _ action: Action) {
            self.spec = spec
            self.action = action
        }
    }

    package enum Resolution: Sendable {
        /// Asked for, so it goes to standard output and is no failure.
        case help(String)
        case run(ParsedCommand, Action)
    }

    package let program: String
    package let summary: String
    package let groups: [CommandGroup]
    package let entries: [Entry]
    /// Printed below the list of commands.
    package let footer: String

    package init(program: String, summary: String, groups: [CommandGroup], entries: [Entry], footer: String = "") {
        precondition(Set(entries.map(\.spec.name)).count == entries.count, "two commands of one name")
        self.program = program
        self.summary = summary
        self.groups = groups
        self.entries = entries
        self.footer = footer
    }

    package func resolve(_ words: [String], environment: [String: String]) throws(UsageError) -> Resolution {
        // `muster help job create` is `muster job create --help`.
        if words.first == "help" { return try resolve(words.dropFirst() + ["--help"], environment: environment) }
        guard let first = words.first else {
            throw UsageError(["A command is missing."])
        }
        if first == "--help" || first == "-h" { return .help(help()) }
        if let group = groups.first(where: { $0.name == first }) {
            guard words.count > 1 else {
                throw UsageError(
                    ["'\(program) \(first)' needs a command: \(names(in: group).joined(separator: ", "))."],
                    command: first)
            }
            if words[1] == "--help" || words[1] == "-h" { return .help(help(group: group)) }
            return try resolve(words, length: 2, known: names(in: group), environment: environment)
        }
        let known = entries.map(\.spec.words).filter { $0.count == 1 }.map { $0[0] } + groups.map(\.name) + ["help"]
        return try resolve(words, length: 1, known: known, environment: environment)
    }

    private func resolve(
        _ words: [String], length: Int, known: [String], environment: [String: String]
    ) throws(UsageError) -> Resolution {
        let name = Array(words.prefix(length))
        guard let entry = entries.first(where: { $0.spec.words == name }) else {
            let parent = name.dropLast().joined(separator: " ")
            let whole = ([program] + name).joined(separator: " ")
            throw UsageError(
                ["'\(whole)' is no command\(Nearest.hint(name[length - 1], in: known))"], command: parent)
        }
        let rest = Array(words.dropFirst(length))
        if CommandSpec.asksForHelp(rest) { return .help(entry.spec.help(program: program)) }
        return .run(try entry.spec.parse(rest, environment: environment), entry.action)
    }

    private func names(in group: CommandGroup) -> [String] {
        entries.map(\.spec.words).filter { $0.count == 2 && $0[0] == group.name }.map { $0[1] }
    }

    package func help() -> String {
        var rows: [(String, String)] = []
        for entry in entries where entry.spec.words.count == 1 { rows.append((entry.spec.name, entry.spec.summary)) }
        let grouped = groups.map { ("\($0.name) " + names(in: $0).joined(separator: "|"), $0.summary) }
        let all = HelpText.table(grouped + rows)
        return [
            summary, "", "Usage: \(program) <command> [options]", "", "Commands:", all, "",
            "'\(program) <command> --help' tells more about each.", footer.isEmpty ? nil : "",
            footer.isEmpty ? nil : footer,
        ].compactMap { $0 }.joined(separator: "\n") + "\n"
    }

    private func help(group: CommandGroup) -> String {
        let rows = entries.filter { $0.spec.words.first == group.name }.map { ($0.spec.name, $0.spec.summary) }
        return """
            \(group.summary)

            Usage: \(program) \(group.name) <command> [options]

            Commands:
            \(HelpText.table(rows))

            '\(program) \(group.name) <command> --help' tells more about each.

            """
    }

    /// The text for standard error: all mistakes, then where to read more.
    package func message(_ error: UsageError) -> String {
        let more = ([program, error.command].filter { !$0.isEmpty } + ["--help"]).joined(separator: " ")
        return (error.mistakes + ["See '\(more)'."]).joined(separator: "\n") + "\n"
    }
}
