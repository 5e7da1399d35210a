// A merge patch compiled to SQL expressions over one row of `twins t`.
//
// The patch of a job is constant, so it is compiled once: 163k to 182k patches/s, against 71k with a recursive merge in
// plpgsql. Every key and value is a parameter; the text depends only on the patch's shape. The merge in this module's
// `TwinPatch` is the reference that a test holds against it.
//
// An object of a patch becomes
//
//     (base - removed keys) || constant members || jsonb_build_object(key, merged child, …)
//
// where the base is the object at its path or '{}'. Children are read from the document by their whole path, so the
// text grows with the patch and not with its depth.

package import JSON

/// Expressions for the placeholders of `patch_batch.sql`, with the parameters they refer to.
package struct TwinPatchSQL: Sendable {
    package enum Parameter: Sendable, Hashable {
        case json(JSONValue)
        case text(String)
        case textArray([String])
    }

    package let tags: String
    package let desired: String
    package let desiredMetadata: String
    /// By how much the patch raises `properties.desired.$version`: 1 if it has a desired section.
    package let desiredIncrement: String
    package let parameters: [Parameter]
    /// Bytes by which the patch makes each section larger at most, as `pg_column_size` counts.
    package let tagsGrowth: Int64
    package let desiredGrowth: Int64

    /// `firstParameter`: number of the first placeholder that is free in the surrounding statement, which must offer
    /// the row `twins t` and `held.written`, the microseconds of this write.
    package init(tags: JSONObject?, desired: JSONObject?, firstParameter: Int) {
        var builder = Builder(first: firstParameter)
        self.tags = tags.map { builder.merged($0, column: "t.tags", path: []) } ?? "t.tags"
        self.desired = desired.map { builder.merged($0, column: "t.desired", path: []) } ?? "t.desired"
        desiredMetadata = desired.map { builder.metadata($0) } ?? "t.desired_metadata"
        desiredIncrement = desired == nil ? "0" : "1"
        tagsGrowth = tags.map(TwinPatchGrowth.bytes) ?? 0
        desiredGrowth = desired.map(TwinPatchGrowth.bytes) ?? 0
        parameters = builder.parameters
    }
}

private struct Builder {
    let first: Int
    var parameters: [TwinPatchSQL.Parameter] = []

    init(first: Int) { self.first = first }

    /// PostgreSQL functions take at most 100 arguments.
    static let pairsPerCall = 48

    mutating func placeholder(_ parameter: TwinPatchSQL.Parameter, _ type: String) -> String {
        parameters.append(parameter)
        return "$\(first + parameters.count - 1)::\(type)"
    }

    mutating func merged(_ patch: JSONObject, column: String, path: [String]) -> String {
        var expression = base(column: column, path: path)
        let removed = patch.members.filter { $0.value.isNull }.map(\.name)
        if !removed.isEmpty { expression = "(\(expression) - \(placeholder(.textArray(removed), "text[]")))" }
        var constants = JSONObject()
        var children: [(String, JSONObject)] = []
        for (name, value) in patch.members {
            switch value {
            case .null: break
            case .object(let child): children.append((name, child))
            case .bool, .integer, .number, .string, .array: constants[name] = value
            }
        }
        if !constants.isEmpty { expression += " || \(placeholder(.json(.object(constants)), "jsonb"))" }
        for start in stride(from: 0, to: children.count, by: Self.pairsPerCall) {
            var arguments: [String] = []
            for (name, child) in children[start..<min(start + Self.pairsPerCall, children.count)] {
                arguments.append(placeholder(.text(name), "text"))
                arguments.append(merged(child, column: column, path: path + [name]))
            }
            expression += " || jsonb_build_object(\(arguments.joined(separator: ", ")))"
        }
        return "(\(expression))"
    }

    /// The object at a path of the column, or '{}' where there is none.
    private mutating func base(column: String, path: [String]) -> String {
        switch path.count {
        case 0:
            return column
        case 1:
            let key = placeholder(.text(path[0]), "text")
            return "CASE WHEN jsonb_typeof(\(column) -> \(key)) = 'object' THEN \(column) -> \(key) ELSE '{}' END"
        default:
            // Strict, so that an array on the way is an error and not a wildcard; silent, so that the error is null.
            let steps = path.map { "." + JSONValue.string($0).text }.joined()
            // The parameter itself is a jsonpath: a cast of a text would parse it again for each twin (0.8 µs of 20).
            let query = placeholder(.text("strict $\(steps) ? (@.type() == \"object\")"), "jsonpath")
            return "coalesce(jsonb_path_query_first(\(column), \(query), '{}', true), '{}')"
        }
    }

    mutating func metadata(_ patch: JSONObject) -> String {
        var touched = [""]
        var removed: [String] = []
        Self.collect(patch, prefix: "", touched: &touched, removed: &removed)
        var expression = "t.desired_metadata"
        let stamp =
            "(SELECT jsonb_build_array((SELECT written FROM held), t.desired_version + 1) AS stamp OFFSET 0) AS m"
        if !removed.isEmpty { expression = "(\(expression) - \(placeholder(.textArray(removed), "text[]")))" }
        if touched.count <= Self.pairsPerCall {
            let arguments = touched.map { "\(placeholder(.text($0), "text")), m.stamp" }
            expression += " || (SELECT jsonb_build_object(\(arguments.joined(separator: ", "))) FROM \(stamp))"
        } else {
            let paths = placeholder(.textArray(touched), "text[]")
            expression += " || (SELECT jsonb_object_agg(path, m.stamp) FROM \(stamp), unnest(\(paths)) AS path)"
        }
        return "(\(expression))"
    }

    private static func collect(
        _ patch: JSONObject, prefix: String, touched: inout [String], removed: inout [String]
    ) {
        for (name, value) in patch.members {
            let path = prefix.isEmpty ? name : prefix + "." + name
            switch value {
            case .null: removed.append(path)
            case .object(let child):
                touched.append(path)
                collect(child, prefix: path, touched: &touched, removed: &removed)
            case .bool, .integer, .number, .string, .array: touched.append(path)
            }
        }
    }
}
