// What a command accepts, as data: the parser, the help text and the error messages all read the same description, so
// that they cannot disagree.

/// One option, `--name`. Its value comes from the command line, else from the environment variable, else from `default`.
package struct OptionSpec: Sendable {
    package enum Kind: Sendable, Equatable {
        case flag
        case text(placeholder: String)
        /// Whole numbers within the range.
        case integer(ClosedRange<Int>)
        /// A number with a unit: 250ms, 30s, 5m, 2h, 1d.
        case duration(ClosedRange<Duration>)
        case choice([String])
    }

    package let name: String
    package let environment: String?
    package let kind: Kind
    package let `default`: String?
    package let isRequired: Bool
    /// May be given several times; then read with `texts`.
    package let isRepeated: Bool
    /// Never shown in messages.
    package let isSecret: Bool
    /// The heading under which help lists it.
    package let section: String
    package let help: String

    package init(
        name: String, environment: String? = nil, kind: Kind, default: String? = nil, isRequired: Bool = false,
        isRepeated: Bool = false, isSecret: Bool = false, section: String = "Options", help: String
    ) {
        precondition(
            kind != .flag || (`default` == nil && !isRequired && !isRepeated), "--\(name): a flag is off by default")
        precondition(`default` != "", "--\(name): an empty default would be refused")
        precondition(`default` == nil || (!isRequired && !isRepeated), "--\(name): a required option has no default")
        self.name = name
        self.environment = environment
        self.kind = kind
        self.default = `default`
        self.isRequired = isRequired
        self.isRepeated = isRepeated
        self.isSecret = isSecret
        self.section = section
        self.help = help
    }

    var placeholder: String? {
        switch kind {
        case .flag: nil
        case .text(let placeholder): "<\(placeholder)>"
        case .integer: "<number>"
        case .duration: "<duration>"
        case .choice(let values): "<" + values.joined(separator: "|") + ">"
        }
    }
}

/// One positional argument. Optional ones come after required ones, a repeated one last.
package struct ArgumentSpec: Sendable {
    package let name: String
    package let isRequired: Bool
    package let isRepeated: Bool
    package let help: String

    package init(name: String, isRequired: Bool = true, isRepeated: Bool = false, help: String) {
        self.name = name
        self.isRequired = isRequired
        self.isRepeated = isRepeated
        self.help = help
    }

    var usage: String {
        let text = "<\(name)>" + (isRepeated ? "..." : "")
        return isRequired ? text : "[\(text)]"
    }
}

package struct CommandSpec: Sendable {
    /// The words after the program's name, such as `job create`.
    package let name: String
    /// One line, without a full stop.
    package let summary: String
    package let discussion: String
    package let arguments: [ArgumentSpec]
    package let options: [OptionSpec]
    /// Whole command lines, each optionally preceded by a comment line.
    package let examples: [String]
    package let exitCodes: [ExitCode]

    package init(
        name: String, summary: String, discussion: String = "", arguments: [ArgumentSpec] = [],
        options: [OptionSpec] = [], examples: [String] = [], exitCodes: [ExitCode] = ExitCode.allCases
    ) {
        precondition(Set(options.map(\.name)).count == options.count, "\(name): two options of one name")
        self.name = name
        self.summary = summary
        self.discussion = discussion
        self.arguments = arguments
        self.options = options
        self.examples = examples
        self.exitCodes = exitCodes
    }

    var words: [String] { name.split(separator: " ").map(String.init) }
}
