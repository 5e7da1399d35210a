// A job's queryCondition: the WHERE part of a statement over devices.

/// A parsed and checked condition. Immutable; compile it as often as needed.
package struct Condition: Sendable {
    /// nil selects all devices.
    let expression: Expression?
    /// The tables that `sql` refers to; `sources.fromClause` is the FROM that offers them.
    package let sources: Set<Source>
    /// The ids, in the order in which they were written and each once, when the condition is nothing but an id equality
    /// or a list of ids: `deviceId = 'a'`, `id IN ['a', 'b']`. Ids that no device has may be among them. nil for any
    /// other condition.
    package let deviceIDs: [String]?

    init(_ expression: Expression?) {
        self.expression = expression
        var compiler = Compiler(source: .devices)
        _ = expression.map { compiler.condition($0, .selecting) }
        sources = compiler.sql.sources
        deviceIDs = expression.flatMap {
            Pins.exact($0) { if case .twin(.deviceId) = Member.resolve($0, in: .devices) { true } else { false } }
        }
    }

    /// A boolean expression over the aliases of `sources`, its placeholders numbered from `firstParameter`. A row is
    /// selected where it is true; it may be false or NULL for others, so use it as a conjunct of a WHERE and negate it
    /// nowhere. It raises no error for any row. The same shape of condition gives the same text.
    package func sql(firstParameter: Int) -> SQLFragment {
        var compiler = Compiler(source: .devices)
        let text = expression.map { compiler.condition($0, .selecting) } ?? "true"
        let (texts, parameters) = compiler.sql.numbered([text], from: firstParameter)
        return SQLFragment(text: texts[0], parameters: parameters)
    }
}

/// Parses a job's `queryCondition`: a condition, or `*` for all devices.
package func parseCondition(_ text: String) throws(QueryError) -> Condition {
    var parser = try Parser(text)
    if parser.isAtEnd { throw parser.error("the condition is empty; * selects all devices", at: 0) }
    if parser.isKeyword(.select) {
        throw parser.error("a complete SELECT statement is not a condition; give only what stands behind WHERE")
    }
    if parser.isKeyword(.from) {
        throw parser.error("a condition over devices.modules is not supported; give only what stands behind WHERE")
    }
    if try parser.take(.star) {
        try parser.expectEnd()
        return Condition(nil)
    }
    let expression = try parser.condition()
    try parser.expectEnd()
    return Condition(expression)
}
