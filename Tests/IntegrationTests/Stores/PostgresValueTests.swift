// Values through a real server and back, and statements that carry many rows.

import JSON
import Postgres
import ServiceKit
import TestKit
import Testing

@Suite struct PostgresValueTests {
    @Test(arguments: [true, false])
    func roundTrip(isPrepared: Bool) async throws {
        try await withWorld(isMigrated: false) { world in
            let statement = Statement(
                name: "echo",
                text: """
                    SELECT $1::text AS text, $2::bigint AS integer, $3::boolean AS bool, $4::float8 AS double,
                           $5::bytea AS bytes, $6::jsonb AS json, $7::text[] AS texts, $8::bigint[] AS integers,
                           $9::bytea[] AS blobs, $10::jsonb[] AS documents, $11::boolean[] AS bools,
                           $12::float8[] AS doubles, $13::text AS absent
                    """, isPrepared: isPrepared)
            let texts: [String?] = ["", "NULL", nil, "a\"b\\c", "{,}", "snow ☃ 👩‍🚒", "line\nfeed\ttab", " spaced "]
            let document: JSONValue = ["tags": ["floor": 3, "name": "ä\"\\", "none": nil], "list": [1, 2.5, true]]
            let row = try #require(
                try await world.pool.run(
                    statement,
                    [
                        "héllo\n\\x", .integer(.min), true, 0.1, .bytes([0, 255, 92, 39]), .json(document),
                        .textArray(texts), .integerArray([1, nil, .max]), .bytesArray([[], [0, 92], nil]),
                        .jsonArray([document, nil, "x"]), .boolArray([true, nil, false]), .doubleArray([1e300, -0.5]),
                        .null,
                    ]
                ).only)
            #expect(try row.get("text") == "héllo\n\\x")
            #expect(try row.get("integer") == Int64.min)
            #expect(try row.get("bool") == true)
            #expect(try row.get("double") == 0.1)
            #expect(try row.get("bytes", as: [UInt8].self) == [0, 255, 92, 39])
            #expect(try row.get("json") == document)
            #expect(try row.get("texts", as: [String?].self) == texts)
            #expect(try row.get("integers", as: [Int64?].self) == [1, nil, .max])
            #expect(try row.get("blobs", as: [[UInt8]?].self) == [[], [0, 92], nil])
            #expect(try row.get("documents", as: [JSONValue?].self).count == 3)
            #expect(try row.get("bools", as: [Bool?].self) == [true, nil, false])
            #expect(try row.get("doubles", as: [Double].self) == [1e300, -0.5])
            #expect(try row.get("absent", as: String?.self) == nil)
            #expect(try row.get(1, as: Int64.self) == .min)
        }
    }

    @Test func whatDoesNotFitIsRefused() async throws {
        try await withWorld(isMigrated: false) { world in
            let row = try #require(
                try await world.pool.run(
                    Statement(name: "some", text: "SELECT NULL::int AS n, 'x' AS x, 5000000000 AS b")
                )
                .only)
            for column in ["n", "x", "b", "missing"] {
                let error = #expect(throws: StoreError.self) { try row.get(column, as: Int32.self) }
                #expect(error?.code == .fatal)
            }
            let nul = await #expect(throws: StoreError.self) {
                try await world.pool.run(Statement(name: "nul", text: "SELECT $1::text"), [.text("a\u{0}b")])
            }
            #expect(nul?.code == .invalidData)
            #expect(nul?.effect == StoreError.Effect.none)
        }
    }

    @Test func copyCarriesManyRowsAndFailsAsAWhole() async throws {
        try await withWorld(isMigrated: false) { world in
            try await world.pool.run(
                Statement(name: "t", text: "CREATE TABLE t (n bigint PRIMARY KEY, s text, b bytea)"))
            let copy = Statement(name: "copy", text: "COPY t FROM STDIN")
            let count = try await world.pool.copyIn(
                copy,
                rows: (0..<50_000).lazy.map {
                    CopyText.line([.integer($0), "tab\tback\\slash\nline", .bytes([0, 10])])
                })
            #expect(count == 50_000)
            let check = Statement(
                name: "check",
                text: #"SELECT count(*) AS n FROM t WHERE s = E'tab\tback\\slash\nline' AND b = '\x000a'"#)
            #expect(try await world.pool.run(check).only?.get("n") == 50_000)
            for (line, code) in [
                (CopyText.line([.integer(7), .null, .null]), StoreError.Code.conflict),
                (Array("x\ty\n".utf8), .invalidData),
            ] {
                let error = await #expect(throws: StoreError.self) {
                    try await world.pool.copyIn(copy, rows: [CopyText.line([.integer(99_999), .null, .null]), line])
                }
                #expect(error?.code == code)
                #expect(error?.effect == StoreError.Effect.none)
            }
            let misplaced = await #expect(throws: StoreError.self) { try await world.pool.run(copy) }
            #expect(misplaced?.code == .fatal)
            let wrong = await #expect(throws: StoreError.self) {
                try await world.pool.copyIn(Statement(name: "select", text: "SELECT 1"), rows: [])
            }
            #expect(wrong?.code == .fatal)
            #expect(try await world.pool.run(check).only?.get("n") == 50_000)
        }
    }

    @Test func largeParametersAndResults() async throws {
        try await withWorld(isMigrated: false) { world in
            let text = String(repeating: "0123456789", count: 2_000_000)
            let echo = Statement(name: "echo", text: "SELECT $1::text AS a, $1::text AS b")
            let row = try #require(try await world.pool.run(echo, [.text(text)]).only)
            #expect(try row.get("b", as: String.self).utf8.count == text.utf8.count)
        }
    }
}
