// Goal: the compiled patch and the reference merge agree on every document (design: a test holds one against the other),
// and no patch makes a document larger than it says.
// Method: thousands of random documents and patches from a printed seed; PostgreSQL evaluates the compiled expression.

import JSON
import Postgres
import ServiceKit
import StoreKit
import Testing
import TwinModel

@Suite struct PatchDifferentialTests {
    static let seed: UInt64 = 7_041_776
    static let cases = 3000

    @Test func compiledPatchEqualsReferenceMerge() async throws {
        try await JobWorld.run(recounting: false) { world in
            let random = SeededRandom(seed: Self.seed)
            for number in 0..<Self.cases {
                let document = Self.object(random, depth: 0, nulls: false)
                let patch = Self.object(random, depth: 0, nulls: true)
                let sql = TwinPatchSQL(tags: nil, desired: patch, firstParameter: 3)
                // The metadata's parameters are part of the list, so its expression stands in the statement too.
                let statement = Statement(
                    name: "differential",
                    text: """
                        WITH held AS (SELECT $2::bigint AS written)
                        SELECT merged, metadata, pg_column_size(desired)::bigint AS before,
                               pg_column_size(merged)::bigint AS after
                        FROM (SELECT desired, \(sql.desired) AS merged, \(sql.desiredMetadata) AS metadata
                              FROM (SELECT $1::jsonb AS desired, '{}'::jsonb AS desired_metadata,
                                           1::bigint AS desired_version OFFSET 0) t OFFSET 0) p
                        """)
                let row = try #require(
                    try await world.pool.run(
                        statement,
                        [.json(.object(document)), .integer(1)] + sql.parameters.map { Parameter($0) }
                    ).first)
                let merged: JSONValue = try row.get("merged")
                let expected = TwinMerge.merged(document, patch)
                #expect(
                    merged == .object(expected),
                    "seed \(Self.seed), case \(number): \(JSONValue.object(document).text) + \(JSONValue.object(patch).text)"
                )
                let (before, after): (Int64, Int64) = (try row.get("before"), try row.get("after"))
                #expect(after <= before + sql.desiredGrowth, "seed \(Self.seed), case \(number)")
                // Every path of the patch that the document now has carries the stamp.
                let metadata: JSONValue = try row.get("metadata")
                #expect(metadata[""] == [1, 2])
                for (name, value) in patch.members where !value.isNull { #expect(metadata[name] == [1, 2]) }
            }
        }
    }

    /// Few names, so that documents and patches meet; some need quoting, one looks like an array index.
    private static let names = ["a", "b", "c", "0", "é", "q\"uote", "back\\slash", "it's", "@x", "A"]

    private static func object(_ random: SeededRandom, depth: Int, nulls: Bool) -> JSONObject {
        var object = JSONObject()
        for _ in 0..<Int(random.next() % 4) {
            object[names[Int(random.next() % UInt64(names.count))]] = value(random, depth: depth + 1, nulls: nulls)
        }
        return object
    }

    private static func value(_ random: SeededRandom, depth: Int, nulls: Bool) -> JSONValue {
        switch random.next() % (nulls ? 9 : 8) {
        case 0: .integer(Int64(random.next() % 1000))
        case 1: .string(names[Int(random.next() % UInt64(names.count))])
        case 2: .bool(true)
        case 3: .array([.integer(1), .object(["a": 1])])
        case 8: .null
        default: depth < 6 ? .object(object(random, depth: depth, nulls: nulls)) : .number(1.5)
        }
    }
}
