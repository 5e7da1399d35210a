// A statement of POST /devices/query, parsed and checked, and what the stores execute of it.
//
// The store owns the skeleton (SELECT … FROM … WHERE … ORDER BY … LIMIT) in its `.sql` files; this module gives what
// varies. How the pieces go together, for a statement over devices:
//
//     shape      skeleton
//     documents  SELECT <the twin's columns> FROM <sources> WHERE (<condition>) AND t.device_id > <last>
//                ORDER BY t.device_id LIMIT <page + 1>
//     rows       SELECT t.device_id, <columnList> FROM … the same WHERE, ORDER BY and LIMIT
//     groups     SELECT <columnList> FROM <sources> WHERE (<condition>) <groupClause> LIMIT <page + 1> OFFSET <seen>
//
// Over devices.jobs only `documents` occurs, and the condition stands over `jobs j`, `work_items i` and
// `LEFT JOIN work_batches b` (the batch that owns the item). Over devices.modules the condition is `false`.
//
// `top` bounds the rows of all pages together: the continuation carries how many were given.

package struct Query: Sendable {
    package enum ItemType: String, Sendable {
        case twin = "Twin"
        case deviceJob = "DeviceJob"
        case raw = "Raw"
    }

    package enum Shape: Sendable {
        /// `SELECT *`: whole twins or device records.
        case documents
        /// One row per device, of paths and functions.
        case rows
        /// Aggregates: one row per group, or exactly one where there is no GROUP BY.
        case groups
    }

    let statement: Statement
    /// Output keys of the items, in order; empty for `*`.
    let keys: [String]
    package let shape: Shape
    /// Ids of the only jobs that can match, from equality and IN on jobId; nil when all jobs can. Only over
    /// devices.jobs. May name jobs that do not exist, and be empty.
    package let jobIDs: [String]?
    /// Ids of the only devices that can match, likewise; for all sources.
    package let deviceIDs: [String]?

    package var source: QuerySource { statement.source }
    /// Most rows of all pages together; nil without TOP.
    package var top: Int? { statement.top }

    /// The value of `x-ms-item-type`.
    package var itemType: ItemType {
        switch (shape, source) {
        case (.documents, .jobs): .deviceJob
        case (.documents, .devices), (.documents, .modules): .twin
        case (.rows, _), (.groups, _): .raw
        }
    }

    init(_ statement: Statement, keys: [String], shape: Shape) {
        self.statement = statement
        self.keys = keys
        self.shape = shape
        let source = statement.source
        jobIDs = statement.condition.flatMap {
            Pins.necessary($0) { if case .job(.jobId) = Member.resolve($0, in: source) { true } else { false } }
        }
        deviceIDs = statement.condition.flatMap {
            Pins.necessary($0) {
                switch Member.resolve($0, in: source) {
                case .job(.deviceId), .twin(.deviceId): true
                default: false
                }
            }
        }
    }

    /// The varying parts, their placeholders numbered from `firstParameter`, all in one numbering. Equal shapes give
    /// equal texts.
    package func compiled(firstParameter: Int) -> CompiledQuery {
        var compiler = Compiler(source: source)
        var condition = statement.condition.map { compiler.condition($0, .selecting) } ?? "true"
        if source == .modules { condition = "(false AND \(condition))" }
        var columns: [CompiledQuery.Column] = []
        if case .items(let items) = statement.list {
            columns = zip(items, keys).map { compiler.column($0, key: $1) }
        }
        let groupKeys = statement.groupPaths.map { compiler.groupKey($0) }
        let (texts, parameters) = compiler.sql.numbered(
            [condition] + columns.map(\.sql) + groupKeys, from: firstParameter)
        return CompiledQuery(
            condition: texts[0],
            columns: zip(columns, texts[1...]).map {
                CompiledQuery.Column(key: $0.key, sql: $1, rendering: $0.rendering)
            },
            groupKeys: Array(texts[(1 + columns.count)...]), sources: compiler.sql.sources, parameters: parameters)
    }
}

/// See `Query` for the skeletons.
package struct CompiledQuery: Sendable {
    /// One member of a row.
    package struct Column: Sendable {
        /// Its name in the row. User text: it never goes into SQL.
        package let key: String
        /// A jsonb expression; NULL is undefined, and the member is left out of the row.
        package let sql: String
        /// What the JSON becomes before it goes into the row.
        package let rendering: Rendering
    }

    package enum Rendering: Sendable, Equatable {
        /// The JSON is the value.
        case value
        /// The JSON is `[document, compact metadata, $version, device's creation in microseconds]` of a section. The
        /// value is the member at `path` of the section as a twin shows it, with `$metadata` and `$version`; an empty
        /// path is the section itself, and a path that is not there leaves the member out.
        case section(PropertySection, path: [String])
        /// The JSON is `[desired, reported]`, each as above; the value is `{"desired": …, "reported": …}`.
        case properties
    }

    /// Selects a row where true; NULL is as false. Raises no error for any row.
    package let condition: String
    /// Empty for `documents`.
    package let columns: [Column]
    /// jsonb expressions; empty without GROUP BY.
    package let groupKeys: [String]
    /// What FROM must offer; `sources.fromClause` does. For devices and devices.modules only.
    package let sources: Set<Source>
    package let parameters: [QueryParameter]

    /// `<expression> AS c0, <expression> AS c1`: the values of `columns`, in order.
    package var columnList: String {
        columns.enumerated().map { "\($0.element.sql) AS c\($0.offset)" }.joined(separator: ", ")
    }

    /// Behind WHERE for `groups`: GROUP BY and an ORDER BY that makes paging by OFFSET stable; empty without GROUP BY.
    package var groupClause: String {
        guard !groupKeys.isEmpty else { return "" }
        let keys = groupKeys.joined(separator: ", ")
        return "GROUP BY \(keys) ORDER BY \(keys)"
    }
}

/// Parses and checks a statement.
package func parseStatement(_ text: String) throws(QueryError) -> Query {
    var parser = try Parser(text)
    if parser.isAtEnd { throw parser.error("the statement is empty", at: 0) }
    let statement = try parser.statement()
    return try Checks(lexer: parser.lexer, statement: statement).query()
}
