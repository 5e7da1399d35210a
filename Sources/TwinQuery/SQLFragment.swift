// Compiled text and its parameters. The text consists of words of the compiler only; whatever a user wrote is a
// parameter. So the same shape of query gives the same text, and a text may be logged.

package import JSON

/// A value for one placeholder. Each placeholder stands with a cast (`$3::text`), so a driver may send any of them as
/// text.
package enum QueryParameter: Sendable, Equatable {
    case text(String)
    /// float8
    case number(Double)
    /// bigint
    case integer(Int64)
    /// jsonb
    case json(JSONValue)
    /// text[]; where the compiler needs an array of another type, it casts `$n::text[]::jsonb[]`.
    case textArray([String])
}

package struct SQLFragment: Sendable {
    package let text: String
    /// For the placeholders from `firstParameter` on, in order.
    package let parameters: [QueryParameter]

    package init(text: String, parameters: [QueryParameter]) {
        self.text = text
        self.parameters = parameters
    }
}

/// The tables that a text refers to, by their alias.
package enum Source: String, Sendable, Hashable, CaseIterable {
    /// `devices d`
    case devices = "d"
    /// `device_sessions s`, joined with LEFT JOIN: all columns may be null
    case sessions = "s"
    /// `twins t`, always there
    case twins = "t"
}

extension Set<Source> {
    /// What stands behind FROM: `twins t` and the joins that are needed.
    package var fromClause: String {
        var text = "twins t"
        if contains(.devices) { text += " JOIN devices d ON d.device_id = t.device_id" }
        if contains(.sessions) { text += " LEFT JOIN device_sessions s ON s.device_id = t.device_id" }
        return text
    }
}

/// Collects parameters and the tables in use while text is put together. Text that turns out to be undefined is thrown
/// away together with its placeholders, so numbers are given at the end, by `numbered`.
struct SQLBuilder {
    private var parameters: [QueryParameter] = []
    private(set) var sources: Set<Source> = [.twins]
    /// Equal parameters share a placeholder, so that equal expressions have equal text (GROUP BY needs that). Keyed by
    /// bytes: Swift calls differently composed letters equal, PostgreSQL does not.
    private var known: [[UInt8]: Int] = [:]

    /// A column of a table: `t.tags`.
    mutating func column(_ source: Source, _ name: String) -> String {
        sources.insert(source)
        return "\(source.rawValue).\(name)"
    }

    mutating func text(_ value: String) -> String {
        placeholder(.text(value), key: "t" + value, type: "text")
    }

    mutating func number(_ value: Double) -> String {
        placeholder(.number(value), key: "n\(value)", type: "float8")
    }

    mutating func integer(_ value: Int64) -> String {
        placeholder(.integer(value), key: "i\(value)", type: "bigint")
    }

    mutating func json(_ value: JSONValue) -> String {
        placeholder(.json(value), key: "j" + value.text, type: "jsonb")
    }

    mutating func textArray(_ values: [String]) -> String {
        placeholder(.textArray(values), key: "a" + JSONValue.array(values.map { .string($0) }).text, type: "text[]")
    }

    private mutating func placeholder(_ parameter: QueryParameter, key: String, type: String) -> String {
        let key = Array(key.utf8)
        let index: Int
        if let existing = known[key] {
            index = existing
        } else {
            index = parameters.count
            parameters.append(parameter)
            known[key] = index
        }
        return "$\(index)::\(type)"
    }

    /// The texts with their placeholders numbered from `first` in order of appearance, and the parameters that are left:
    /// PostgreSQL refuses a parameter that no placeholder names. A `$` before a digit is always a placeholder.
    func numbered(_ texts: [String], from first: Int) -> (texts: [String], parameters: [QueryParameter]) {
        var numbers: [Int: Int] = [:]
        var used: [QueryParameter] = []
        let numberedTexts = texts.map { text in
            var output: [UInt8] = []
            output.reserveCapacity(text.utf8.count)
            var rest = Array(text.utf8)[...]
            while let dollar = rest.firstIndex(of: UInt8(ascii: "$")) {
                output += rest[...dollar]
                rest = rest[(dollar + 1)...]
                let digits = rest.prefix { (0x30...0x39).contains($0) }
                guard let index = Int(String(decoding: digits, as: UTF8.self)) else { continue }
                rest = rest.dropFirst(digits.count)
                let number = numbers[index] ?? first + used.count
                if numbers.updateValue(number, forKey: index) == nil { used.append(parameters[index]) }
                output += String(number).utf8
            }
            return String(decoding: output + rest, as: UTF8.self)
        }
        return (numberedTexts, used)
    }
}
