// From the tree to SQL: conditions. Values stand in `Compiler+Members.swift`, `Compiler+Functions.swift` and
// `Compiler+Arithmetic.swift`, comparisons in `Compiler+Comparison.swift`.
//
// The language has true, false, undefined and null; SQL has true, false and NULL. Undefined becomes NULL, null becomes
// 'null'::jsonb, and an operand that is no Boolean becomes NULL too. Then NOT, AND and OR of SQL are those of the
// language: AND is false if any side is false, else NULL if any side is NULL, else true, and so on.
//
// Where only "true or not" matters — the top of a condition, and below AND and OR from there — a condition is compiled
// in the `selecting` sense, in which false and undefined may be exchanged. That allows the forms that an index serves:
//
//     tags.a.b = 'x'         t.tags @> '{"a":{"b":"x"}}'           (GIN twins_tags)
//     tags.a.b IN ['x','y']  t.tags @> ANY('{…}'::jsonb[])         (the same)
//     deviceId IN ['a','b']  t.device_id = ANY('{a,b}'::text[])    (primary key)
//
// Below NOT, and where a Boolean is a value, it is compiled in the `exact` sense.
//
// No row may raise an error: every cast stands in a CASE behind the test that it needs, because PostgreSQL does not
// promise an order of evaluation anywhere else.

import JSON

struct Compiler {
    enum Sense: Sendable {
        /// Only whether the result is true matters.
        case selecting
        /// False and undefined are told apart.
        case exact
    }

    static let undefined = "NULL::boolean"

    let source: QuerySource
    var sql = SQLBuilder()

    init(source: QuerySource) { self.source = source }

    /// A boolean expression.
    mutating func condition(_ expression: Expression, _ sense: Sense) -> String {
        switch expression.kind {
        case .all(let parts):
            return "(" + parts.map { condition($0, sense) }.joined(separator: " AND ") + ")"
        case .any(let parts):
            return "(" + parts.map { condition($0, sense) }.joined(separator: " OR ") + ")"
        case .not(let operand):
            return "(NOT \(condition(operand, .exact)))"
        case .comparison(let comparison, let left, let right):
            return self.comparison(comparison, left, right, sense)
        case .membership(let operand, let elements, isNegated: let isNegated):
            if isNegated { return "(NOT \(membership(operand, elements, .exact)))" }
            return membership(operand, elements, sense)
        case .path(let path):
            // A bare path is a condition if it holds a Boolean; comparing it with true selects the same rows.
            if sense == .selecting, let indexed = indexedEquality(member(path), .bool(true)) { return indexed }
            return truth(of: value(expression))
        case .literal, .call, .signed, .arithmetic:
            return truth(of: value(expression))
        }
    }

    /// The Boolean that a value is, or undefined.
    private func truth(of value: Value) -> String {
        switch value {
        case .constant(.bool(let constant)): constant ? "true" : "false"
        case .boolean(let text): text
        case .json(let text):
            "(CASE WHEN jsonb_typeof(\(text)) = 'boolean' THEN \(text) = 'true'::jsonb END)"
        case .constant, .number, .string, .timestamp, .object: Self.undefined
        }
    }

    mutating func value(_ expression: Expression) -> Value {
        switch expression.kind {
        case .literal(let literal): return .constant(literal)
        case .path(let path): return value(of: member(path))
        case .call(let function, let arguments): return call(function, arguments)
        case .signed(let operand, isNegative: let isNegative):
            guard let number = number(value(operand)) else { return .undefined }
            return .number(isNegative ? "(- \(number))" : number)
        case .arithmetic(let arithmetic, let left, let right):
            guard let left = number(value(left)), let right = number(value(right)) else { return .undefined }
            return .number(self.arithmetic(arithmetic, left, right))
        case .comparison, .membership, .not, .all, .any:
            return .boolean(condition(expression, .exact))
        }
    }

    func member(_ path: Path) -> Member { Member.resolve(path, in: source) }

    // MARK: Typed views of a value; nil when it can never have the type

    /// float8, NULL for anything but a number.
    mutating func number(_ value: Value) -> String? {
        switch value {
        case .constant(.number(let constant)): sql.number(constant)
        case .number(let text): text
        case .json(let text):
            "(CASE WHEN jsonb_typeof(\(text)) = 'number' THEN \(Self.double("(\(text))::numeric")) END)"
        case .constant, .boolean, .string, .timestamp, .object: nil
        }
    }

    /// text, NULL for anything but a string. Timestamps are strings.
    mutating func string(_ value: Value) -> String? {
        switch value {
        case .constant(.string(let constant)): sql.text(constant)
        case .string(let text): text
        case .timestamp(microseconds: _, text: let text): text
        case .json(let text): "(CASE WHEN jsonb_typeof(\(text)) = 'string' THEN \(text) #>> '{}' END)"
        case .constant, .boolean, .number, .object: nil
        }
    }

    /// numeric to float8 without an error: too large is undefined, too small is zero. `numeric` is a leaf.
    static func double(_ numeric: String) -> String {
        "CASE WHEN abs(\(numeric)) > 1.7976931348623157e308 THEN NULL "
            + "WHEN abs(\(numeric)) < 5e-324 THEN 0::float8 ELSE (\(numeric))::float8 END"
    }

    /// Evaluates operands once and names them v.a, v.b, …: OFFSET 0 keeps the planner from copying them into `body`,
    /// which would let nested operations grow exponentially.
    static func bound(_ operands: [String], _ body: String) -> String {
        let names = ["a", "b", "c"]
        let columns = zip(operands, names).map { "\($0) AS \($1)" }.joined(separator: ", ")
        return "(SELECT \(body) FROM (SELECT \(columns) OFFSET 0) AS v)"
    }
}
