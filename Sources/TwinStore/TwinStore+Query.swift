// Statements over devices: `TwinQuery` gives the parts that vary, the skeletons stand in Queries/query_*.sql.
//
// Pages follow the order of device ids, so they stay stable while devices come and go; groups have no such key and page
// by offset.

package import JSON
import Postgres
package import ServiceKit
import StoreKit
import TwinModel
package import TwinQuery

private enum Statements {
    static let groups = Statement("query_groups", PackageResources.query_groups_sql)
    static let rows = Statement("query_rows", PackageResources.query_rows_sql)
    static let twins = Statement("query_twins", PackageResources.query_twins_sql)
}

/// Where a page of a query ended.
package struct QueryPosition: Sendable, Hashable {
    /// The last device seen; nil for groups.
    package let deviceID: String?
    /// Rows of all pages so far: TOP bounds them, and groups go on behind them.
    package let count: Int

    package init(deviceID: String?, count: Int) {
        self.deviceID = deviceID
        self.count = count
    }
}

package struct QueryPage: Sendable {
    package let items: [JSONValue]
    /// Nil on the last page.
    package let next: QueryPosition?
}

extension TwinStore {
    /// A page of up to `limit` items of a statement over devices or modules; `timestamp` renders a moment.
    package func query(
        _ query: Query, after: QueryPosition?, limit: Int, timestamp: @Sendable (Int64) -> String
    ) async throws(StoreError) -> QueryPage {
        precondition(query.source != .jobs, "device records of jobs are in JobStore")
        let seen = after?.count ?? 0
        let size = min(limit, query.top.map { max(0, $0 - seen) } ?? limit)
        guard size > 0 else { return QueryPage(items: [], next: nil) }
        let compiled = query.compiled(firstParameter: 3)
        let parameters = compiled.parameters.map { Parameter($0) }
        // One more row than the page holds tells whether there is a next one.
        let most = Parameter.integer(Int64(size + 1))
        let last = Parameter.text(after?.deviceID ?? "")
        let rows: Rows
        switch query.shape {
        case .documents:
            rows = try await run(
                Statements.twins.filling(["condition": compiled.condition]), [last, most] + parameters)
        case .rows:
            rows = try await run(
                Statements.rows.filling([
                    "columns": compiled.columnList, "sources": compiled.sources.fromClause,
                    "condition": compiled.condition,
                ]), [last, most] + parameters)
        case .groups:
            rows = try await run(
                Statements.groups.filling([
                    "columns": compiled.columnList, "sources": compiled.sources.fromClause,
                    "condition": compiled.condition, "groups": compiled.groupClause,
                ]), [most, .integer(Int64(seen))] + parameters)
        }
        var items: [JSONValue] = []
        var lastID: String?
        for row in rows.prefix(size) {
            switch query.shape {
            case .documents: items.append(.object(try TwinRecord(row).document(timestamp: timestamp)))
            case .rows, .groups: items.append(try Self.item(row, compiled.columns, timestamp))
            }
            if query.shape != .groups { lastID = try row.get("device_id") }
        }
        let count = seen + items.count
        let hasMore = rows.count > size && query.top.map { count < $0 } ?? true
        return QueryPage(items: items, next: hasMore ? QueryPosition(deviceID: lastID, count: count) : nil)
    }

    private static func item(
        _ row: Row, _ columns: [CompiledQuery.Column], _ timestamp: (Int64) -> String
    ) throws(StoreError) -> JSONValue {
        var object = JSONObject()
        for (index, column) in columns.enumerated() {
            guard let value: JSONValue = try row.get("c\(index)"),
                let rendered = render(value, column.rendering, timestamp)
            else { continue }
            object[column.key] = rendered
        }
        return .object(object)
    }

    /// Nil when the member is not there.
    private static func render(
        _ value: JSONValue, _ rendering: CompiledQuery.Rendering, _ timestamp: (Int64) -> String
    ) -> JSONValue? {
        switch rendering {
        case .value:
            return value
        case .section(let section, let path):
            return path.reduce(self.section(value, section, timestamp)) { $0?[$1] }
        case .properties:
            guard let pair = value.arrayValue, pair.count == 2,
                let desired = section(pair[0], .desired, timestamp),
                let reported = section(pair[1], .reported, timestamp)
            else { return nil }
            return ["desired": desired, "reported": reported]
        }
    }

    /// From `[document, compact metadata, $version, creation in microseconds]`.
    private static func section(
        _ value: JSONValue, _ section: PropertySection, _ timestamp: (Int64) -> String
    ) -> JSONValue? {
        guard let parts = value.arrayValue, parts.count == 4, let document = parts[0].objectValue,
            let metadata = parts[1].objectValue, let version = parts[2].integerValue,
            let created = parts[3].integerValue
        else { return nil }
        let twinSection: TwinSection =
            switch section {
            case .desired: .desired
            case .reported: .reported
            }
        return .object(
            TwinMetadata.rendered(
                document, section: twinSection, metadata: metadata, version: version, created: created,
                timestamp: timestamp))
    }
}
