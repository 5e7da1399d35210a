// Recursive descent over the grammar of conditions, one function a rule. Statements follow in `Parser+Statement.swift`.
//
// Every way down passes `nested`, which bounds the depth, and every node passes `node`, which bounds chains of operators
// and the number of nodes; so no text, however it was made, exhausts the stack of this parser, of the compiler or of
// PostgreSQL.

struct Parser {
    var lexer: Lexer
    /// The token that is looked at; nothing behind it has been cut yet.
    private(set) var token: Token
    private var depth = 0
    private var nodeCount = 0

    /// Reads the first token.
    init(_ text: String) throws(QueryError) {
        lexer = Lexer(text)
        guard lexer.scalars.count <= QueryLimits.textLength else {
            throw lexer.error(
                "the text has \(lexer.scalars.count) characters; at most \(QueryLimits.textLength) are allowed",
                at: QueryLimits.textLength)
        }
        token = Token(kind: .end, start: 0, end: 0)
        token = try lexer.next()
    }

    // MARK: Tokens

    mutating func advance() throws(QueryError) { token = try lexer.next() }

    func error(_ message: String, at offset: Int? = nil) -> QueryError {
        lexer.error(message, at: offset ?? token.start)
    }

    func isSymbol(_ symbol: Token.Symbol) -> Bool {
        if case .symbol(symbol) = token.kind { true } else { false }
    }

    var isAtEnd: Bool { if case .end = token.kind { true } else { false } }

    /// The word that is looked at, folded.
    var word: String? { if case .word(let word) = token.kind { word.folded } else { nil } }

    func isKeyword(_ keyword: Keyword) -> Bool { word == keyword.rawValue }

    /// Steps over a symbol if it is there.
    mutating func take(_ symbol: Token.Symbol) throws(QueryError) -> Bool {
        guard isSymbol(symbol) else { return false }
        try advance()
        return true
    }

    /// Steps over a keyword if it is there.
    mutating func take(_ keyword: Keyword) throws(QueryError) -> Bool {
        guard isKeyword(keyword) else { return false }
        try advance()
        return true
    }

    /// What stands here, for messages.
    var found: String {
        switch token.kind {
        case .word(let word): "'\(word.excerpt)'"
        case .string: "a text"
        case .number: "a number"
        case .symbol(let symbol): "'\(symbol.rawValue)'"
        case .end: "the end"
        }
    }

    // MARK: Limits

    mutating func nested<Result>(
        at position: Int, _ parse: (inout Parser) throws(QueryError) -> Result
    ) throws(QueryError) -> Result {
        guard depth < QueryLimits.depth else {
            throw error("nested deeper than \(QueryLimits.depth) levels", at: position)
        }
        depth += 1
        let result = try parse(&self)
        depth -= 1
        return result
    }

    mutating func node(_ kind: Expression.Kind, at position: Int) throws(QueryError) -> Expression {
        let expression = Expression(kind, at: position)
        nodeCount += 1
        guard expression.operatorHeight <= QueryLimits.depth else {
            throw error("more than \(QueryLimits.depth) arithmetic operators depend on one another", at: position)
        }
        guard nodeCount <= QueryLimits.nodes else {
            throw error("more than \(QueryLimits.nodes) operands and operators", at: position)
        }
        return expression
    }

    // MARK: Conditions

    mutating func condition() throws(QueryError) -> Expression {
        let position = token.start
        var parts = [try conjunction()]
        while try take(.or) { parts.append(try conjunction()) }
        return parts.count == 1 ? parts[0] : try node(.any(parts), at: position)
    }

    private mutating func conjunction() throws(QueryError) -> Expression {
        let position = token.start
        var parts = [try negation()]
        while try take(.and) { parts.append(try negation()) }
        return parts.count == 1 ? parts[0] : try node(.all(parts), at: position)
    }

    private mutating func negation() throws(QueryError) -> Expression {
        let position = token.start
        guard try take(.not) else { return try predicate() }
        let operand = try nested(at: position) { (parser) throws(QueryError) in try parser.negation() }
        return try node(.not(operand), at: position)
    }

    private mutating func predicate() throws(QueryError) -> Expression {
        let left = try additive()
        let position = token.start
        if let comparison = comparisonOperator {
            try advance()
            let right = try additive()
            guard comparisonOperator == nil else { throw error("comparisons do not chain; join them with AND") }
            return try node(.comparison(comparison, left, right), at: position)
        }
        if word == "nin" {
            try advance()
            return try membership(of: left, isNegated: true, at: position)
        }
        if try take(.in) { return try membership(of: left, isNegated: false, at: position) }
        if try take(.not) {
            guard try take(.in) else { throw error("expected IN after NOT, found \(found)") }
            return try membership(of: left, isNegated: true, at: position)
        }
        return left
    }

    private mutating func membership(
        of operand: Expression, isNegated: Bool, at position: Int
    ) throws(QueryError) -> Expression {
        if isSymbol(.leftParenthesis) { throw error("IN takes a list in square brackets: IN ['a', 'b']") }
        guard isSymbol(.leftBracket) else { throw error("expected a list in square brackets, found \(found)") }
        let elements = try list()
        return try node(.membership(operand, elements, isNegated: isNegated), at: position)
    }

    private var comparisonOperator: ComparisonOperator? {
        guard case .symbol(let symbol) = token.kind else { return nil }
        return switch symbol {
        case .equal: .equal
        case .notEqual: .notEqual
        case .less: .less
        case .lessOrEqual: .lessOrEqual
        case .greater: .greater
        case .greaterOrEqual: .greaterOrEqual
        case .leftParenthesis, .rightParenthesis, .leftBracket, .rightBracket, .comma, .dot, .star, .slash, .percent,
            .plus, .minus:
            nil
        }
    }

    // MARK: Values

    mutating func additive() throws(QueryError) -> Expression {
        var left = try term()
        while isSymbol(.plus) || isSymbol(.minus) {
            let position = token.start
            let arithmetic: ArithmeticOperator = isSymbol(.plus) ? .add : .subtract
            try advance()
            left = try node(.arithmetic(arithmetic, left, try term()), at: position)
        }
        return left
    }

    private mutating func term() throws(QueryError) -> Expression {
        var left = try unary()
        while isSymbol(.star) || isSymbol(.slash) || isSymbol(.percent) {
            let position = token.start
            let arithmetic: ArithmeticOperator =
                isSymbol(.star) ? .multiply : isSymbol(.slash) ? .divide : .remainder
            try advance()
            left = try node(.arithmetic(arithmetic, left, try unary()), at: position)
        }
        return left
    }

    private mutating func unary() throws(QueryError) -> Expression {
        let position = token.start
        guard isSymbol(.plus) || isSymbol(.minus) else { return try primary() }
        let isNegative = isSymbol(.minus)
        try advance()
        let operand = try primary()
        if case .literal(.number(let value)) = operand.kind {
            return try node(.literal(.number(isNegative ? -value : value)), at: position)
        }
        return try node(.signed(operand, isNegative: isNegative), at: position)
    }

    private mutating func primary() throws(QueryError) -> Expression {
        let position = token.start
        switch token.kind {
        case .string(let value):
            try advance()
            return try node(.literal(.string(value)), at: position)
        case .number(let value, integer: _):
            try advance()
            return try node(.literal(.number(value)), at: position)
        case .symbol(.leftParenthesis):
            return try parenthesised()
        case .symbol(.leftBracket):
            if lexer.opensEscapedSegment { return try node(.path(try path()), at: position) }
            return try node(.literal(.array(try list())), at: position)
        case .word(let word):
            if let literal = Self.literal(named: word) {
                try advance()
                return try node(.literal(literal), at: position)
            }
            let path = try path()
            guard isSymbol(.leftParenthesis), path.segments.count == 1 else {
                return try node(.path(path), at: position)
            }
            return try call(word, at: position)
        case .symbol, .end:
            throw error("expected a value, a path or a function, found \(found)")
        }
    }

    private mutating func parenthesised() throws(QueryError) -> Expression {
        let position = token.start
        return try nested(at: position) { (parser) throws(QueryError) in
            try parser.advance()
            let inner = try parser.condition()
            guard try parser.take(.rightParenthesis) else {
                throw parser.error(
                    "expected ) for the parenthesis at column \(position + 1), found \(parser.found)")
            }
            return inner
        }
    }

    /// The arguments of a function; the token is its `(`.
    mutating func call(_ name: String, at position: Int) throws(QueryError) -> Expression {
        if AggregateFunction(rawValue: name.folded) != nil {
            throw error("the aggregate \(name) may only stand in a SELECT list", at: position)
        }
        guard let function = Function(named: name) else {
            throw error("there is no function '\(name.excerpt)'", at: position)
        }
        let arguments = try nested(at: position) { (parser) throws(QueryError) in
            try parser.advance()
            var arguments: [Expression] = []
            if try parser.take(.rightParenthesis) { return arguments }
            repeat { arguments.append(try parser.additive()) } while try parser.take(.comma)
            guard try parser.take(.rightParenthesis) else {
                throw parser.error("expected , or ) in the arguments of \(name), found \(parser.found)")
            }
            return arguments
        }
        guard function.argumentCount.contains(arguments.count) else {
            throw error("\(name) takes \(function.expectedArguments), found \(arguments.count)", at: position)
        }
        return try node(.call(function, arguments), at: position)
    }

    // MARK: Literals

    private static func literal(named word: String) -> Literal? {
        switch word.folded {
        case "true": .bool(true)
        case "false": .bool(false)
        case "null": .null
        case "undefined": .undefined
        default: nil
        }
    }

    /// A list; the token is its `[`.
    private mutating func list() throws(QueryError) -> [Literal] {
        let position = token.start
        return try nested(at: position) { (parser) throws(QueryError) in
            try parser.advance()
            var elements: [Literal] = []
            if try parser.take(.rightBracket) { return elements }
            repeat {
                guard elements.count < QueryLimits.listElements else {
                    throw parser.error("a list holds at most \(QueryLimits.listElements) elements")
                }
                elements.append(try parser.element())
            } while try parser.take(.comma)
            if parser.isAtEnd { throw parser.error("the list that begins at column \(position + 1) is not closed") }
            guard try parser.take(.rightBracket) else {
                throw parser.error("expected , or ] in the list, found \(parser.found)")
            }
            return elements
        }
    }

    private mutating func element() throws(QueryError) -> Literal {
        let isNegative = isSymbol(.minus)
        if isNegative || isSymbol(.plus) {
            try advance()
            guard case .number(let value, integer: _) = token.kind else {
                throw error("expected a number after the sign, found \(found)")
            }
            try advance()
            return .number(isNegative ? -value : value)
        }
        switch token.kind {
        case .string(let value):
            try advance()
            return .string(value)
        case .number(let value, integer: _):
            try advance()
            return .number(value)
        case .symbol(.leftBracket):
            return .array(try list())
        case .word(let word):
            guard let literal = Self.literal(named: word) else {
                throw error("a list holds literals only, found '\(word.excerpt)'")
            }
            try advance()
            return literal
        case .symbol, .end:
            if isAtEnd { throw error("the list is not closed") }
            throw error("expected a literal in the list, found \(found)")
        }
    }

    // MARK: Paths

    /// A path; the token is a word or the first `[` of an escaped segment.
    mutating func path() throws(QueryError) -> Path {
        let position = token.start
        var segments = [Path.Segment.name(try segment())]
        while true {
            guard segments.count <= QueryLimits.pathSegments else {
                throw error("a path has at most \(QueryLimits.pathSegments) segments", at: position)
            }
            if try take(.dot) {
                segments.append(.name(try segment()))
            } else if isSymbol(.leftBracket) {
                segments.append(try index())
            } else {
                return Path(segments: segments, position: position)
            }
        }
    }

    private mutating func segment() throws(QueryError) -> String {
        switch token.kind {
        case .word(let word):
            guard !Keyword.isReserved(word) || isCallOfTest(word) else {
                throw error("'\(word)' is a reserved word; as a name it is written [[\(word)]]")
            }
            try advance()
            return word
        case .symbol(.leftBracket) where lexer.opensEscapedSegment:
            let name = try lexer.escapedSegment()
            try advance()
            return name
        case .symbol, .string, .number, .end:
            throw error("expected a name, found \(found)")
        }
    }

    /// `IS_NULL(` and its like are reserved as names, and functions where a parenthesis follows.
    private func isCallOfTest(_ word: String) -> Bool {
        Keyword(rawValue: word.folded) == nil && lexer.opensParenthesis
    }

    private mutating func index() throws(QueryError) -> Path.Segment {
        try advance()
        let segment: Path.Segment
        switch token.kind {
        case .number(_, integer: let integer):
            guard let integer, integer <= QueryLimits.arrayIndex else {
                throw error("an index is an integer up to \(QueryLimits.arrayIndex)")
            }
            segment = .index(integer)
        case .string(let name):
            segment = .name(name)
        case .word, .symbol, .end:
            throw error("expected an index or a name in quotes, found \(found)")
        }
        try advance()
        guard try take(.rightBracket) else { throw error("expected ] after the index, found \(found)") }
        return segment
    }
}
