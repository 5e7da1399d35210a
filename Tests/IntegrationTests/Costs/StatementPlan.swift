// What a statement of the product did, by EXPLAIN ANALYZE, as it is prepared on a connection and under a kind of plan.

import JSON
import Postgres
import ServiceKit
import Testing

struct StatementPlan: Sendable {
    static let custom = "force_custom_plan"
    static let kinds = [custom, "force_generic_plan"]

    /// Every node, the root first.
    let nodes: [JSONObject]
    private let root: JSONObject

    /// Executes the statement. What it writes is kept, or taken back for the next one to find the same.
    static func run(
        _ statement: Statement, _ parameters: [Parameter], _ kind: String, _ pool: PostgresPool, isKept: Bool
    ) async throws -> StatementPlan {
        struct TakenBack: Error { let plan: JSONValue }
        let values = parameters.isEmpty ? "" : "(\(try parameters.map(literal).joined(separator: ", ")))"
        let plan: JSONValue
        do {
            plan = try await pool.transaction { transaction in
                for text in ["SET LOCAL plan_cache_mode = \(kind)", "PREPARE bounded AS \(statement.text)"] {
                    _ = try await transaction.run(Statement(name: "prepare", text: text, isPrepared: false))
                }
                let explain = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE bounded \(values)"
                let rows = try await transaction.run(Statement(name: "explain", text: explain, isPrepared: false))
                _ = try await transaction.run(Statement(name: "forget", text: "DEALLOCATE bounded", isPrepared: false))
                let plan: JSONValue = try #require(rows.first).get("QUERY PLAN")
                if !isKept { throw TakenBack(plan: plan) }
                return plan
            }
        } catch let error as TakenBack {
            plan = error.plan
        }
        let root = try #require(plan.arrayValue?.first?.objectValue?["Plan"]?.objectValue)
        return StatementPlan(nodes: nodes(of: .object(root)), root: root)
    }

    /// Pages of tables and indexes that were looked at. What a WITH clause wrote may count twice, where it is written and
    /// where it is read: this is never too little.
    var buffers: Double {
        let parts = (root["Plans"]?.arrayValue ?? []).compactMap(\.objectValue)
            .filter { $0["Subplan Name"]?.stringValue?.hasPrefix("CTE ") == true }
        return ([root] + parts).reduce(0) { sum, node in
            sum + Self.number(node, "Shared Hit Blocks") + Self.number(node, "Shared Read Blocks")
        }
    }

    /// Rows that any node passed on, at most.
    var rows: Double {
        nodes.map { Self.number($0, "Actual Rows") * Self.number($0, "Actual Loops") }.max() ?? 0
    }

    /// Rows that any node read, passed on or threw away, at most.
    var touched: Double {
        nodes.map { node in
            ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter"]
                .reduce(0) { $0 + Self.number(node, $1) } * Self.number(node, "Actual Loops")
        }.max() ?? 0
    }

    /// For a failure: what each node is, over what, and its rows and pages.
    var text: String {
        nodes.map { node in
            let name = ["Node Type", "Subplan Name", "Relation Name", "Index Name"].compactMap { node[$0]?.stringValue }
            let pages = Self.number(node, "Shared Hit Blocks") + Self.number(node, "Shared Read Blocks")
            return "\(name.joined(separator: " ")): \(Self.number(node, "Actual Rows")) rows × "
                + "\(Self.number(node, "Actual Loops")), \(pages) pages"
        }.joined(separator: "; ")
    }

    static func number(_ node: JSONObject, _ name: String) -> Double { node[name]?.doubleValue ?? 0 }

    private static func nodes(of plan: JSONValue) -> [JSONObject] {
        guard let node = plan.objectValue else { return [] }
        return [node] + (node["Plans"]?.arrayValue ?? []).flatMap { nodes(of: $0) }
    }

    /// EXECUTE takes no parameters from outside.
    private static func literal(_ parameter: Parameter) throws -> String {
        switch parameter {
        case .null: return "NULL"
        case .bool(let value): return "\(value)"
        case .integer(let value): return "\(value)"
        case .text(let text): return quoted(text)
        case .json(let value): return quoted(value.text)
        case .integerArray(let values):
            return "ARRAY[\(values.map { $0.map(String.init) ?? "NULL" }.joined(separator: ","))]"
        case .boolArray(let values):
            return "ARRAY[\(values.map { $0.map { "\($0)" } ?? "NULL" }.joined(separator: ","))]"
        case .textArray(let values):
            return "ARRAY[\(values.map { $0.map(quoted) ?? "NULL" }.joined(separator: ","))]"
        default: throw StoreError(code: .fatal, effect: .none, operation: "literal", message: "\(parameter)")
        }
    }

    private static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
}
