// Every limit of the query language with the reason for its number (invariant I9).

package enum QueryLimits {
    /// Characters (Unicode scalars) of a condition or statement, from the wire contract.
    package static let textLength = 8192
    /// Nesting of parentheses, NOT, functions and lists, and of operators in one arithmetic chain. Bounds the recursion
    /// of the parser, of the compiler, and of PostgreSQL, which plans one subquery for each arithmetic operator.
    package static let depth = 64
    /// Literals, paths, operators and calls of one text: far above any real query, and PostgreSQL plans it in
    /// milliseconds.
    package static let nodes = 4096
    /// Elements of one list. A list of ids in 8192 characters has fewer.
    package static let listElements = 2048
    /// Items of a SELECT list. PostgreSQL takes 1664 columns; rows of this size stay readable.
    package static let selectItems = 256
    /// Paths of a GROUP BY.
    package static let groupPaths = 32
    /// Segments of one path: twins are ten levels deep, and `devices.properties.desired.$metadata` stands before them.
    package static let pathSegments = 32
    /// Largest array index: PostgreSQL's integer.
    package static let arrayIndex = 2_147_483_647
    /// Largest TOP.
    package static let top = 1_000_000_000
}
