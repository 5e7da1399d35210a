// Tokens of a query text, one at a time and only when the parser asks: `[` means a list, an index or the start of an
// escaped segment depending on what the parser expects, so the text cannot be cut without it.

/// A token and where it stands. Offsets count Unicode scalars from 0.
struct Token: Sendable {
    enum Kind: Sendable {
        /// A name or keyword as written.
        case word(String)
        case string(String)
        /// `integer` is set when the number was written as digits only, or in hexadecimal.
        case number(Double, integer: Int?)
        case symbol(Symbol)
        case end
    }

    enum Symbol: String, Sendable {
        case leftParenthesis = "("
        case rightParenthesis = ")"
        case leftBracket = "["
        case rightBracket = "]"
        case comma = ","
        case dot = "."
        case star = "*"
        case slash = "/"
        case percent = "%"
        case plus = "+"
        case minus = "-"
        case equal = "="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    let kind: Kind
    let start: Int
    let end: Int
}

struct Lexer: Sendable {
    let scalars: [Unicode.Scalar]
    private(set) var offset = 0

    init(_ text: String) {
        scalars = Array(text.unicodeScalars)
    }

    func error(_ message: String, at offset: Int) -> QueryError {
        QueryError(message, at: offset, in: scalars)
    }

    private var current: Unicode.Scalar? { offset < scalars.count ? scalars[offset] : nil }

    private func scalar(after distance: Int) -> Unicode.Scalar? {
        offset + distance < scalars.count ? scalars[offset + distance] : nil
    }

    mutating func next() throws(QueryError) -> Token {
        while let scalar = current, Self.isSpace(scalar) { offset += 1 }
        let start = offset
        guard let scalar = current else { return Token(kind: .end, start: start, end: start) }
        let kind: Token.Kind
        if scalar == "'" || scalar == "\"" {
            kind = .string(try string(quote: scalar))
        } else if Self.isDigit(scalar) {
            kind = try number()
        } else if Self.startsWord(scalar) {
            while let scalar = current, Self.startsWord(scalar) || Self.isDigit(scalar) { offset += 1 }
            kind = .word(Self.text(scalars[start..<offset]))
        } else {
            kind = .symbol(try symbol(scalar))
        }
        return Token(kind: kind, start: start, end: offset)
    }

    // MARK: Escaped segments

    /// True right behind a `[` token that opens an escaped segment, if one may stand there.
    var opensEscapedSegment: Bool { current == "[" }

    /// True if the next token is `(`.
    var opensParenthesis: Bool { scalars[offset...].first { !Self.isSpace($0) } == "(" }

    /// The rest of `[[…]]` behind its first `[`: everything up to `]]` is literal.
    mutating func escapedSegment() throws(QueryError) -> String {
        let start = offset - 1
        offset += 1
        let first = offset
        while let scalar = current {
            if scalar == "]", self.scalar(after: 1) == "]" {
                let name = Self.text(scalars[first..<offset])
                guard !name.isEmpty else { throw error("the name between [[ and ]] is empty", at: start) }
                offset += 2
                return name
            }
            guard scalar != "\0" else { throw error("a name cannot hold the character U+0000", at: offset) }
            offset += 1
        }
        throw error("the name that begins with [[ at column \(start + 1) is not closed by ]]", at: offset)
    }

    // MARK: Parts

    private mutating func symbol(_ scalar: Unicode.Scalar) throws(QueryError) -> Token.Symbol {
        if let following = self.scalar(after: 1) {
            let pair = Self.text([scalar, following])
            if pair == "<>" {
                offset += 2
                return .notEqual
            }
            if pair == "!=" || pair == "<=" || pair == ">=", let symbol = Token.Symbol(rawValue: pair) {
                offset += 2
                return symbol
            }
        }
        guard let symbol = Token.Symbol(rawValue: String(scalar)) else {
            let shown = scalar.value < 0x20 || scalar.value == 0x7f ? Self.codePoint(scalar) : "'\(scalar)'"
            throw error("the character \(shown) has no meaning here", at: offset)
        }
        offset += 1
        return symbol
    }

    private mutating func string(quote: Unicode.Scalar) throws(QueryError) -> String {
        let start = offset
        offset += 1
        var result = String.UnicodeScalarView()
        while let scalar = current {
            switch scalar {
            case quote:
                offset += 1
                return String(result)
            case "\\":
                result.append(try escape())
            case "\n", "\r":
                throw error(
                    "the text that begins at column \(start + 1) is not closed before the line ends", at: offset)
            case "\0":
                throw error("a text cannot hold the character U+0000", at: offset)
            default:
                result.append(scalar)
                offset += 1
            }
        }
        throw error("the text that begins at column \(start + 1) is not closed", at: offset)
    }

    private mutating func escape() throws(QueryError) -> Unicode.Scalar {
        let start = offset
        guard let scalar = scalar(after: 1) else {
            throw error("the text ends within an escape", at: scalars.count)
        }
        offset += 2
        switch scalar {
        case "'", "\"", "\\", "/": return scalar
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "b": return "\u{8}"
        case "f": return "\u{c}"
        case "u": return try unicodeEscape(start)
        default: throw error("\\\(scalar) is not an escape; write \\\\ for a backslash", at: start)
        }
    }

    /// Behind `\u`: four hexadecimal digits, or two such escapes that form a surrogate pair.
    private mutating func unicodeEscape(_ start: Int) throws(QueryError) -> Unicode.Scalar {
        var value = try fourDigits(start)
        if (0xd800..<0xdc00).contains(value), current == "\\", scalar(after: 1) == "u" {
            offset += 2
            let low = try fourDigits(start)
            if (0xdc00..<0xe000).contains(low) { value = 0x10000 + (value - 0xd800) << 10 + (low - 0xdc00) }
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw error("the escape is half of a surrogate pair", at: start)
        }
        guard value != 0 else { throw error("a text cannot hold the character U+0000", at: start) }
        return scalar
    }

    private mutating func fourDigits(_ start: Int) throws(QueryError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = current.flatMap(Self.hexadecimal) else {
                throw error("\\u takes four hexadecimal digits", at: start)
            }
            value = value << 4 + UInt32(digit)
            offset += 1
        }
        return value
    }

    private mutating func number() throws(QueryError) -> Token.Kind {
        let start = offset
        if current == "0", let mark = scalar(after: 1), mark == "x" || mark == "X" { return try hexadecimalNumber() }
        var isInteger = true
        skipDigits()
        if current == ".", let digit = scalar(after: 1), Self.isDigit(digit) {
            isInteger = false
            offset += 1
            skipDigits()
        }
        if let mark = current, mark == "e" || mark == "E" {
            let signed = scalar(after: 1) == "+" || scalar(after: 1) == "-"
            guard let digit = scalar(after: signed ? 2 : 1), Self.isDigit(digit) else {
                throw error("the exponent of the number has no digits", at: offset)
            }
            isInteger = false
            offset += signed ? 2 : 1
            skipDigits()
        }
        try refuseWordAfterNumber()
        let text = Self.text(scalars[start..<offset])
        guard let value = Double(text), value.isFinite else { throw error("the number is too large", at: start) }
        return .number(value, integer: isInteger ? Int(text) : nil)
    }

    private mutating func hexadecimalNumber() throws(QueryError) -> Token.Kind {
        let start = offset
        offset += 2
        let first = offset
        var value: UInt64 = 0
        while let digit = current.flatMap(Self.hexadecimal) {
            guard value >> 60 == 0 else { throw error("the number is too large", at: start) }
            value = value << 4 + UInt64(digit)
            offset += 1
        }
        guard offset > first else { throw error("0x is not followed by hexadecimal digits", at: start) }
        try refuseWordAfterNumber()
        return .number(Double(value), integer: Int(exactly: value))
    }

    private func refuseWordAfterNumber() throws(QueryError) {
        if let scalar = current, Self.startsWord(scalar) {
            throw error("a number cannot be followed directly by a letter", at: offset)
        }
    }

    private mutating func skipDigits() {
        while let scalar = current, Self.isDigit(scalar) { offset += 1 }
    }

    // MARK: Characters

    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || scalar == "\t" || scalar == "\r" || scalar == "\n"
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { scalar >= "0" && scalar <= "9" }

    private static func startsWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar == "$" || scalar.properties.isAlphabetic
    }

    private static func hexadecimal(_ scalar: Unicode.Scalar) -> UInt8? {
        switch scalar {
        case "0"..."9": UInt8(scalar.value - 0x30)
        case "a"..."f": UInt8(scalar.value - 0x61 + 10)
        case "A"..."F": UInt8(scalar.value - 0x41 + 10)
        default: nil
        }
    }

    private static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    private static func codePoint(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}
