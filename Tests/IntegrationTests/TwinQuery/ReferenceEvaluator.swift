// The type rules of the wire contract (iot-hub reference, sections 3.5 and 3.6), evaluated in Swift over the document that
// the service side shows. Written from the reference's table, not from the compiler: the two must agree.

import Foundation
import JSON
import ServiceKit

struct ReferenceEvaluator {
    enum Value {
        case undefined
        case null
        case bool(Bool)
        case number(Double)
        /// `isMoment`: a timestamp member, which compares with string literals as an instant.
        case string(String, isMoment: Bool)
        case array([JSONValue])
        case object(JSONObject)

        init(_ json: JSONValue?) {
            switch json {
            case nil: self = .undefined
            case .null?: self = .null
            case .bool(let value)?: self = .bool(value)
            case .integer(let value)?: self = .number(Double(value))
            case .number(let value)?: self = .number(value)
            case .string(let value)?: self = .string(value, isMoment: false)
            case .array(let elements)?: self = .array(elements)
            case .object(let members)?: self = .object(members)
            }
        }
    }

    let document: JSONValue

    static func selects(_ tree: QueryTree, _ document: JSONValue) -> Bool {
        if case .bool(true) = ReferenceEvaluator(document: document).value(tree) { true } else { false }
    }

    func value(_ tree: QueryTree) -> Value {
        switch tree {
        case .literal(let json): Value(json)
        case .undefined: .undefined
        case .path(let steps): path(steps)
        case .call(let name, let arguments): call(name, arguments)
        case .minus(let operand): arithmetic(.number(0), value(operand)) { left, right in left - right }
        case .plus(let operand): arithmetic(.number(0), value(operand)) { left, right in left + right }
        case .binary(let symbol, let left, let right): binary(symbol, left, right)
        case .isIn(let operand, let elements, let word):
            word == "IN" ? isIn(operand, elements) : negated(isIn(operand, elements))
        case .not(let operand): negated(value(operand))
        }
    }

    // MARK: Paths

    private static let moments: Set<String> = ["lastActivityTime", "statusUpdateTime", "$lastUpdated"]

    private func path(_ steps: [QueryTree.Step]) -> Value {
        var current: JSONValue? = document
        var isMoment = false
        for (position, step) in steps.enumerated() {
            switch step {
            case .name(let written):
                let name = position == 0 && written == "id" ? "deviceId" : written
                guard case .object(let members)? = current else { return .undefined }
                current = members[name]
                isMoment = Self.moments.contains(name)
            case .index(let index):
                guard case .array(let elements)? = current, index < elements.count else { return .undefined }
                current = elements[index]
                isMoment = false
            }
        }
        if isMoment, case .string(let text)? = current { return .string(text, isMoment: true) }
        return Value(current)
    }

    // MARK: Operators

    private func negated(_ value: Value) -> Value {
        if case .bool(let bool) = value { .bool(!bool) } else { .undefined }
    }

    private func binary(_ symbol: String, _ left: QueryTree, _ right: QueryTree) -> Value {
        let a = value(left)
        let b = value(right)
        switch symbol {
        case "AND":
            if case .bool(false) = a { return .bool(false) }
            if case .bool(false) = b { return .bool(false) }
            if case .bool = a, case .bool = b { return .bool(true) }
            return .undefined
        case "OR":
            if case .bool(true) = a { return .bool(true) }
            if case .bool(true) = b { return .bool(true) }
            if case .bool = a, case .bool = b { return .bool(false) }
            return .undefined
        case "+": return arithmetic(a, b) { $0 + $1 }
        case "-": return arithmetic(a, b) { $0 - $1 }
        case "*": return arithmetic(a, b) { $0 * $1 }
        case "/": return arithmetic(a, b) { $1 == 0 ? .nan : $0 / $1 }
        case "%": return arithmetic(a, b) { $1 == 0 ? .nan : $0.truncatingRemainder(dividingBy: $1) }
        default: return compare(symbol, a, b, hasLiteral: Self.isLiteral(left) || Self.isLiteral(right))
        }
    }

    private static func isLiteral(_ tree: QueryTree) -> Bool {
        if case .literal = tree { true } else { false }
    }

    private func arithmetic(_ a: Value, _ b: Value, _ operation: (Double, Double) -> Double) -> Value {
        guard case .number(let left) = a, case .number(let right) = b else { return .undefined }
        return finite(operation(left, right))
    }

    private func finite(_ number: Double) -> Value { number.isFinite ? .number(number) : .undefined }

    private func compare(_ symbol: String, _ a: Value, _ b: Value, hasLiteral: Bool) -> Value {
        switch (a, b) {
        case (.undefined, _), (_, .undefined), (.array, _), (_, .array), (.object, _), (_, .object): return .undefined
        case (.null, .null): return equality(symbol, true)
        case (.null, _), (_, .null): return equality(symbol, false)
        case (.bool(let left), .bool(let right)): return equality(symbol, left == right)
        case (.number(let left), .number(let right)): return order(symbol, left, right)
        case (.string(let left, let leftMoment), .string(let right, let rightMoment)):
            let areMoments = leftMoment && rightMoment || (leftMoment || rightMoment) && hasLiteral
            let formatter = TimestampFormatter()
            if areMoments, let left = formatter.microseconds(left), let right = formatter.microseconds(right) {
                return order(symbol, left, right)
            }
            let leftPoints = left.unicodeScalars.map(\.value)
            let rightPoints = right.unicodeScalars.map(\.value)
            if leftPoints == rightPoints { return order(symbol, 0, 0) }
            return order(symbol, leftPoints.lexicographicallyPrecedes(rightPoints) ? 0 : 1, 0.5)
        default: return .undefined
        }
    }

    private func equality(_ symbol: String, _ isEqual: Bool) -> Value {
        switch symbol {
        case "=": .bool(isEqual)
        case "!=", "<>": .bool(!isEqual)
        default: .undefined
        }
    }

    private func order<Operand: Comparable>(_ symbol: String, _ left: Operand, _ right: Operand) -> Value {
        switch symbol {
        case "=": .bool(left == right)
        case "!=", "<>": .bool(left != right)
        case "<": .bool(left < right)
        case "<=": .bool(left <= right)
        case ">": .bool(left > right)
        case ">=": .bool(left >= right)
        default: fatalError("no operator \(symbol)")
        }
    }

    private func isIn(_ operand: QueryTree, _ elements: [QueryTree]) -> Value {
        let value = value(operand)
        if case .undefined = value { return .undefined }
        return .bool(
            elements.contains { element in
                if case .bool(true) = compare("=", value, self.value(element), hasLiteral: true) { true } else { false }
            })
    }

    // MARK: Functions

    private func call(_ name: String, _ arguments: [QueryTree]) -> Value {
        let values = arguments.map { value($0) }
        if let test = test(name, values[0]) { return .bool(test) }
        let texts = values.compactMap { if case .string(let text, isMoment: _) = $0 { text } else { nil } }
        let numbers = values.compactMap { if case .number(let number) = $0 { number } else { nil } }
        switch name {
        case "ARRAY_CONTAINS": return arrayContains(values[0], values[1])
        case "AS_NUMBER":
            if let number = numbers.first { return .number(number) }
            guard let text = texts.first, text.wholeMatch(of: /[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?/) != nil else {
                return .undefined
            }
            return Double(text).map { finite($0) } ?? .undefined
        case "SUBSTRING":
            return texts.count == 1 && numbers.count == values.count - 1 ? substring(texts[0], numbers) : .undefined
        case "ABS", "EXP", "POWER", "SQUARE", "CEILING", "FLOOR", "SIGN", "SQRT":
            return numbers.count == values.count ? numeric(name, numbers) : .undefined
        default: return texts.count == values.count ? textual(name, texts) : .undefined
        }
    }

    private func test(_ name: String, _ value: Value) -> Bool? {
        let kind =
            switch value {
            case .undefined: ""
            case .null: "IS_NULL"
            case .bool: "IS_BOOL"
            case .number: "IS_NUMBER"
            case .string: "IS_STRING"
            case .array: "IS_ARRAY"
            case .object: "IS_OBJECT"
            }
        switch name {
        case "IS_DEFINED": return !kind.isEmpty
        case "IS_PRIMITIVE": return ["IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING"].contains(kind)
        case "IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING", "IS_ARRAY", "IS_OBJECT": return kind == name
        default: return nil
        }
    }

    /// What is no primitive can equal nothing, so asking for it is a wrong argument type.
    private func arrayContains(_ array: Value, _ element: Value) -> Value {
        guard case .array(let elements) = array else { return .undefined }
        switch element {
        case .undefined, .array, .object: return .undefined
        case .null, .bool, .number, .string: break
        }
        return .bool(
            elements.contains {
                if case .bool(true) = compare("=", Value($0), element, hasLiteral: false) { true } else { false }
            })
    }

    private func substring(_ text: String, _ numbers: [Double]) -> Value {
        guard numbers.allSatisfy({ $0 >= 0 && $0 == $0.rounded() }) else { return .undefined }
        let scalars = Array(text.unicodeScalars)
        let start = Int(min(numbers[0], Double(scalars.count)))
        let length = numbers.count > 1 ? Int(min(numbers[1], Double(scalars.count))) : scalars.count
        return .string(Self.text(scalars[start..<min(start + length, scalars.count)]), isMoment: false)
    }

    private func numeric(_ name: String, _ numbers: [Double]) -> Value {
        let x = numbers[0]
        switch name {
        case "ABS": return .number(Swift.abs(x))
        case "EXP": return finite(Foundation.exp(x))
        case "POWER": return finite(Foundation.pow(x, numbers[1]))
        case "SQUARE": return finite(x * x)
        case "CEILING": return .number(x.rounded(.up))
        case "FLOOR": return .number(x.rounded(.down))
        case "SIGN": return .number(x > 0 ? 1 : x < 0 ? -1 : 0)
        case "SQRT": return finite(x.squareRoot())
        default: fatalError("no function \(name)")
        }
    }

    private func textual(_ name: String, _ texts: [String]) -> Value {
        let scalars = texts.map { Array($0.unicodeScalars) }
        switch name {
        case "STARTSWITH", "STARTS_WITH": return .bool(scalars[0].starts(with: scalars[1]))
        case "ENDSWITH", "ENDS_WITH": return .bool(scalars[0].reversed().starts(with: scalars[1].reversed()))
        case "CONTAINS": return .bool(Self.index(of: scalars[1], in: scalars[0]) >= 0)
        case "INDEX_OF": return .number(Double(Self.index(of: scalars[1], in: scalars[0])))
        case "LENGTH": return .number(Double(scalars[0].count))
        case "CONCAT": return .string(Self.text(scalars.joined()), isMoment: false)
        case "LOWER": return .string(Self.mapped(scalars[0], from: "A"..."Z", by: 32), isMoment: false)
        case "UPPER": return .string(Self.mapped(scalars[0], from: "a"..."z", by: -32), isMoment: false)
        default: fatalError("no function \(name)")
        }
    }

    private static func index(of part: [Unicode.Scalar], in whole: [Unicode.Scalar]) -> Int {
        guard part.count <= whole.count else { return -1 }
        return (0...whole.count - part.count).first { Array(whole[$0..<$0 + part.count]) == part } ?? -1
    }

    private static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    /// ASCII letters only: a condition means the same in every locale.
    private static func mapped(_ scalars: [Unicode.Scalar], from range: ClosedRange<Unicode.Scalar>, by distance: Int)
        -> String
    {
        text(scalars.map { range.contains($0) ? Unicode.Scalar(UInt8(Int($0.value) + distance)) : $0 })
    }
}
