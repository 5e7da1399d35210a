// The text of `--help`: usage, arguments, options with variable and default, examples, exit codes.

extension CommandSpec {
    package func help(program: String) -> String {
        var parts = [summary + "."]
        if !discussion.isEmpty { parts.append(HelpText.wrap(discussion, width: HelpText.width, indent: 0)) }
        let words = [program, name] + arguments.map(\.usage) + (options.isEmpty ? [] : ["[options]"])
        parts.append("Usage: " + words.joined(separator: " "))
        if !arguments.isEmpty {
            parts.append("Arguments:\n" + HelpText.table(arguments.map { ("<\($0.name)>", $0.help) }))
        }
        var sections: [String] = []
        for option in options where !sections.contains(option.section) { sections.append(option.section) }
        for section in sections {
            let rows = options.filter { $0.section == section }.map(HelpText.row)
            parts.append("\(section):\n" + HelpText.table(rows))
        }
        if !examples.isEmpty {
            let lines = examples.joined(separator: "\n\n").split(separator: "\n", omittingEmptySubsequences: false)
            parts.append("Examples:\n" + lines.map { $0.isEmpty ? "" : "  " + $0 }.joined(separator: "\n"))
        }
        if !exitCodes.isEmpty {
            parts.append("Exit codes:\n" + HelpText.table(exitCodes.map { (String($0.rawValue), $0.meaning) }))
        }
        return parts.joined(separator: "\n\n") + "\n"
    }
}

enum HelpText {
    static let width = 100
    /// A name longer than this has its text on the next line.
    private static let nameWidthMaximum = 30

    static func row(_ option: OptionSpec) -> (String, String) {
        var notes: [String] = []
        if option.isRequired { notes.append("required") }
        if option.isRepeated { notes.append("may be repeated") }
        if let variable = option.environment { notes.append("environment: \(variable)") }
        if let text = option.default { notes.append("default: \(text)") }
        let name = ["--\(option.name)", option.placeholder].compactMap { $0 }.joined(separator: " ")
        return (name, option.help + (notes.isEmpty ? "" : " (\(notes.joined(separator: "; ")))"))
    }

    static func table(_ rows: [(String, String)]) -> String {
        let widest = rows.map(\.0.count).filter { $0 <= nameWidthMaximum }.max() ?? 0
        let indent = widest + 4
        return rows.map { name, text in
            let wrapped = wrap(text, width: width - indent, indent: indent)
            if name.count > widest { return "  \(name)\n" + String(repeating: " ", count: indent) + wrapped }
            return "  \(name)" + String(repeating: " ", count: widest - name.count + 2) + wrapped
        }.joined(separator: "\n")
    }

    /// Fills lines; an empty line of the text begins a paragraph. Lines after the first are indented.
    static func wrap(_ text: String, width: Int, indent: Int) -> String {
        var lines: [String] = []
        for (index, paragraph) in text.split(separator: "\n\n").enumerated() {
            if index > 0 { lines.append("") }
            var line = ""
            for word in paragraph.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
                if !line.isEmpty, line.count + 1 + word.count > width {
                    lines.append(line)
                    line = ""
                }
                line += (line.isEmpty ? "" : " ") + word
            }
            lines.append(line)
        }
        let margin = String(repeating: " ", count: indent)
        return lines.enumerated().map { $0 == 0 || $1.isEmpty ? $1 : margin + $1 }.joined(separator: "\n")
    }
}
