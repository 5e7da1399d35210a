// Statements: SELECT … FROM … WHERE … GROUP BY.

extension Parser {
    mutating func statement() throws(QueryError) -> Statement {
        guard try take(.select) else { throw error("a statement begins with SELECT, found \(found)") }
        let top = try take(.top) ? try topCount() : nil
        let list = try selectList()
        guard try take(.from) else {
            throw isUnsupportedClause ?? error("expected FROM, found \(found)")
        }
        let source = try source()
        let condition = try take(.where) ? try condition() : nil
        let groupPaths = try take(.group) ? try groupPaths() : []
        try expectEnd()
        return Statement(top: top, list: list, source: source, condition: condition, groupPaths: groupPaths)
    }

    func expectEnd() throws(QueryError) {
        guard !isAtEnd else { return }
        throw isUnsupportedClause ?? error("expected nothing more, found \(found)")
    }

    private var isUnsupportedClause: QueryError? {
        guard let word, Keyword.unsupportedClauses.contains(word) else { return nil }
        return error("the language has no \(word == "order" ? "ORDER BY" : word.uppercased())")
    }

    private mutating func topCount() throws(QueryError) -> Int {
        guard case .number(_, integer: let count?) = token.kind, count <= QueryLimits.top else {
            throw error("TOP takes an integer from 0 to \(QueryLimits.top), found \(found)")
        }
        try advance()
        return count
    }

    private mutating func source() throws(QueryError) -> QuerySource {
        guard word == "devices" else {
            throw error("expected devices, devices.modules or devices.jobs, found \(found)")
        }
        try advance()
        guard try take(.dot) else { return .devices }
        let source: QuerySource
        switch word {
        case "modules": source = .modules
        case "jobs": source = .jobs
        default: throw error("expected modules or jobs after 'devices.', found \(found)")
        }
        try advance()
        return source
    }

    private mutating func groupPaths() throws(QueryError) -> [Path] {
        guard try take(.by) else { throw error("expected BY after GROUP, found \(found)") }
        var paths: [Path] = []
        repeat {
            guard paths.count < QueryLimits.groupPaths else {
                throw error("GROUP BY takes at most \(QueryLimits.groupPaths) paths")
            }
            paths.append(try path())
            if isSymbol(.leftParenthesis) { throw error("GROUP BY takes paths, not functions") }
        } while try take(.comma)
        return paths
    }

    // MARK: SELECT list

    private mutating func selectList() throws(QueryError) -> SelectList {
        if try take(.star) { return .everything }
        var items: [SelectItem] = []
        repeat {
            guard items.count < QueryLimits.selectItems else {
                throw error("a SELECT list holds at most \(QueryLimits.selectItems) items")
            }
            items.append(try selectItem())
        } while try take(.comma)
        return .items(items)
    }

    private mutating func selectItem() throws(QueryError) -> SelectItem {
        let position = token.start
        if let unsupported = isUnsupportedClause { throw unsupported }
        switch token.kind {
        case .word: break
        case .symbol(.leftBracket) where lexer.opensEscapedSegment: break
        case .symbol, .string, .number, .end:
            throw error("a SELECT list holds paths, functions and aggregates, found \(found)")
        }
        let word = word
        let path = try path()
        let kind: SelectItem.Kind
        if isSymbol(.leftParenthesis), path.segments.count == 1, let word {
            if let function = AggregateFunction(rawValue: word) {
                kind = try aggregate(function)
            } else {
                kind = .function(try call(word, at: position))
            }
        } else {
            kind = .path(path)
        }
        return SelectItem(kind: kind, alias: try alias(), position: position)
    }

    private mutating func aggregate(_ function: AggregateFunction) throws(QueryError) -> SelectItem.Kind {
        let name = function.rawValue.uppercased()
        try advance()
        var argument: Path?
        switch function {
        case .count:
            _ = try take(.star)
        case .average, .maximum, .minimum, .sum:
            guard case .word = token.kind else { throw error("\(name) takes a path, found \(found)") }
            argument = try path()
        }
        guard try take(.rightParenthesis) else {
            let expected = argument == nil ? "COUNT takes nothing or * in its parentheses" : "expected ) after the path"
            throw error("\(expected), found \(found)")
        }
        return .aggregate(function, argument: argument)
    }

    private mutating func alias() throws(QueryError) -> String? {
        let isNamed = try take(.as)
        switch token.kind {
        case .word(let word):
            if Keyword.isReserved(word) || Keyword.unsupportedClauses.contains(word.folded) {
                if isNamed { throw error("'\(word)' is a reserved word; as a name it is written [[\(word)]]") }
                return nil
            }
            try advance()
            return word
        case .symbol(.leftBracket) where lexer.opensEscapedSegment:
            let name = try lexer.escapedSegment()
            try advance()
            return name
        case .symbol, .string, .number, .end:
            if isNamed { throw error("expected a name after AS, found \(found)") }
            return nil
        }
    }
}
