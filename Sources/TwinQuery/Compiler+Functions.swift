// Functions. The IS_ tests answer true or false for every value, undefined included; the others are undefined for an
// argument of another type. LOWER and UPPER know ASCII letters only, so that a condition selects the same devices
// whatever the database's locale. Lengths and positions count code points.

import JSON

extension Compiler {
    mutating func call(_ function: Function, _ arguments: [Expression]) -> Value {
        let values = arguments.map { value($0) }
        return switch function {
        case .isDefined, .isArray, .isBool, .isNull, .isNumber, .isObject, .isPrimitive, .isString:
            .boolean(Self.test(function, values[0]))
        case .arrayContains: arrayContains(values[0], values[1])
        case .startsWith, .endsWith, .contains, .length, .lower, .upper, .indexOf, .concat:
            stringFunction(function, values)
        case .substring: substring(values)
        case .abs, .exp, .power, .square, .ceiling, .floor, .sign, .sqrt: numberFunction(function, values)
        case .asNumber: asNumber(values[0])
        }
    }

    // MARK: Tests

    private static func test(_ function: Function, _ value: Value) -> String {
        switch value {
        case .json(let json):
            if function == .isDefined { return "(\(json) IS NOT NULL)" }
            if function == .isPrimitive { return "coalesce(jsonb_typeof(\(json)) NOT IN ('object', 'array'), false)" }
            return "coalesce(jsonb_typeof(\(json)) = '\(typeName(function))', false)"
        case .constant(let literal): return "\(test(function, literal))"
        case .boolean(let text): return test(function, text, isOf: .isBool)
        case .number(let text): return test(function, text, isOf: .isNumber)
        case .string(let text), .timestamp(microseconds: let text, text: _):
            return test(function, text, isOf: .isString)
        case .object(let exists):
            return function == .isDefined || function == .isObject ? "coalesce(\(exists), false)" : "false"
        }
    }

    /// A typed value is defined or not; its type is known.
    private static func test(_ function: Function, _ text: String, isOf type: Function) -> String {
        function == .isDefined || function == .isPrimitive || function == type ? "((\(text)) IS NOT NULL)" : "false"
    }

    private static func test(_ function: Function, _ literal: Literal) -> Bool {
        switch literal {
        case .undefined: false
        case .string: function == .isString || function == .isPrimitive || function == .isDefined
        case .number: function == .isNumber || function == .isPrimitive || function == .isDefined
        case .bool: function == .isBool || function == .isPrimitive || function == .isDefined
        case .null: function == .isNull || function == .isPrimitive || function == .isDefined
        case .array: function == .isArray || function == .isDefined
        }
    }

    /// PostgreSQL's name of the type a test asks for.
    private static func typeName(_ function: Function) -> String {
        switch function {
        case .isArray: return "array"
        case .isBool: return "boolean"
        case .isNull: return "null"
        case .isNumber: return "number"
        case .isObject: return "object"
        case .isString: return "string"
        case .isDefined, .isPrimitive, .startsWith, .endsWith, .arrayContains, .contains, .length, .lower, .upper,
            .substring, .indexOf, .concat, .abs, .exp, .power, .square, .ceiling, .floor, .sign, .sqrt, .asNumber:
            preconditionFailure("\(function) is no test of one type")
        }
    }

    // MARK: Arrays

    /// An array contains a primitive exactly if one of its own elements equals it. What is no primitive equals nothing.
    private mutating func arrayContains(_ array: Value, _ element: Value) -> Value {
        guard case .json(let json) = array else { return .undefined }
        let elements: String
        switch element {
        case .constant(let literal):
            guard let value = Self.json(literal) else { return .undefined }
            elements = sql.json(.array([value]))
        case .json(let element):
            elements =
                "CASE WHEN jsonb_typeof(\(element)) NOT IN ('object', 'array') THEN jsonb_build_array(\(element)) END"
        case .boolean(let text), .number(let text), .string(let text), .timestamp(microseconds: _, text: let text):
            // to_jsonb of NULL is NULL, and so is the concatenation; jsonb_build_array would make it null.
            elements = "('[]'::jsonb || to_jsonb(\(text)))"
        case .object: return .undefined
        }
        return .boolean("(CASE WHEN jsonb_typeof(\(json)) = 'array' THEN \(json) @> \(elements) END)")
    }

    // MARK: Strings

    private mutating func stringFunction(_ function: Function, _ values: [Value]) -> Value {
        var texts: [String] = []
        for value in values {
            guard let text = string(value) else { return .undefined }
            texts.append(text)
        }
        switch function {
        case .startsWith: return .boolean("starts_with(\(texts[0]), \(texts[1]))")
        case .endsWith: return .boolean(Self.bound(texts, "right(v.a, length(v.b)) = v.b"))
        case .contains: return .boolean("(strpos(\(texts[0]), \(texts[1])) > 0)")
        case .length: return .number("length(\(texts[0]))::float8")
        case .lower: return .string("lower((\(texts[0])) COLLATE \"C\")")
        case .upper: return .string("upper((\(texts[0])) COLLATE \"C\")")
        case .indexOf: return .number("(strpos(\(texts[0]), \(texts[1])) - 1)::float8")
        case .concat: return .string("(" + texts.joined(separator: " || ") + ")")
        case .isDefined, .isArray, .isBool, .isNull, .isNumber, .isObject, .isPrimitive, .isString, .arrayContains,
            .substring, .abs, .exp, .power, .square, .ceiling, .floor, .sign, .sqrt, .asNumber:
            preconditionFailure("\(function) is no function of strings alone")
        }
    }

    /// SUBSTRING(text, start from 0[, length]); start and length are whole numbers from 0, else undefined.
    private mutating func substring(_ values: [Value]) -> Value {
        guard let text = string(values[0]), let start = number(values[1]) else { return .undefined }
        // No string is that long, and start + length stays an integer.
        let start32 = "least(v.b, 1000000000)::integer + 1"
        let isStart = "v.b >= 0 AND v.b = trunc(v.b)"
        guard values.count == 3 else {
            return .string(Self.bound([text, start], "CASE WHEN \(isStart) THEN substr(v.a, \(start32)) END"))
        }
        guard let length = number(values[2]) else { return .undefined }
        return .string(
            Self.bound(
                [text, start, length],
                "CASE WHEN \(isStart) AND v.c >= 0 AND v.c = trunc(v.c) "
                    + "THEN substr(v.a, \(start32), least(v.c, 1000000000)::integer) END"))
    }
}
