// Words of the language. Keywords, function names and system member names are matched without regard to the case of
// ASCII letters; user keys are not.

extension String {
    /// With ASCII letters lowered. Other letters stay: `İ` must not become a keyword.
    var folded: String {
        String(decoding: utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// Same scalars. `==` on String also calls different spellings of an accented letter equal, which PostgreSQL does
    /// not.
    func isIdentical(to other: String) -> Bool { utf8.elementsEqual(other.utf8) }

    /// For messages: at most 40 characters of user text.
    var excerpt: String { unicodeScalars.count <= 40 ? self : String(unicodeScalars.prefix(40)) + "…" }
}

enum Keyword: String, Sendable {
    case and, `as`, by, from, group, `in`, not, or, order, select, top, `where`

    /// Words that a path segment may only be in `[[ ]]`.
    static func isReserved(_ word: String) -> Bool {
        let word = word.folded
        return Keyword(rawValue: word) != nil || reservedTests.contains(word)
    }

    private static let reservedTests: Set<String> = [
        "is_bool", "is_defined", "is_null", "is_number", "is_object", "is_primitive", "is_string",
    ]

    /// Clauses of other dialects, refused by name.
    static let unsupportedClauses: Set<String> = [
        "between", "distinct", "except", "exists", "having", "intersect", "join", "like", "limit", "offset", "order",
        "union",
    ]
}
