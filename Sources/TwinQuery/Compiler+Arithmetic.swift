// Arithmetic and functions of numbers, as IEEE doubles. PostgreSQL raises an error where IEEE gives an infinity, NaN or
// underflows to zero. Here a result that is no finite number is undefined, since JSON cannot hold it, and a result
// below the smallest double is zero; the tests before each operation see to it that PostgreSQL never gets to its error.
//
// The tests of size work on logarithms, so a result within three thousandths of the largest double is undefined too.

extension Compiler {
    /// exp() of more overflows.
    private static let largestExponent = "709.78"
    /// exp() of less is zero.
    private static let smallestExponent = "-745.0"

    mutating func arithmetic(_ arithmetic: ArithmeticOperator, _ left: String, _ right: String) -> String {
        Self.bound([left, right], Self.body(of: arithmetic))
    }

    /// Over v.a and v.b.
    private static func body(of arithmetic: ArithmeticOperator) -> String {
        switch arithmetic {
        case .add: return "CASE WHEN sign(v.a) <> sign(v.b) OR abs(v.a) < 1.7976e308 - abs(v.b) THEN v.a + v.b END"
        case .subtract: return "CASE WHEN sign(v.a) = sign(v.b) OR abs(v.a) < 1.7976e308 - abs(v.b) THEN v.a - v.b END"
        case .multiply:
            return "CASE WHEN v.a IS NULL OR v.b IS NULL THEN NULL WHEN v.a = 0 OR v.b = 0 THEN 0::float8 "
                + "WHEN ln(abs(v.a)) + ln(abs(v.b)) > \(largestExponent) THEN NULL "
                + "WHEN ln(abs(v.a)) + ln(abs(v.b)) < \(smallestExponent) THEN 0::float8 ELSE v.a * v.b END"
        case .divide:
            return "CASE WHEN v.a IS NULL OR v.b IS NULL OR v.b = 0 THEN NULL WHEN v.a = 0 THEN 0::float8 "
                + "WHEN ln(abs(v.a)) - ln(abs(v.b)) > \(largestExponent) THEN NULL "
                + "WHEN ln(abs(v.a)) - ln(abs(v.b)) < \(smallestExponent) THEN 0::float8 ELSE v.a / v.b END"
        case .remainder:
            // In decimal: PostgreSQL has no remainder of doubles. The same for all whole numbers.
            let remainder = bound(["mod((v.a)::text::numeric, (v.b)::text::numeric)"], double("v.a"))
            return "CASE WHEN v.b <> 0 THEN \(remainder) END"
        }
    }

    mutating func numberFunction(_ function: Function, _ values: [Value]) -> Value {
        var numbers: [String] = []
        for value in values {
            guard let number = number(value) else { return .undefined }
            numbers.append(number)
        }
        return .number(Self.numberFunction(function, numbers))
    }

    private static func numberFunction(_ function: Function, _ numbers: [String]) -> String {
        switch function {
        case .abs: return "abs(\(numbers[0]))"
        case .ceiling: return "ceil(\(numbers[0]))"
        case .floor: return "floor(\(numbers[0]))"
        case .sign: return "sign(\(numbers[0]))"
        case .exp: return bound(numbers, exponential("v.a"))
        case .square:
            return bound(
                numbers,
                "CASE WHEN abs(v.a) > 1.34e154 THEN NULL WHEN abs(v.a) < 1.6e-162 THEN 0::float8 ELSE v.a * v.a END")
        case .sqrt: return bound(numbers, "CASE WHEN v.a >= 0 THEN sqrt(v.a) END")
        case .power: return bound(numbers, power)
        case .isDefined, .isArray, .isBool, .isNull, .isNumber, .isObject, .isPrimitive, .isString, .startsWith,
            .endsWith, .arrayContains, .contains, .length, .lower, .upper, .substring, .indexOf, .concat, .asNumber:
            preconditionFailure("\(function) is no function of numbers alone")
        }
    }

    private static func exponential(_ exponent: String) -> String {
        "CASE WHEN \(exponent) > \(largestExponent) THEN NULL WHEN \(exponent) < \(smallestExponent) THEN 0::float8 "
            + "ELSE exp(\(exponent)) END"
    }

    /// v.a to the power of v.b. Zero to a negative power and a negative number to a fraction are undefined. Exponents
    /// beyond 1e20 overflow or vanish for every base but ±1, and those below 1e-20 give 1, so that the product with the
    /// logarithm, which decides the rest, is itself in range.
    private static let power =
        "CASE WHEN v.a IS NULL OR v.b IS NULL THEN NULL WHEN v.b = 0 THEN 1::float8 "
        + "WHEN v.a = 0 THEN CASE WHEN v.b > 0 THEN 0::float8 END "
        + "WHEN v.a < 0 AND v.b <> trunc(v.b) THEN NULL "
        + "WHEN v.a = 1 OR abs(v.b) < 1e-20 THEN 1::float8 "
        + "WHEN v.a = -1 THEN power(v.a, v.b) "
        + "WHEN abs(v.b) > 1e20 THEN CASE WHEN (abs(v.a) > 1) <> (v.b > 0) THEN 0::float8 END "
        + "WHEN v.b * ln(abs(v.a)) > \(largestExponent) THEN NULL "
        + "WHEN v.b * ln(abs(v.a)) < \(smallestExponent) THEN 0::float8 ELSE power(v.a, v.b) END"

    /// A number as it is; a string that reads as a decimal number as that number; else undefined.
    mutating func asNumber(_ value: Value) -> Value {
        if case .json(let json) = value, let number = number(value), let text = string(value) {
            return .number(
                "(CASE WHEN jsonb_typeof(\(json)) = 'number' THEN \(number) ELSE \(Self.numberText(text)) END)")
        }
        if let number = number(value) { return .number(number) }
        return string(value).map { .number(Self.numberText($0)) } ?? .undefined
    }

    /// The bounds on digits keep the cast to numeric from failing.
    private static func numberText(_ text: String) -> String {
        let numeric = bound(
            [text],
            "CASE WHEN v.a ~ '^[-+]?[0-9]{1,255}(\\.[0-9]{1,255}){0,1}([eE][-+]?[0-9]{1,3}){0,1}$' THEN (v.a)::numeric END"
        )
        return bound([numeric], double("v.a"))
    }
}
