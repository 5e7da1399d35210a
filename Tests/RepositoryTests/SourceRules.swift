// What no Swift file of ours may hold. One rule a case, each with the places where it does not apply and why.

struct SourceRule: Sendable {
    let name: String
    let message: String
    let applies: @Sendable (SourceFile) -> Bool
    let find: @Sendable (SwiftText) -> [Int]

    func violations(in file: SourceFile) -> [Violation] {
        guard applies(file) else { return [] }
        return find(file.swift).map { Violation(file: file.path, line: $0, message: message) }
    }

    static let all: [SourceRule] = [
        printing, waiting, droppedErrors, emptyCatch, statements, publicAccess, wallClock, switchedOff,
    ]

    static let printing = SourceRule(
        name: "print", message: "print belongs to the command line; use Log",
        // Tests and benchmarks write to a person, too: seeds and figures.
        applies: { $0.isInSources && $0.target != "muster" && $0.target != "CommandLineKit" && $0.target != "Bench" },
        find: {
            $0.lines(
                with: "print", "Print", "dump", "NSLog", matching: /(?:^|[^\w.])(?:print|debugPrint|dump|NSLog)\s*\(/)
        })

    static let waiting = SourceRule(
        name: "sleep", message: "nothing waits by the clock except through ServiceClock; tests wait for an event",
        applies: { $0.path != "Sources/ServiceKit/ServiceClock.swift" },
        find: { text in
            text.lines(with: "sleep", matching: /\b(?:Task|Thread)\s*\.\s*sleep\b/)
                + text.lines(with: "sleep", matching: /(?:^|[^\w.])(?:sleep|usleep|nanosleep)\s*\(/).filter { line in
                    !text.code[line - 1].contains(/\bfunc\s+sleep\b/)
                }
        })

    static let droppedErrors = SourceRule(
        name: "try?", message: "an error is handled or passed on, never dropped",
        // A test may ask whether something throws at all.
        applies: { $0.isInSources },
        find: { $0.lines(with: "try", matching: /\btry\s*\?/) })

    static let emptyCatch = SourceRule(
        name: "empty catch", message: "an error that nobody sees is found by the user",
        applies: { _ in true },
        // A comment inside that says why nothing is to be done settles it.
        find: { text in
            text.lines(with: "catch", matching: /\bcatch\b[^{}]*\{\s*(?:\}|$)/).filter { line in
                let closing = (line - 1..<text.code.count).first { index in
                    let code = text.code[index]
                    let rest =
                        index == line - 1
                        ? code[(code.lastIndex(of: "{") ?? code.startIndex)...].dropFirst() : code[...]
                    return rest.contains { !$0.isWhitespace }
                }
                guard let closing, text.code[closing].contains(/^\s*\}|\{\s*\}/) else { return false }
                return !text.raw[line - 1...closing].contains { $0.contains("//") }
            }
        })

    static let statements = SourceRule(
        name: "SQL in Swift",
        message: "SQL stands in Queries/*.sql; compiled pieces are made in TwinQuery and TwinModel",
        // The operator's side speaks the twin query language, and has no PostgreSQL to reach.
        applies: {
            $0.isInSources && $0.target != "OperatorClient" && !$0.path.hasPrefix("Sources/muster/Operator/")
        },
        find: { text in
            text.literals.filter { literal in
                literal.text.contains(
                    /^\s*(?:SELECT\s+.*\bFROM\b|INSERT INTO\s|UPDATE\s+\w+\s+SET\b|DELETE FROM\s|WITH\s+\w+\s+AS\b)/)
            }.map(\.line)
        })

    static let publicAccess = SourceRule(
        name: "public", message: "we ship programs: package between modules, internal otherwise",
        applies: { $0.isInSources },
        find: {
            $0.lines(
                with: "public ", "open ",
                matching:
                    /\b(?:public|open)\s+(?:static\s+|final\s+)*(?:func|var|let|struct|class|enum|actor|protocol|init|typealias|extension|import)\b/
            )
        })

    static let wallClock = SourceRule(
        name: "clock and randomness", message: "time and randomness come in as ServiceClock and RandomSource",
        applies: { $0.isInSources && $0.path != "Sources/ServiceKit/ServiceClock.swift" },
        find: {
            $0.lines(
                with: "Date", "Clock", "andom", "shuffled",
                matching:
                    /\bDate\s*\(\s*\)|\bDate\s*\.\s*now\b|ContinuousClock|SuspendingClock|\.random\s*\(|\.randomElement\s*\(|\.shuffled\s*\(\s*\)|SystemRandomNumberGenerator/
            )
        })

    static let switchedOff = SourceRule(
        name: "tests switched off", message: "a test that does not run proves nothing; mend or delete it",
        applies: { $0.isInTests && $0.path != "Tests/RepositoryTests/SourceRules.swift" },
        find: {
            $0.lines(with: "disabled", "withKnownIssue", "XCTSkip", matching: /\.disabled\s*\(|withKnownIssue|XCTSkip/)
        })
}

/// Words that promise later work, in every text file of the product.
enum PromiseRule {
    static func violations(in file: SourceFile) -> [Violation] {
        guard ["swift", "sql", "lua", "h", "py"].contains(where: file.has(extension:)) else { return [] }
        guard !file.path.hasPrefix("Tests/RepositoryTests/") else { return [] }
        return file.lines.enumerated().compactMap { index, line in
            line.contains(/\b(?:TODO|FIXME|XXX|HACK)\b/)
                ? Violation(file: file.path, line: index + 1, message: "promises later work; do it or file an issue")
                : nil
        }
    }
}
