// Package.swift as a graph: which target may use which. Read as text, in the forms that our manifest uses.

struct Manifest {
    enum Kind {
        case library
        case executable
        case systemLibrary
        case plugin
        case test
    }

    struct Target {
        let name: String
        let kind: Kind
        let dependencies: [String]
    }

    let targets: [String: Target]

    init(_ source: String) {
        var targets: [String: Target] = [:]
        let forms: [(String, Kind)] = [
            ("module(", .library), ("tests(", .test), (".executableTarget(", .executable),
            (".systemLibrary(", .systemLibrary), (".plugin(", .plugin), (".target(", .library), (".testTarget(", .test),
        ]
        for (form, kind) in forms {
            for arguments in Self.calls(of: form, in: source) {
                let named = arguments.firstMatch(of: /name:\s*"(\w+)"/).map { String($0.1) }
                let leading = arguments.prefixMatch(of: /\s*"(\w+)"/).map { String($0.1) }
                guard let name = named ?? leading else { continue }
                let dependencies = kind == .systemLibrary || kind == .plugin ? [] : Self.firstList(in: arguments)
                targets[name] = Target(name: name, kind: kind, dependencies: dependencies)
            }
        }
        self.targets = targets
    }

    /// The text between the parentheses of each call; definitions of functions (`func module(`) are passed over.
    private static func calls(of form: String, in source: String) -> [String] {
        var found: [String] = []
        var rest = source[...]
        while let range = rest.firstRange(of: form) {
            let before = rest[..<range.lowerBound].last
            let isDefinition = rest[..<range.lowerBound].hasSuffix("func ")
            var depth = 1
            var end = range.upperBound
            while end < rest.endIndex, depth > 0 {
                if rest[end] == "(" { depth += 1 }
                if rest[end] == ")" { depth -= 1 }
                end = rest.index(after: end)
            }
            let isWord = before.map { $0.isLetter || $0 == "_" } ?? false
            if !isDefinition, !(isWord && !form.hasPrefix(".")) { found.append(String(rest[range.upperBound..<end])) }
            rest = rest[range.upperBound...]
        }
        return found
    }

    /// The names in the first list; lists of providers and resources come later in every form.
    private static func firstList(in arguments: String) -> [String] {
        guard let list = arguments.firstMatch(of: /\[([^\]]*)\]/) else { return [] }
        return list.1.matches(of: /"(\w+)"/).map { String($0.1) }
    }
}
