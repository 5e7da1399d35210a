// Random conditions as trees of our own, and their text. The evaluator works on the tree and the product on the text, so
// that neither shares the other's parser.

import JSON

indirect enum QueryTree: Sendable {
    enum Step: Sendable {
        case name(String)
        case index(Int)
    }

    case literal(JSONValue)
    case undefined
    case path([Step])
    case call(String, [QueryTree])
    case minus(QueryTree)
    case plus(QueryTree)
    case binary(String, QueryTree, QueryTree)
    case isIn(QueryTree, [QueryTree], word: String)
    case not(QueryTree)

    /// The text; parentheses stand around every operand that is not a leaf, so that precedence is not tested here.
    func text(_ random: inout some RandomNumberGenerator) -> String {
        switch self {
        case .literal(let value): return Self.text(value, &random)
        case .undefined: return Self.anyCase("undefined", &random)
        case .path(let steps): return Self.text(steps, &random)
        case .call(let name, let arguments):
            let texts = arguments.map { $0.operand(&random) }
            return Self.anyCase(name, &random) + "(" + texts.joined(separator: ", ") + ")"
        case .minus(let operand): return "-" + operand.operand(&random)
        case .plus(let operand): return "+" + operand.operand(&random)
        case .binary(let symbol, let left, let right):
            return left.operand(&random) + " " + Self.anyCase(symbol, &random) + " " + right.operand(&random)
        case .isIn(let operand, let elements, let word):
            let texts = elements.map { $0.text(&random) }
            return operand.operand(&random) + " " + Self.anyCase(word, &random) + " [" + texts.joined(separator: ",")
                + "]"
        case .not(let operand): return Self.anyCase("NOT ", &random) + operand.operand(&random)
        }
    }

    private func operand(_ random: inout some RandomNumberGenerator) -> String {
        switch self {
        case .literal(let value) where (value.doubleValue ?? 0) < 0: "(" + text(&random) + ")"
        case .literal, .undefined, .path, .call: text(&random)
        case .minus, .plus, .binary, .isIn, .not: "(" + text(&random) + ")"
        }
    }

    private static func anyCase(_ word: String, _ random: inout some RandomNumberGenerator) -> String {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: word.lowercased()
        case 1: word.uppercased()
        default: word
        }
    }

    private static func text(_ value: JSONValue, _ random: inout some RandomNumberGenerator) -> String {
        switch value {
        case .null: return anyCase("null", &random)
        case .bool(let value): return anyCase(value ? "true" : "false", &random)
        case .integer(let value):
            return Int.random(in: 0..<4, using: &random) == 0 && value >= 0
                ? "0x" + String(value, radix: 16) : "\(value)"
        case .number(let value): return "\(value)"
        case .string(let value):
            let quote = Bool.random(using: &random) ? "'" : "\""
            return quote + value.replacing("\\", with: "\\\\").replacing(quote, with: "\\" + quote) + quote
        case .array(let elements):
            var texts: [String] = []
            for element in elements { texts.append(text(element, &random)) }
            return "[ " + texts.joined(separator: " ,") + "]"
        case .object: return "undefined"
        }
    }

    private static let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$é")

    private static func text(_ steps: [Step], _ random: inout some RandomNumberGenerator) -> String {
        var result = Int.random(in: 0..<8, using: &random) == 0 ? "devices." : ""
        for (position, step) in steps.enumerated() {
            switch step {
            case .index(let index): result += "[\(index)]"
            case .name(let name):
                let choice = Int.random(in: 0..<6, using: &random)
                if position > 0, choice == 0 {
                    result += "['\(name.replacing("'", with: "\\'"))']"
                } else {
                    let isPlain = name.allSatisfy { plain.contains($0) } && name != "group"
                    result += (position > 0 ? "." : "") + (isPlain && choice != 1 ? name : "[[\(name)]]")
                }
            }
        }
        return result
    }
}
