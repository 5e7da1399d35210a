// A command line that has been checked whole. The getters cannot fail: asking for an option that the description does
// not have, or for a value that may be absent as if it could not, is a mistake in Muster and stops it.

package struct ParsedCommand: Sendable {
    /// Where a value came from; messages name it, because the mistake must be mended there.
    package enum Origin: Sendable, Equatable {
        case commandLine
        case environment(String)
        case defaultValue
    }

    struct Value: Sendable {
        var text: String
        var origin: Origin
    }

    package let spec: CommandSpec
    let values: [String: [Value]]
    let positionals: [String: [String]]

    // MARK: Options

    package func flag(_ name: String) -> Bool {
        let option = option(name)
        precondition(option.kind == .flag, "--\(name) is no flag")
        return values[name]?.last.map { Self.boolean($0.text) == true } ?? false
    }

    /// For options with a default and required ones.
    package func text(_ name: String) -> String {
        guard let text = optionalText(name) else { preconditionFailure("--\(name) may be absent") }
        return text
    }

    package func optionalText(_ name: String) -> String? {
        _ = option(name)
        return values[name]?.last?.text
    }

    package func texts(_ name: String) -> [String] {
        _ = option(name)
        return values[name]?.map(\.text) ?? []
    }

    package func integer(_ name: String) -> Int {
        guard let value = optionalInteger(name) else { preconditionFailure("--\(name) may be absent") }
        return value
    }

    package func optionalInteger(_ name: String) -> Int? {
        guard let text = optionalText(name) else { return nil }
        guard let value = Int(text) else { preconditionFailure("--\(name) is described as no integer") }
        return value
    }

    package func duration(_ name: String) -> Duration {
        guard let value = optionalDuration(name) else { preconditionFailure("--\(name) may be absent") }
        return value
    }

    package func optionalDuration(_ name: String) -> Duration? {
        guard let text = optionalText(name) else { return nil }
        guard let value = DurationText.parse(text) else {
            preconditionFailure("--\(name) is described as no duration")
        }
        return value
    }

    package func origin(_ name: String) -> Origin? {
        _ = option(name)
        return values[name]?.last?.origin
    }

    // MARK: Arguments

    package func argument(_ name: String) -> String {
        guard let text = arguments(name).first else { preconditionFailure("<\(name)> may be absent") }
        return text
    }

    package func optionalArgument(_ name: String) -> String? { arguments(name).first }

    package func arguments(_ name: String) -> [String] {
        precondition(spec.arguments.contains { $0.name == name }, "\(spec.name) has no argument <\(name)>")
        return positionals[name] ?? []
    }

    // MARK: Messages

    /// The error for a value that only the command itself can judge, such as JSON or a file's name.
    package func mistake(_ name: String, _ text: String) -> UsageError {
        UsageError(
            ["\(Self.place(option(name), values[name]?.last?.origin ?? .commandLine)) \(text)"], command: spec.name)
    }

    package func mistake(_ text: String) -> UsageError { UsageError([text], command: spec.name) }

    /// Every option with its value and where it came from, secrets masked: for the line that a service writes at start.
    package var settings: [(name: String, value: String, origin: String)] {
        spec.options.compactMap { option in
            guard let all = values[option.name], let last = all.last else { return nil }
            let value = option.isSecret ? "***" : all.map(\.text).joined(separator: ",")
            return switch last.origin {
            case .commandLine: (option.name, value, "flag")
            case .environment(let variable): (option.name, value, variable)
            case .defaultValue: (option.name, value, "default")
            }
        }
    }

    static func place(_ option: OptionSpec, _ origin: Origin) -> String {
        switch origin {
        case .commandLine, .defaultValue: "--\(option.name)"
        case .environment(let variable): "\(variable) (environment, for --\(option.name))"
        }
    }

    static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "1", "on", "true", "yes": true
        case "0", "false", "no", "off": false
        default: nil
        }
    }

    private func option(_ name: String) -> OptionSpec {
        guard let option = spec.options.first(where: { $0.name == name }) else {
            preconditionFailure("\(spec.name) has no option --\(name)")
        }
        return option
    }
}

package enum DurationText {
    /// `250ms`, `30s`, `5m`, `2h`, `1d`; a fraction is allowed. Nil for anything else, also for a number without a unit.
    package static func parse(_ text: String) -> Duration? {
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let unit = units.first(where: { $0.0 == text.dropFirst(number.count) }), let value = Double(number),
            // A hundred years: what is longer is a mistake, and Duration's arithmetic stays far from its end.
            value * unit.1 <= 3_155_760_000
        else { return nil }
        return .milliseconds(Int64((value * unit.1 * 1000).rounded()))
    }

    package static func text(_ duration: Duration) -> String {
        let milliseconds = duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] as [(String, Int64)]
        where milliseconds >= size && milliseconds % size == 0 {
            return "\(milliseconds / size)\(unit)"
        }
        return "\(milliseconds)ms"
    }
}
