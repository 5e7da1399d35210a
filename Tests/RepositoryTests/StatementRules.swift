// SQL and Lua files: each says what it is for, has a name of its own, and is used.

enum StatementRules {
    /// Statements of the product: `Queries/*.sql` and `Scripts/*.lua`. Migrations only have to say what they do.
    static func violations(in repository: Repository) -> [Violation] {
        let statements = repository.files.filter { isStatement($0) }
        let migrations = repository.files(withExtension: "sql").filter { !isStatement($0) && !isGenerated($0) }
        return
            (statements.flatMap { header(of: $0, needsParameters: true) }
            + migrations.flatMap { header(of: $0, needsParameters: false) }
            + duplicates(among: statements)
            + statements.flatMap { use(of: $0, in: repository) }
            + statements.filter { $0.has(extension: "lua") }.flatMap(keys)).sorted()
    }

    private static func isStatement(_ file: SourceFile) -> Bool {
        file.isInSources && (file.has(extension: "sql") || file.has(extension: "lua"))
    }

    /// The dump that a test compares is written by a tool.
    private static func isGenerated(_ file: SourceFile) -> Bool { file.name == "expected_schema.sql" }

    /// The comment lines at the start.
    static func headerLines(of file: SourceFile) -> [Substring] {
        Array(file.lines.prefix { $0.hasPrefix("--") })
    }

    static func header(of file: SourceFile, needsParameters: Bool) -> [Violation] {
        let lines = headerLines(of: file)
        guard let first = lines.first, first.count > 10 else {
            return [Violation(file: file.path, line: 1, message: "needs a header comment that says what it is for")]
        }
        guard needsParameters else { return [] }
        let header = lines.joined(separator: "\n")
        if file.has(extension: "lua") {
            return ["KEYS", "ARGV"].filter { file.text.contains("\($0)[") && !header.contains("\($0):") }.map {
                Violation(file: file.path, line: 1, message: "the header does not say what \($0) holds")
            }
        }
        let body = file.lines.dropFirst(lines.count).map { line in
            line.firstRange(of: "--").map { line[..<$0.lowerBound] } ?? line
        }.joined(separator: "\n")
        let used = Set(body.matches(of: /\$(\d+)/).map { String($0.1) })
        let described = Set(header.matches(of: /\$(\d+)/).map { String($0.1) })
        return used.subtracting(described).sorted().map {
            Violation(file: file.path, line: 1, message: "the header does not describe $\($0)")
        }
    }

    /// One name, one statement: prepared statements, logs and metrics carry the name alone.
    static func duplicates(among files: [SourceFile]) -> [Violation] {
        let byName = Dictionary(grouping: files, by: \.name).values
        let byText = Dictionary(grouping: files, by: { body(of: $0) }).values
        let named = byName.filter { $0.count > 1 }.map { group in
            Violation(file: group[0].path, message: "the name is taken already: \(group.dropFirst().map(\.path))")
        }
        let same = byText.filter { $0.count > 1 }.map { group in
            Violation(file: group[0].path, message: "the same statement stands in \(group.dropFirst().map(\.path))")
        }
        return named + same
    }

    private static func body(of file: SourceFile) -> String {
        file.lines.dropFirst(headerLines(of: file).count).joined(separator: "\n")
    }

    /// Embedded by name in the module's Swift, as a constant that something else names.
    static func use(of file: SourceFile, in repository: Repository) -> [Violation] {
        let resource = String(file.name.map { $0.isLetter || $0.isNumber ? $0 : "_" })
        let sources = repository.swiftFiles.filter { $0.isInSources && $0.target == file.target }
        let lines: [Substring] = sources.flatMap { $0.lines }
        guard let line = lines.first(where: { $0.contains("PackageResources.\(resource)") }) else {
            return [Violation(file: file.path, message: "no Swift file of \(file.target ?? "its module") embeds it")]
        }
        guard let constant = line.firstMatch(of: /static let (\w+)/).map({ String($0.1) }) else { return [] }
        let isUsed = lines.contains { $0 != line && mentions(constant, in: $0) }
        return isUsed ? [] : [Violation(file: file.path, message: "\(constant) is defined and never used")]
    }

    private static func mentions(_ constant: String, in line: Substring) -> Bool {
        line.matches(of: /\.(\w+)/).contains { $0.1 == constant }
    }

    /// `name-2.lua` takes two KEYS.
    static func keys(of file: SourceFile) -> [Violation] {
        guard let promised = file.name.firstMatch(of: /-(\d+)\.lua$/).flatMap({ Int($0.1) }) else {
            return [Violation(file: file.path, message: "the name ends with the number of KEYS: name-2.lua")]
        }
        let used = file.text.matches(of: /KEYS\[(\d+)\]/).compactMap { Int($0.1) }.max() ?? 0
        guard used != promised else { return [] }
        return [Violation(file: file.path, message: "uses \(used) KEYS, and its name says \(promised)")]
    }
}
