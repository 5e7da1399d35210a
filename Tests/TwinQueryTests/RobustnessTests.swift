// No text may trap, hang or grow without bound. Method: random bytes, random tokens, and mutations of good texts from a
// fixed seed; whatever parses is compiled.

import Testing

@testable import TwinQuery

@Suite struct RobustnessTests {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            return value ^ value >> 31
        }
    }

    /// True if it parsed, as either kind.
    @discardableResult
    private func attempt(_ text: String) -> Bool {
        var parsed = false
        do {
            _ = try parseCondition(text).sql(firstParameter: 3)
            parsed = true
        } catch {
            #expect(error.position >= 1 && error.position <= text.unicodeScalars.count + 1)
        }
        do {
            _ = try parseStatement(text).compiled(firstParameter: 3)
            parsed = true
        } catch {
            #expect(error.line >= 1 && error.column >= 1)
        }
        return parsed
    }

    @Test func randomBytes() {
        var random = Generator(state: 1)
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            attempt(String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test func randomTokens() {
        let tokens = [
            "SELECT", "FROM", "devices", ".", "WHERE", "tags", "a", "b", "[", "]", "[[", "]]", "(", ")", ",", "*", "+",
            "-",
            "/", "%", "=", "!=", "<>", "<", ">=", "AND", "OR", "NOT", "IN", "NIN", "'x'", "\"", "'", "1", "0x1f",
            "2.5e3",
            "null", "undefined", "true", "IS_DEFINED", "COUNT", "GROUP", "BY", "TOP", "AS", "jobs", "deviceId",
            "$version",
            "properties", "desired", "$metadata", "LENGTH", "SUBSTRING", "lastActivityTime", " ", "\n", "é", "\\u0041",
        ]
        var random = Generator(state: 2)
        var parsed = 0
        for _ in 0..<20_000 {
            let count = Int.random(in: 1..<14, using: &random)
            let text = (0..<count).map { _ in tokens.randomElement(using: &random) ?? "" }.joined(separator: " ")
            if attempt(text) { parsed += 1 }
        }
        #expect(parsed > 0)
    }

    @Test func mutations() {
        let texts = (AcceptanceTests.accepted + StatementTests.accepted).map { Array($0.unicodeScalars) }
        var random = Generator(state: 3)
        for _ in 0..<20_000 {
            guard var scalars = texts.randomElement(using: &random) else { continue }
            for _ in 0..<Int.random(in: 1...3, using: &random) where !scalars.isEmpty {
                let position = Int.random(in: 0..<scalars.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: scalars.remove(at: position)
                case 1: scalars.insert(scalars[Int.random(in: 0..<scalars.count, using: &random)], at: position)
                case 2: scalars[position] = Unicode.Scalar(UInt8.random(in: 0..<128, using: &random))
                default: scalars = Array(scalars[..<position])
                }
            }
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars)
            attempt(String(view))
        }
    }

    /// The largest texts of each shape: accepted or refused, and the compiled text stays within a multiple of the input.
    @Test func extremeShapes() {
        func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }
        let shapes = [
            repeated("(", 10_000) + "true" + repeated(")", 10_000),
            repeated("(", 64) + "tags.a" + repeated(" + 1)", 64) + " = 1",
            repeated("ABS(", 60) + "tags.a" + repeated(")", 60) + " = 1",
            repeated("(", 60) + "tags.a" + repeated(" = true)", 60),
            repeated("(tags.a = ", 60) + "tags.b" + repeated(")", 60),
            repeated("(NOT (", 32) + "tags.a" + repeated("))", 32),
            repeated("tags.a=1 OR ", 600) + "true",
            repeated("tags.a=1 AND ", 600) + "true",
            repeated("POWER(", 60) + "tags.a" + repeated(", 2)", 60) + " > 1",
            repeated("CONCAT(", 60) + "tags.a" + repeated(", tags.b)", 60) + " > 'x'",
            repeated("IS_DEFINED(", 60) + "tags.a" + repeated(")", 60),
            "deviceId IN [" + repeated("'a',", 2000) + "'b']",
            repeated("[", 4000), repeated("'\\u", 2000), repeated("NOT ", 2000), repeated("-", 8000),
            repeated("tags.", 1600),
            "tags.a IN " + repeated("[", 4000),
        ]
        for shape in shapes {
            do {
                let fragment = try parseCondition(shape).sql(firstParameter: 1)
                #expect(fragment.text.utf8.count < 200 * shape.utf8.count + 10_000)
            } catch {
                #expect(error.position >= 1)
            }
        }
    }
}
