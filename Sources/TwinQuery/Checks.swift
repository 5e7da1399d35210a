// What the grammar allows and the language does not: select lists, groups and sources that do not go together.

struct Checks {
    let lexer: Lexer
    let statement: Statement

    func query() throws(QueryError) -> Query {
        if statement.source == .jobs { try checkJobs() }
        guard case .items(let items) = statement.list else {
            if let path = statement.groupPaths.first {
                throw error("SELECT * cannot be grouped; name the grouping paths and aggregates", at: path.position)
            }
            return Query(statement, keys: [], shape: .documents)
        }
        let keys = try keys(of: items)
        let hasAggregate = items.contains { if case .aggregate = $0.kind { true } else { false } }
        guard hasAggregate || !statement.groupPaths.isEmpty else { return Query(statement, keys: keys, shape: .rows) }
        try checkGroups(items)
        return Query(statement, keys: keys, shape: .groups)
    }

    private func error(_ message: String, at offset: Int) -> QueryError { lexer.error(message, at: offset) }

    // MARK: Keys

    /// Aliases and default keys. Items without either are named `$1`, `$2` … in order.
    private func keys(of items: [SelectItem]) throws(QueryError) -> [String] {
        var keys: [String] = []
        var seen: Set<[UInt8]> = []
        var unnamed = 0
        for item in items {
            let key: String
            if let name = item.alias ?? defaultKey(of: item) {
                key = name
            } else {
                unnamed += 1
                key = "$\(unnamed)"
            }
            guard seen.insert(Array(key.utf8)).inserted else {
                throw error("two items are named '\(key.excerpt)'; give one an alias with AS", at: item.position)
            }
            keys.append(key)
        }
        return keys
    }

    private func defaultKey(of item: SelectItem) -> String? {
        guard case .path(let path) = item.kind else { return nil }
        return Member.defaultKey(path, in: statement.source)
    }

    // MARK: Groups

    private func checkGroups(_ items: [SelectItem]) throws(QueryError) {
        var compiler = Compiler(source: statement.source)
        for path in statement.groupPaths where compiler.column(path).rendering != .value {
            throw error("GROUP BY takes no path to a whole section or to $metadata", at: path.position)
        }
        for item in items {
            switch item.kind {
            case .aggregate: continue
            case .path(let path):
                let isGrouped = statement.groupPaths.contains { isSame($0, path, &compiler) }
                if isGrouped { continue }
            case .function: break
            }
            throw error(
                "beside aggregates and with GROUP BY, every item is an aggregate or a grouping path", at: item.position)
        }
    }

    /// Two paths are the same if they compile to the same text, so `devices.ID` is `deviceId`. All unknown members
    /// compile to the same undefined value; those are compared as written.
    private func isSame(_ left: Path, _ right: Path, _ compiler: inout Compiler) -> Bool {
        let (first, second) = (compiler.groupKey(left), compiler.groupKey(right))
        guard first == second else { return false }
        guard case .undefined = compiler.member(left) else { return true }
        return left.segments.count == right.segments.count
            && zip(left.segments, right.segments).allSatisfy { $0.isIdentical(to: $1) }
    }

    // MARK: devices.jobs

    private func checkJobs() throws(QueryError) {
        if case .items(let items) = statement.list {
            throw error("over devices.jobs only SELECT * is supported", at: items.first?.position ?? 0)
        }
        if let path = statement.groupPaths.first {
            throw error("over devices.jobs there is no GROUP BY", at: path.position)
        }
        if let condition = statement.condition { try checkJobPaths(condition) }
    }

    private func checkJobPaths(_ expression: Expression) throws(QueryError) {
        if case .path(let path) = expression.kind, case .undefined = Member.resolve(path, in: .jobs) {
            guard case .undefined = Member.resolve(path, in: .devices) else {
                throw error("over devices.jobs there are no conditions on the twin", at: path.position)
            }
        }
        for child in expression.children { try checkJobPaths(child) }
    }
}
