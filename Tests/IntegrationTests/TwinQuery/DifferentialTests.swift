// The compiled SQL against the reference evaluator. Goal: the type rules of the language hold in SQL for every mix of
// values, and no row raises an error. Method: for each seed random twins in a database of their own, then random
// conditions and SELECT items; the devices selected and the values returned must be those of the evaluator. The seed is
// the argument of the test, so a report shows it; MUSTER_SEED replaces the fixed seeds to replay or to search further.

import Foundation
import JSON
import Postgres
import StoreKit
import TestKit
import Testing
import TwinQuery

@Suite struct DifferentialTests {
    static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["MUSTER_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [1, 2, 3, 4]
    private static let twins = 60
    private static let conditions = 800
    private static let statements = 100

    @Test(arguments: seeds) func conditions(seed: UInt64) async throws {
        try await withWorld { (world) async throws -> Void in
            let pool = world.pool
            var query = RandomQuery(random: QueryGenerator(seed: seed))
            let twins = try await Self.insertTwins(&query.random, pool)
            let documents = twins.map { (id: $0.deviceID, document: $0.document) }
            var selected = 0
            for number in 0..<Self.conditions {
                let tree = query.condition(depth: number % 5)
                let text = tree.text(&query.random)
                let expected = documents.filter { ReferenceEvaluator.selects(tree, $0.document) }.map(\.id)
                let fragment = try parse(text, number).sql(firstParameter: 1)
                let sources = try parse(text, number).sources
                let statement = Statement(
                    name: "select_devices",
                    text: "SELECT t.device_id FROM \(sources.fromClause) WHERE \(fragment.text)", isPrepared: false)
                var actual: [String] = []
                do {
                    for row in try await pool.run(statement, fragment.parameters.map { Parameter($0) }) {
                        actual.append(try row.get("device_id"))
                    }
                } catch {
                    Issue.record("case \(number) failed: \(text)\n\(fragment.text)\n\(fragment.parameters)\n\(error)")
                    continue
                }
                selected += actual.count
                #expect(
                    Set(actual) == Set(expected), "case \(number): \(text)\n\(fragment.text)\n\(fragment.parameters)")
            }
            // A generator whose conditions select nothing would prove nothing.
            #expect(selected > Self.conditions)
        }
    }

    @Test(arguments: seeds) func items(seed: UInt64) async throws {
        try await withWorld { (world) async throws -> Void in
            let pool = world.pool
            var query = RandomQuery(random: QueryGenerator(seed: seed))
            let twins = try await Self.insertTwins(&query.random, pool)
            let documents = Dictionary(uniqueKeysWithValues: twins.map { ($0.deviceID, $0.document) })
            var values = 0
            for number in 0..<Self.statements {
                let trees = (0..<8).map { $0 % 2 == 0 ? query.path() : query.call(depth: 2) }
                var items: [String] = []
                for (index, tree) in trees.enumerated() { items.append("\(tree.text(&query.random)) AS k\(index)") }
                let text = "SELECT \(items.joined(separator: ", ")) FROM devices"
                let compiled = try parseStatement(text).compiled(firstParameter: 1)
                let statement = Statement(
                    name: "select_items",
                    text: "SELECT t.device_id, \(compiled.columnList) FROM \(compiled.sources.fromClause) "
                        + "WHERE \(compiled.condition)", isPrepared: false)
                for row in try await pool.run(statement, compiled.parameters.map { Parameter($0) }) {
                    let id: String = try row.get("device_id")
                    let evaluator = ReferenceEvaluator(document: try #require(documents[id]))
                    for (index, tree) in trees.enumerated() where compiled.columns[index].rendering == .value {
                        let actual: JSONValue? = try row.get("c\(index)")
                        let expected = evaluator.value(tree).json
                        values += expected == nil ? 0 : 1
                        #expect(
                            areEqual(actual, expected),
                            "statement \(number), \(id): \(items[index])\n\(compiled.columns[index].sql)")
                    }
                }
            }
            #expect(values > Self.statements)
        }
    }

    private func parse(_ text: String, _ number: Int) throws -> Condition {
        do {
            return try parseCondition(text)
        } catch {
            Issue.record("case \(number) does not parse: \(text)\n\(error)")
            throw error
        }
    }

    private static func insertTwins(_ random: inout QueryGenerator, _ pool: PostgresPool) async throws -> [RandomTwin] {
        let twins = (0..<Self.twins).map { RandomTwin(number: $0, &random) }
        let statement = Statement(name: "insert_twins", text: RandomTwin.insert, isPrepared: false)
        try await pool.run(statement, [.json(.array(twins.map(\.row)))])
        return twins
    }

    /// Numbers as doubles; objects and arrays by their members.
    private func areEqual(_ left: JSONValue?, _ right: JSONValue?) -> Bool {
        switch (left, right) {
        case (nil, nil): return true
        case (.array(let left)?, .array(let right)?):
            return left.count == right.count && zip(left, right).allSatisfy { areEqual($0, $1) }
        case (.object(let left)?, .object(let right)?):
            return left.count == right.count && left.members.allSatisfy { areEqual($0.value, right[$0.name]) }
        case (let left?, let right?):
            if let left = left.doubleValue, let right = right.doubleValue { return left == right }
            return left == right
        case (nil, _?), (_?, nil): return false
        }
    }
}

extension ReferenceEvaluator.Value {
    /// nil for undefined.
    var json: JSONValue? {
        switch self {
        case .undefined: nil
        case .null: .null
        case .bool(let value): .bool(value)
        case .number(let value): .number(value)
        case .string(let value, isMoment: _): .string(value)
        case .array(let elements): .array(elements)
        case .object(let members): .object(members)
        }
    }
}
