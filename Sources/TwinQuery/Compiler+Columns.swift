// Items of a SELECT list and the keys of GROUP BY, as jsonb expressions.

extension Compiler {
    mutating func column(_ item: SelectItem, key: String) -> CompiledQuery.Column {
        switch item.kind {
        case .path(let path):
            let column = column(path)
            return CompiledQuery.Column(key: key, sql: column.sql, rendering: column.rendering)
        case .function(let expression):
            return CompiledQuery.Column(key: key, sql: json(value(expression)), rendering: .value)
        case .aggregate(let function, argument: let path):
            return CompiledQuery.Column(key: key, sql: aggregate(function, path), rendering: .value)
        }
    }

    mutating func column(_ path: Path) -> (sql: String, rendering: CompiledQuery.Rendering) {
        let member = member(path)
        switch member {
        case .section(let section):
            return (sectionParts(section), .section(section, path: []))
        case .metadata(let section, let names):
            return (sectionParts(section), .section(section, path: ["$metadata"] + names))
        case .properties:
            return ("jsonb_build_array(\(sectionParts(.desired)), \(sectionParts(.reported)))", .properties)
        case .twin, .job, .tags, .property, .version, .lastUpdated, .lastUpdatedVersion, .capabilities, .edge,
            .thumbprints, .undefined:
            return (json(value(of: member)), .value)
        }
    }

    mutating func groupKey(_ path: Path) -> String { column(path).sql }

    private mutating func sectionParts(_ section: PropertySection) -> String {
        let column = sql.column(.twins, section.rawValue)
        let created = Self.microseconds(sql.column(.devices, "created_at"))
        return "jsonb_build_array(\(column), \(column)_metadata, \(column)_version, \(created))"
    }

    private mutating func json(_ value: Value) -> String {
        switch value {
        case .constant(let literal): Self.json(literal).map { sql.json($0) } ?? "NULL::jsonb"
        case .boolean(let text), .number(let text), .string(let text), .timestamp(microseconds: _, text: let text):
            "to_jsonb(\(text))"
        case .json(let text): text
        case .object: preconditionFailure("an object is rendered by the store")
        }
    }

    /// Over the numbers among the values, as exact decimals: their sum does not depend on the order of rows, and cannot
    /// overflow on the way. A result beyond the doubles is undefined.
    private mutating func aggregate(_ function: AggregateFunction, _ path: Path?) -> String {
        guard function != .count, let path else { return "to_jsonb(count(*))" }
        let numbers: String
        switch value(of: member(path)) {
        case .json(let text): numbers = "CASE WHEN jsonb_typeof(\(text)) = 'number' THEN (\(text))::numeric END"
        case .number(let text): numbers = "(\(text))::numeric"
        case .constant, .boolean, .string, .timestamp, .object: numbers = "NULL::numeric"
        }
        let result = "\(function.rawValue)(\(numbers))"
        return "CASE WHEN abs(\(result)) <= 1.7976931348623157e308 THEN to_jsonb(\(result)) END"
    }
}
