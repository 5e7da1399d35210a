// The functions of the language: names, aliases and numbers of arguments. What they mean in SQL stands in
// `Compiler+Functions.swift`.

enum Function: String, Sendable, CaseIterable {
    case isDefined = "is_defined"
    case isArray = "is_array"
    case isBool = "is_bool"
    case isNull = "is_null"
    case isNumber = "is_number"
    case isObject = "is_object"
    case isPrimitive = "is_primitive"
    case isString = "is_string"
    case startsWith = "startswith"
    case endsWith = "endswith"
    case arrayContains = "array_contains"
    case contains
    case length
    case lower
    case upper
    case substring
    case indexOf = "index_of"
    case concat
    case abs
    case exp
    case power
    case square
    case ceiling
    case floor
    case sign
    case sqrt
    case asNumber = "as_number"

    init?(named name: String) {
        switch name.folded {
        case "starts_with": self = .startsWith
        case "ends_with": self = .endsWith
        case let folded:
            guard let function = Function(rawValue: folded) else { return nil }
            self = function
        }
    }

    var argumentCount: ClosedRange<Int> {
        switch self {
        case .isDefined, .isArray, .isBool, .isNull, .isNumber, .isObject, .isPrimitive, .isString, .length, .lower,
            .upper, .abs, .exp, .square, .ceiling, .floor, .sign, .sqrt, .asNumber:
            1...1
        case .startsWith, .endsWith, .arrayContains, .contains, .indexOf, .power: 2...2
        case .substring: 2...3
        case .concat: 2...QueryLimits.depth
        }
    }

    /// For messages.
    var expectedArguments: String {
        let range = argumentCount
        if range.upperBound > 3 { return "at least \(range.lowerBound) arguments" }
        if range.lowerBound < range.upperBound { return "\(range.lowerBound) or \(range.upperBound) arguments" }
        return range.lowerBound == 1 ? "1 argument" : "\(range.lowerBound) arguments"
    }
}
