// Goal: the bare statement that `muster bench twin-patch` calls its limit has the effect of a twin job (design 10), so that
// the ratio compares like with like. Method: the same random twins twice, one half patched by a job and one by the bare
// statement; every column must agree, and the time of the metadata must be the only difference.

import Bench
import JSON
import JobModel
import Postgres
import ServiceKit
import TestKit
import Testing
import TwinModel

@Suite struct BarePatchTests {
    static let seed: UInt64 = 20_261_121
    static let twins = 400

    @Test func theBareStatementHasTheEffectOfAJob() async throws {
        try await JobWorld.run { world in
            let random = SeededRandom(seed: Self.seed)
            let documents = (0..<Self.twins).map { Self.document(random, number: $0) }
            for prefix in ["bare", "job"] { try await add(documents, prefix, world) }
            try await world.startCoordinator()
            try await world.startWorker()
            _ = try await world.put(
                "all", patch: ["properties": ["desired": .object(TwinPatchBench.patch(version: "2.1.0"))]],
                condition: "tags.half = 'job'")
            let record = try await world.wait(for: "all") { $0.state == .completed }
            let changed = try await BarePatch.run(
                world.pool, first: "bare-00000", last: "bare-99999", version: "2.1.0", etag: nil,
                sizeLimit: TwinLimits.desiredSize)
            #expect(Int(record.statistics.succeeded) == changed)
            // Some are so near the limit that the patch no longer fits, and are left alone by both.
            #expect(changed > 0 && changed < Self.twins, "seed \(Self.seed)")
            #expect(try await differences(world) == [], "seed \(Self.seed)")
        }
    }

    @Test func theBareStatementAsksForTheEtag() async throws {
        try await JobWorld.run { world in
            try await add([["a": 1]], "bare", world)
            for (etag, expected) in [(2, 0), (1, 1), (1, 0)] as [(Int64, Int)] {
                let changed = try await BarePatch.run(
                    world.pool, first: "bare-00000", last: "bare-99999", version: "2.1.0", etag: etag,
                    sizeLimit: TwinLimits.desiredSize)
                #expect(changed == expected, "etag \(etag)")
            }
        }
    }

    private func add(_ documents: [JSONObject], _ prefix: String, _ world: JobWorld) async throws {
        _ = try await world.pool.run(
            Statement(
                name: "add_documents",
                text: """
                    WITH input AS (SELECT $2 || '-' || lpad((n - 1)::text, 5, '0') AS id, document
                                   FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e (document, n)),
                         added AS (INSERT INTO devices (device_id, generation_id) SELECT id, 'g' FROM input)
                    INSERT INTO twins (device_id, tags, desired, desired_metadata)
                    SELECT id, jsonb_build_object('half', $2::text), document, '{"": [5, 1], "firmware.staged": [5, 1]}'
                    FROM input
                    """), [.json(.array(documents.map { .object($0) })), .text(prefix)])
    }

    /// Devices whose two halves disagree in anything but the time.
    private func differences(_ world: JobWorld) async throws -> [String] {
        try await world.texts(
            """
            WITH shown AS (
                SELECT tags ->> 'half' AS half, right(device_id, 5) AS number, desired, reported, desired_version, etag,
                       reported_version, reported_metadata,
                       (SELECT jsonb_object_agg(path, jsonb_build_array((stamp ->> 0)::bigint > 5, stamp -> 1))
                        FROM jsonb_each(desired_metadata) AS m (path, stamp)) AS metadata
                FROM twins
            )
            SELECT number AS text FROM (
                SELECT number, desired, reported, desired_version, etag, reported_version, reported_metadata, metadata
                FROM shown
                GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
                HAVING count(*) <> 2
            ) AS apart
            """)
    }

    // MARK: Documents

    /// What the patch finds: objects, leaves or arrays where it has objects, nothing, and documents of any size.
    private static func document(_ random: SeededRandom, number: Int) -> JSONObject {
        var document: JSONObject = ["network": ["ssid": .string("site-\(number)")]]
        document["firmware"] = either(
            random,
            [
                .null, "1.0", .array([1]), ["staged": true], ["retry": 5, "channel": "stable"],
                ["version": ["major": 1], "retry": ["count": 1, "policy": "linear"], "staged": .null],
            ])
        document["telemetry"] = either(random, [.null, true, ["interval": 60, "sensors": .array(["t"])], .array([])])
        // From far below the limit to beyond it; letters that compress, and control characters, which do not count.
        if number % 4 == 0 {
            let fill = TwinLimits.desiredSize - 400 + Int(random.next() % 500)
            document["notes"] = .string(String(repeating: number % 8 == 0 ? "x" : "é", count: fill) + "\u{1}\u{85}")
        }
        return document
    }

    /// One of the values; null stands for no member.
    private static func either(_ random: SeededRandom, _ values: [JSONValue]) -> JSONValue? {
        let value = values[Int(random.next() % UInt64(values.count))]
        return value.isNull ? nil : value
    }
}
