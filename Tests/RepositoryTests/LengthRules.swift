// How long files and functions may be, and the exceptions, which may only shrink: an entry that is no longer needed has
// to go, and nothing may exceed its entry.

import Glibc

enum LengthRules {
    static let fileLimit = 400
    static let hardFileLimit = 700
    static let functionLimit = 70

    /// Path to the most lines it may have.
    static let longFiles: [String: Int] = [:]
    /// "path function" to the most lines it may have.
    static let longFunctions: [String: Int] = [:]

    struct Function: Equatable {
        let name: String
        let line: Int
        let length: Int
    }

    static func violations(in files: [SourceFile], longFiles: [String: Int], longFunctions: [String: Int])
        -> [Violation]
    {
        var found: [Violation] = []
        var usedFiles: Set<String> = []
        var usedFunctions: Set<String> = []
        for file in files {
            let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
            if count > fileLimit { usedFiles.insert(file.path) }
            let limit = min(longFiles[file.path] ?? fileLimit, hardFileLimit)
            if count > limit {
                found.append(
                    Violation(file: file.path, message: "\(count) lines; at most \(limit). Split it by concept"))
            }
            for function in functions(of: file.swift) where function.length > functionLimit {
                let key = file.path + " " + function.name
                usedFunctions.insert(key)
                let limit = longFunctions[key] ?? functionLimit
                if function.length > limit {
                    let message = "\(function.name) has \(function.length) lines; at most \(limit)"
                    found.append(Violation(file: file.path, line: function.line, message: message))
                }
            }
        }
        for stale in longFiles.keys where !usedFiles.contains(stale) {
            found.append(Violation(file: stale, message: "needs no exception for its length any more; remove it"))
        }
        for stale in longFunctions.keys where !usedFunctions.contains(stale) {
            found.append(Violation(file: stale, message: "needs no exception for its length any more; remove it"))
        }
        return found.sorted()
    }

    /// Functions and initialisers that have a body, from the line of the keyword to the line of the closing brace.
    static func functions(of text: SwiftText) -> [Function] {
        text.code.indices.compactMap { index in
            guard strstr(text.code[index], "func") != nil || strstr(text.code[index], "init") != nil,
                let match = text.code[index].firstMatch(of: /(?:^|\s)(?:func\s+([^\s(<]+)|(init)[?!]?\s*[(<])/)
            else {
                return nil
            }
            let name = match.1.map(String.init) ?? "init"
            let start = match.1?.endIndex ?? match.2?.endIndex ?? match.range.upperBound
            guard let end = bodyEnd(in: text.code, line: index, from: text.code[index][start...]) else { return nil }
            return Function(name: name, line: index + 1, length: end - index + 1)
        }
    }

    /// The line of the brace that closes the body; nil for a requirement without a body or a call of `.init(`.
    private static func bodyEnd(in code: [String], line: Int, from first: Substring) -> Int? {
        var parentheses = 0
        var braces = 0
        for index in line..<code.count {
            let text = index == line ? first : code[index][...]
            if index > line, braces == 0, parentheses == 0,
                text.contains(
                    /^\s*(?:(?:package|private|static|mutating|@\w+)\s+)*(?:func|var|let|init|case|struct|enum|subscript)\b/
                )
            {
                return nil
            }
            for character in text {
                switch character {
                case "(", "[": parentheses += 1
                case ")", "]": parentheses -= 1
                case "{" where parentheses == 0 || braces > 0: braces += 1
                case "}" where parentheses == 0 || braces > 0:
                    braces -= 1
                    if braces < 0 { return nil }
                    if braces == 0 { return index }
                default: break
                }
            }
        }
        return nil
    }
}
