// Goal: the largest conditions that the parser accepts neither exhaust PostgreSQL nor take it long. Method: run the
// deepest and the longest of each shape over a handful of twins, within a timeout.

import JSON
import Postgres
import StoreKit
import TestKit
import Testing
import TwinQuery

@Suite struct QueryExtremesTests {
    private static func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    private static let shapes = [
        "1" + repeated(" + tags.a", 64) + " > 0",
        repeated("(", 63) + "tags.a" + repeated(" * 2)", 63) + " < 5",
        repeated("ABS(", 63) + "tags.a" + repeated(")", 63) + " = 1",
        repeated("POWER(", 63) + "tags.a" + repeated(", 2)", 63) + " > 1",
        repeated("CONCAT(", 63) + "tags.b" + repeated(", 'x')", 63) + " > 'x'",
        repeated("SUBSTRING(", 63) + "tags.b" + repeated(", 0, 9)", 63) + " > 'x'",
        repeated("(", 63) + "tags.a" + repeated(" = true)", 63),
        repeated("(tags.a = ", 63) + "tags.b" + repeated(")", 63),
        repeated("(tags.a = 1 OR tags.b = 2 AND ", 60) + "true" + repeated(")", 60),
        repeated("NOT ", 64) + "tags.a",
        repeated("tags.a=1 OR ", 600) + "true",
        repeated("tags.a=1 AND ", 600) + "true",
        repeated("NOT tags.a IN [1,'x'] OR ", 300) + "true",
        "deviceId IN [" + repeated("'a',", 2000) + "'dev-1']",
        "tags.a IN [" + repeated("1,", 2047) + "1]",
        "IS_NUMBER(tags" + repeated("[0]", 31) + ") OR true",
        "AS_NUMBER(tags.b) % 7 = 3 OR EXP(POWER(tags.a, 400)) > 1 OR 1 / (tags.a - tags.a) = 1",
    ]

    @Test func extremeShapesRun() async throws {
        try await withWorld { (world) async throws -> Void in
            var random = QueryGenerator(seed: 1)
            let twins = (0..<10).map { RandomTwin(number: $0, &random) }
            try await world.pool.run(
                Statement(name: "insert_twins", text: RandomTwin.insert, isPrepared: false),
                [.json(.array(twins.map(\.row)))])
            for shape in Self.shapes {
                let condition = try parseCondition(shape)
                let fragment = condition.sql(firstParameter: 1)
                let statement = Statement(
                    name: "select_devices",
                    text: "SELECT t.device_id FROM \(condition.sources.fromClause) WHERE \(fragment.text)",
                    isPrepared: false)
                let parameters = fragment.parameters.map { Parameter($0) }
                await #expect(throws: Never.self, "\(shape.prefix(80))") {
                    _ = try await world.pool.run(statement, parameters, timeout: .seconds(10))
                }
            }
        }
    }
}
