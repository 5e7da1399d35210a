// From words to a `ParsedCommand`. Strict: an unknown, repeated, incomplete or surplus word is a mistake, never ignored,
// because an operator's mistyped option must not start a job on every device.

extension CommandSpec {
    /// All mistakes of the words, the environment and the defaults come in one error.
    package func parse(_ words: [String], environment: [String: String]) throws(UsageError) -> ParsedCommand {
        var parser = CommandLineParser(spec: self)
        parser.read(words)
        parser.fill(environment: environment)
        parser.check()
        let positionals = parser.assign()
        guard parser.mistakes.isEmpty else { throw UsageError(parser.mistakes, command: name) }
        return ParsedCommand(spec: self, values: parser.values, positionals: positionals)
    }

    /// True when the words ask for help, wherever it stands before `--`.
    package static func asksForHelp(_ words: [String]) -> Bool {
        words.prefix { $0 != "--" }.contains { $0 == "--help" || $0 == "-h" }
    }
}

private struct CommandLineParser {
    let spec: CommandSpec
    var values: [String: [ParsedCommand.Value]] = [:]
    var positionals: [String] = []
    var mistakes: [String] = []

    init(spec: CommandSpec) { self.spec = spec }

    mutating func read(_ words: [String]) {
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                positionals += rest
                return
            }
            guard word.hasPrefix("-"), word != "-" else {
                positionals.append(word)
                continue
            }
            readOption(word, &rest)
        }
    }

    private mutating func readOption(_ word: String, _ rest: inout ArraySlice<String>) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let names = spec.options.map(\.name) + ["help"]
        let written = String(parts[0].drop { $0 == "-" })
        guard word.hasPrefix("--"), let option = spec.options.first(where: { "--" + $0.name == parts[0] }) else {
            // Written with one dash, the whole name is still what was meant.
            let hint =
                names.contains(written)
                ? "; did you mean --\(written)?" : Nearest.hint(written, in: names, prefix: "--")
            mistakes.append("\(parts[0]) is no option of this command\(hint)")
            // What follows an unknown option is probably its value, and no second mistake.
            if parts.count == 1, !spec.arguments.contains(where: \.isRepeated),
                let next = rest.first, !next.hasPrefix("-"), Nearest.name(to: written, in: valued) != nil
            {
                rest.removeFirst()
            }
            return
        }
        let text: String
        if parts.count == 2 {
            text = parts[1]
        } else if option.kind == .flag {
            text = "true"
        } else if let next = rest.first, !next.hasPrefix("--") {
            text = next
            rest.removeFirst()
        } else {
            mistakes.append(
                "--\(option.name) needs a value: --\(option.name) \(option.placeholder ?? "")"
                    + (rest.isEmpty ? "." : "; a value that begins with -- is written --\(option.name)=--…"))
            return
        }
        guard option.isRepeated || values[option.name] == nil else {
            mistakes.append("--\(option.name) is given twice.")
            return
        }
        values[option.name, default: []].append(.init(text: text, origin: .commandLine))
    }

    private var valued: [String] { spec.options.filter { $0.kind != .flag }.map(\.name) }

    /// An empty variable counts as absent, because that is how shells and containers unset one.
    mutating func fill(environment: [String: String]) {
        for option in spec.options where values[option.name] == nil {
            if let variable = option.environment, let text = environment[variable], !text.isEmpty {
                values[option.name] = [.init(text: text, origin: .environment(variable))]
            } else if let text = option.default {
                values[option.name] = [.init(text: text, origin: .defaultValue)]
            }
        }
    }

    mutating func check() {
        for option in spec.options {
            guard let found = values[option.name] else {
                if option.isRequired { mistakes.append(Self.missing(option)) }
                continue
            }
            for value in found {
                guard let problem = Self.problem(option, value.text) else { continue }
                let shown = option.isSecret ? "" : "; it is '\(value.text.prefix(100))'"
                mistakes.append("\(ParsedCommand.place(option, value.origin)) \(problem)\(shown).")
            }
        }
    }

    private static func missing(_ option: OptionSpec) -> String {
        let also = option.environment.map { " (or set \($0))" } ?? ""
        return "--\(option.name) \(option.placeholder ?? "") is missing\(also)."
    }

    private static func problem(_ option: OptionSpec, _ text: String) -> String? {
        switch option.kind {
        case .flag:
            return ParsedCommand.boolean(text) == nil ? "must be true or false" : nil
        case .text:
            return text.isEmpty ? "must not be empty" : nil
        case .integer(let range):
            guard let value = Int(text), range.contains(value) else {
                return "must be a whole number from \(range.lowerBound) to \(range.upperBound)"
            }
            return nil
        case .duration(let range):
            guard let value = DurationText.parse(text) else {
                return "must be a duration with its unit, such as 250ms, 30s, 5m, 2h or 1d"
            }
            guard range.contains(value) else {
                let (low, high) = (DurationText.text(range.lowerBound), DurationText.text(range.upperBound))
                return "must be from \(low) to \(high)"
            }
            return nil
        case .choice(let choices):
            return choices.contains(text) ? nil : "must be one of \(choices.joined(separator: ", "))"
        }
    }

    mutating func assign() -> [String: [String]] {
        var assigned: [String: [String]] = [:]
        var rest = positionals[...]
        for argument in spec.arguments {
            if argument.isRepeated {
                assigned[argument.name] = Array(rest)
                rest = []
            } else if let word = rest.popFirst() {
                assigned[argument.name] = [word]
            }
            let words = assigned[argument.name] ?? []
            if words.isEmpty, argument.isRequired { mistakes.append("<\(argument.name)> is missing.") }
            if words.contains("") { mistakes.append("<\(argument.name)> must not be empty.") }
        }
        for word in rest {
            let hint = Nearest.name(to: word, in: spec.options.map(\.name)).map { "; did you mean --\($0)?" } ?? "."
            mistakes.append("'\(word.prefix(100))' is one word too many\(hint)")
        }
        return assigned
    }
}
