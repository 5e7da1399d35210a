// Which ids a condition allows at most: the stores use it to go straight to a few rows, or to a job's partition.

enum Pins {
    /// The ids if the expression is exactly `member = 'x'` or `member IN ['x', …]`.
    static func exact(_ expression: Expression, _ isMember: (Path) -> Bool) -> [String]? {
        switch expression.kind {
        case .comparison(.equal, let left, let right):
            switch (left.kind, right.kind) {
            case (.path(let path), .literal(.string(let id))), (.literal(.string(let id)), .path(let path)):
                return isMember(path) ? [id] : nil
            default: return nil
            }
        case .membership(let operand, let elements, isNegated: false):
            guard case .path(let path) = operand.kind, isMember(path) else { return nil }
            // An id equals no element of another type.
            return unique(elements.compactMap { if case .string(let id) = $0 { id } else { nil } })
        default: return nil
        }
    }

    /// Ids outside of which the expression is never true; nil if it does not name any.
    static func necessary(_ expression: Expression, _ isMember: (Path) -> Bool) -> [String]? {
        switch expression.kind {
        case .all(let parts):
            let sets = parts.compactMap { necessary($0, isMember) }
            guard let first = sets.first else { return nil }
            return sets.dropFirst().reduce(first) { result, set in
                result.filter { id in set.contains { $0.isIdentical(to: id) } }
            }
        case .any(let parts):
            var result: [String] = []
            for part in parts {
                guard let ids = necessary(part, isMember) else { return nil }
                result += ids
            }
            return unique(result)
        default: return exact(expression, isMember)
        }
    }

    private static func unique(_ ids: [String]) -> [String] {
        var seen: Set<[UInt8]> = []
        return ids.filter { seen.insert(Array($0.utf8)).inserted }
    }
}
