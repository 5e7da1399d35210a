// A Swift file taken apart just enough for checks: its code without comments and string contents, and its string
// literals. Line numbers are kept, so that findings point at the right place.

import Glibc

struct SwiftText: Sendable {
    struct Literal: Sendable {
        let line: Int
        let text: String
    }

    /// The code; comments and the contents of string literals are spaces, lines stay lines.
    let code: [String]
    /// The lines as they stand in the file.
    let raw: [String]
    let literals: [Literal]
    private let joined: String

    init(_ source: String) {
        raw = source.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var scanner = Scanner(bytes: Array(source.utf8))
        scanner.scanCode(untilParenthesis: false)
        joined = String(decoding: scanner.output, as: UTF8.self)
        code = joined.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        literals = scanner.literals
    }

    /// Lines whose code matches, as 1-based numbers. `words`: what a match has to contain one of; a search for a plain
    /// word is a thousand times faster than an expression, and most files have none of them.
    func lines(with words: String..., matching expression: some RegexComponent) -> [Int] {
        guard words.contains(where: mentions) else { return [] }
        return code.indices.filter { index in
            words.contains { strstr(code[index], $0) != nil } && code[index].contains(expression)
        }.map { $0 + 1 }
    }

    func mentions(_ word: String) -> Bool { strstr(joined, word) != nil }
}

private struct Scanner {
    let bytes: [UInt8]
    var position = 0
    var line = 1
    var output: [UInt8] = []
    var literals: [SwiftText.Literal] = []

    init(bytes: [UInt8]) {
        self.bytes = bytes
        output.reserveCapacity(bytes.count)
    }

    private static let newline = UInt8(ascii: "\n")
    private static let quote = UInt8(ascii: "\"")
    private static let hash = UInt8(ascii: "#")
    private static let backslash = UInt8(ascii: "\\")

    private func starts(_ text: StaticString, at offset: Int = 0) -> Bool {
        let start = position + offset
        guard start + text.utf8CodeUnitCount <= bytes.count else { return false }
        for index in 0..<text.utf8CodeUnitCount where bytes[start + index] != text.utf8Start[index] { return false }
        return true
    }

    private mutating func keep() {
        if bytes[position] == Self.newline { line += 1 }
        output.append(bytes[position])
        position += 1
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where position < bytes.count {
            if bytes[position] == Self.newline { line += 1 }
            output.append(bytes[position] == Self.newline ? Self.newline : UInt8(ascii: " "))
            position += 1
        }
    }

    /// Up to the end, or, inside an interpolation, up to the parenthesis that closes it.
    mutating func scanCode(untilParenthesis: Bool) {
        var depth = 0
        while position < bytes.count {
            if starts("//") {
                while position < bytes.count, bytes[position] != Self.newline { blank() }
            } else if starts("/*") {
                scanBlockComment()
            } else if let hashes = literalStart() {
                scanLiteral(hashes: hashes)
            } else if untilParenthesis, bytes[position] == UInt8(ascii: ")"), depth == 0 {
                return
            } else {
                if bytes[position] == UInt8(ascii: "(") { depth += 1 }
                if bytes[position] == UInt8(ascii: ")") { depth -= 1 }
                keep()
            }
        }
    }

    private mutating func scanBlockComment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                blank(2)
            } else if starts("*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && position < bytes.count
    }

    /// How many # stand before the quote of a literal that starts here; nil when none starts here.
    private func literalStart() -> Int? {
        var index = position
        while index < bytes.count, bytes[index] == Self.hash { index += 1 }
        return index < bytes.count && bytes[index] == Self.quote ? index - position : nil
    }

    private func hashes(_ count: Int, at start: Int) -> Bool {
        guard start + count <= bytes.count else { return false }
        return bytes[start..<start + count].allSatisfy { $0 == Self.hash }
    }

    private mutating func scanLiteral(hashes count: Int) {
        let first = line
        for _ in 0..<count { keep() }
        let width = starts("\"\"\"") ? 3 : 1
        for _ in 0..<width { keep() }
        var text: [UInt8] = []
        while position < bytes.count {
            let closes = width == 3 ? starts("\"\"\"") : bytes[position] == Self.quote
            if closes, hashes(count, at: position + width) {
                for _ in 0..<width + count { keep() }
                break
            }
            if width == 1, bytes[position] == Self.newline { break }
            if bytes[position] == Self.backslash, hashes(count, at: position + 1) {
                blank(1 + count)
                guard position < bytes.count else { break }
                if bytes[position] == UInt8(ascii: "(") {
                    keep()
                    scanCode(untilParenthesis: true)
                    if position < bytes.count { keep() }
                    text.append(UInt8(ascii: "?"))
                } else {
                    text.append(bytes[position])
                    blank()
                }
            } else {
                text.append(bytes[position])
                blank()
            }
        }
        literals.append(SwiftText.Literal(line: first, text: String(decoding: text, as: UTF8.self)))
    }
}
