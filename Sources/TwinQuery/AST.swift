// The tree of a condition and of a statement. Positions are offsets into the submitted text, in Unicode scalars from 0.

enum Literal: Sendable {
    case string(String)
    case number(Double)
    case bool(Bool)
    case null
    case undefined
    case array([Literal])
}

/// `devices.tags.[[my-key]].list[0]`, as written.
struct Path: Sendable {
    enum Segment: Sendable {
        case name(String)
        case index(Int)

        func isIdentical(to other: Segment) -> Bool {
            switch (self, other) {
            case (.name(let left), .name(let right)): left.isIdentical(to: right)
            case (.index(let left), .index(let right)): left == right
            case (.name, .index), (.index, .name): false
            }
        }
    }

    let segments: [Segment]
    let position: Int
}

enum ComparisonOperator: Sendable {
    case equal
    case notEqual
    case less
    case lessOrEqual
    case greater
    case greaterOrEqual

    var isEquality: Bool { self == .equal || self == .notEqual }

    /// The operator with its sides exchanged.
    var mirrored: ComparisonOperator {
        switch self {
        case .equal: .equal
        case .notEqual: .notEqual
        case .less: .greater
        case .lessOrEqual: .greaterOrEqual
        case .greater: .less
        case .greaterOrEqual: .lessOrEqual
        }
    }

    var sql: String {
        switch self {
        case .equal: "="
        case .notEqual: "<>"
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        }
    }
}

enum ArithmeticOperator: Sendable {
    case add
    case subtract
    case multiply
    case divide
    case remainder
}

struct Expression: Sendable {
    indirect enum Kind: Sendable {
        case literal(Literal)
        case path(Path)
        case call(Function, [Expression])
        /// Unary minus; unary plus is `isNegative: false`, and makes a non-number undefined.
        case signed(Expression, isNegative: Bool)
        case arithmetic(ArithmeticOperator, Expression, Expression)
        case comparison(ComparisonOperator, Expression, Expression)
        case membership(Expression, [Literal], isNegated: Bool)
        case not(Expression)
        /// AND of two or more.
        case all([Expression])
        /// OR of two or more.
        case any([Expression])
    }

    let kind: Kind
    let position: Int
    /// Arithmetic operators on the longest way down. They chain without parentheses, so that the parser's depth does not
    /// bound them; AND and OR, which chain too, are one node however many parts they have.
    let operatorHeight: Int

    init(_ kind: Kind, at position: Int) {
        self.kind = kind
        self.position = position
        let below = Self.children(of: kind).map(\.operatorHeight).max() ?? 0
        if case .arithmetic = kind { operatorHeight = below + 1 } else { operatorHeight = below }
    }

    var children: [Expression] { Self.children(of: kind) }

    private static func children(of kind: Kind) -> [Expression] {
        switch kind {
        case .literal, .path: []
        case .call(_, let arguments): arguments
        case .signed(let operand, isNegative: _), .not(let operand), .membership(let operand, _, isNegated: _):
            [operand]
        case .arithmetic(_, let left, let right), .comparison(_, let left, let right): [left, right]
        case .all(let parts), .any(let parts): parts
        }
    }
}

enum AggregateFunction: String, Sendable {
    case average = "avg"
    case count
    case maximum = "max"
    case minimum = "min"
    case sum
}

/// One entry of a SELECT list.
struct SelectItem: Sendable {
    enum Kind: Sendable {
        case path(Path)
        /// Always a `.call`.
        case function(Expression)
        /// `argument` is nil for COUNT.
        case aggregate(AggregateFunction, argument: Path?)
    }

    let kind: Kind
    let alias: String?
    let position: Int
}

enum SelectList: Sendable {
    case everything
    case items([SelectItem])
}

/// What a statement reads.
package enum QuerySource: Sendable {
    case devices
    /// Always empty: Muster has no modules.
    case modules
    /// Per-device results of jobs.
    case jobs
}

struct Statement: Sendable {
    let top: Int?
    let list: SelectList
    let source: QuerySource
    let condition: Expression?
    let groupPaths: [Path]
}
