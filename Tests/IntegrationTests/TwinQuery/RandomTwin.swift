// Random devices with twins and sessions: the values of their rows, and the document that the service side shows, built
// here by the wire contract's words.

import JSON
import ServiceKit

struct QueryGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &self)]
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// What random twins and random conditions draw from, so that they meet.
enum QueryPool {
    static let names = ["a", "b", "c", "group", "my-key", "0", "é", "x y"]
    static let strings = [
        "", "a", "ab", "abc", "B", "b", "é", "z😀", "12", "-1.5", "1e3", "it's", "true", "2031-01-01T00:00:00Z",
    ]
    static let numbers: [JSONValue] = [
        0, 1, 2, 3, 5, 10, -1, -3, 0.5, 1.5, -2.25, 4_503_599_627_370_495, .number(1e200), .number(1e308),
        .number(.leastNonzeroMagnitude),
    ]
    static let small: [JSONValue] = [0, 1, 2, 3, 5, 7, -1, -3, 0.5, 1.5, -2.25]
    static let ids = ["dev-0", "dev-1", "dev-2", "dev-3", "DEV-1", "nosuch"]
    /// Microseconds since 1970.
    static let moments: [Int64] = [
        1_735_689_600_000_000, 1_767_225_600_000_000, 1_767_225_600_000_001, 1_767_225_600_500_000,
        1_924_992_000_000_000,
    ]
    static let momentTexts = [
        "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z", "2026-01-01T02:00:00.5+02:00",
        "2031-01-01T00:00:00", "0001-01-01T00:00:00Z", "2026-01-01", "2026", "x", "2026-13-01T00:00:00Z",
    ]
}

struct RandomTwin {
    let deviceID: String
    let etag: Int64
    let deviceEtag: Int64
    let desiredVersion: Int64
    let reportedVersion: Int64
    let isEnabled: Bool
    let statusReason: String?
    let statusUpdated: Int64?
    let authenticationType: String
    let isEdge: Bool
    let modelID: String
    let created: Int64
    let thumbprint: String?
    /// nil: no row in device_sessions.
    let session: (isConnected: Bool, lastActivity: Int64?)?
    let tags: JSONObject
    let desired: JSONObject
    let reported: JSONObject
    let desiredMetadata: JSONObject
    let reportedMetadata: JSONObject

    init(number: Int, _ random: inout QueryGenerator) {
        deviceID = number % 7 == 3 ? "DEV-\(number)" : "dev-\(number)"
        etag = Int64.random(in: 1...300, using: &random)
        deviceEtag = Int64.random(in: 1...9_000_000_000, using: &random)
        desiredVersion = Int64.random(in: 1...9, using: &random)
        reportedVersion = Int64.random(in: 1...9, using: &random)
        isEnabled = random.chance(70)
        statusReason = random.chance(40) ? random.pick(QueryPool.strings) : nil
        statusUpdated = random.chance(50) ? random.pick(QueryPool.moments) : nil
        authenticationType = random.pick(["sas", "selfSigned", "certificateAuthority", "none"])
        isEdge = random.chance(30)
        modelID = random.pick(["", "dtmi:a;1"])
        created = random.pick(QueryPool.moments)
        thumbprint = random.chance(30) ? "AB12" : nil
        session =
            random.chance(30)
            ? nil : (random.chance(50), random.chance(70) ? random.pick(QueryPool.moments) : nil)
        tags = random.chance(15) ? JSONObject() : Self.object(&random, depth: 3)
        desired = Self.object(&random, depth: 3)
        reported = Self.object(&random, depth: 2)
        desiredMetadata = Self.metadata(desired, version: desiredVersion, &random)
        reportedMetadata = Self.metadata(reported, version: reportedVersion, &random)
    }

    private static func object(_ random: inout QueryGenerator, depth: Int) -> JSONObject {
        var object = JSONObject()
        for name in QueryPool.names where random.chance(55) { object[name] = value(&random, depth: depth - 1) }
        return object
    }

    private static func value(_ random: inout QueryGenerator, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<14, using: &random) {
        case 0..<4: .string(random.pick(QueryPool.strings))
        case 4..<7: random.pick(QueryPool.numbers)
        case 7..<9: .bool(random.chance(50))
        // Writers never store null, but a row may hold it.
        case 9: .null
        case 10, 11: .array((0..<Int.random(in: 0..<4, using: &random)).map { _ in value(&random, depth: 0) })
        default: depth > 0 ? .object(object(&random, depth: depth)) : random.pick(QueryPool.small)
        }
    }

    /// Compact metadata as migrations/0001 describes it; some paths are left out, some stand there without a value.
    private static func metadata(_ document: JSONObject, version: Int64, _ random: inout QueryGenerator) -> JSONObject {
        var metadata = JSONObject()
        func walk(_ object: JSONObject, _ prefix: String) {
            for member in object.members {
                let path = prefix.isEmpty ? member.name : prefix + "." + member.name
                if random.chance(70) {
                    metadata[path] = [.integer(random.pick(QueryPool.moments)), .integer(version)]
                }
                if case .object(let inner) = member.value { walk(inner, path) }
            }
        }
        if random.chance(80) { metadata[""] = [.integer(random.pick(QueryPool.moments)), .integer(version)] }
        walk(document, "")
        if random.chance(30) { metadata["nosuch.a"] = [.integer(QueryPool.moments[0]), 1] }
        return metadata
    }

    // MARK: The document

    /// The twin as the reference's section 4.1 shows it.
    var document: JSONValue {
        var twin: JSONObject = JSONObject([
            ("deviceId", .string(deviceID)), ("etag", .string(Self.base64(Self.bigEndian(etag)))),
            ("deviceEtag", .string(Self.base64(Array(String(deviceEtag).utf8)))),
            ("status", isEnabled ? "enabled" : "disabled"), ("statusUpdateTime", .string(Self.moment(statusUpdated))),
            ("connectionState", session?.isConnected == true ? "Connected" : "Disconnected"),
            ("lastActivityTime", .string(Self.moment(session?.lastActivity))), ("cloudToDeviceMessageCount", 0),
            ("authenticationType", .string(authenticationType)), ("modelId", .string(modelID)),
            (
                "x509Thumbprint",
                ["primaryThumbprint": thumbprint.map { .string($0) } ?? .null, "secondaryThumbprint": nil]
            ),
            ("version", .integer(etag + reportedVersion)), ("capabilities", ["iotEdge": .bool(isEdge)]),
            (
                "properties",
                [
                    "desired": section(desired, desiredMetadata, desiredVersion, showsVersion: true),
                    "reported": section(reported, reportedMetadata, reportedVersion, showsVersion: false),
                ]
            ),
        ])
        twin["statusReason"] = statusReason.map { .string($0) }
        if !tags.isEmpty { twin["tags"] = .object(tags) }
        return .object(twin)
    }

    private func section(
        _ document: JSONObject, _ metadata: JSONObject, _ version: Int64, showsVersion: Bool
    ) -> JSONValue {
        var result = document
        let root = metadata[""] ?? [.integer(created)]
        result["$metadata"] = Self.level(.object(document), at: "", root, metadata, showsVersion)
        result["$version"] = .integer(version)
        return .object(result)
    }

    private static func level(
        _ value: JSONValue, at path: String, _ entry: JSONValue, _ metadata: JSONObject, _ showsVersion: Bool
    ) -> JSONValue {
        let pair = entry.arrayValue ?? []
        var level = JSONObject([("$lastUpdated", .string(moment(pair[0].integerValue)))])
        if showsVersion, pair.count > 1 { level["$lastUpdatedVersion"] = pair[1] }
        for member in value.objectValue?.members ?? [] {
            let below = path.isEmpty ? member.name : path + "." + member.name
            level[member.name] = self.level(member.value, at: below, metadata[below] ?? entry, metadata, showsVersion)
        }
        return .object(level)
    }

    private static func moment(_ microseconds: Int64?) -> String {
        microseconds.map { TimestampFormatter().text(microseconds: $0) } ?? "0001-01-01T00:00:00Z"
    }

    private static func bigEndian(_ value: Int64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for position in 0..<4 {
                text.append(position <= group.count ? alphabet[bits >> (18 - 6 * position) & 63] : "=")
            }
        }
        return text
    }

    // MARK: The rows

    /// One object for `insert`, with a member per column.
    var row: JSONValue {
        [
            "device_id": .string(deviceID), "device_etag": .integer(deviceEtag),
            "status": isEnabled ? "enabled" : "disabled",
            "status_reason": statusReason.map { .string($0) } ?? .null,
            "status_updated": statusUpdated.map { .integer($0) } ?? .null,
            "authentication_type": .string(authenticationType), "edge": .bool(isEdge), "model_id": .string(modelID),
            "thumbprint": thumbprint.map { .string($0) } ?? .null, "created": .integer(created), "etag": .integer(etag),
            "desired_version": .integer(desiredVersion), "reported_version": .integer(reportedVersion),
            "tags": .object(tags), "desired": .object(desired), "reported": .object(reported),
            "desired_metadata": .object(desiredMetadata), "reported_metadata": .object(reportedMetadata),
            "session": .bool(session != nil), "connected": .bool(session?.isConnected ?? false),
            "last_activity": session?.lastActivity.map { .integer($0) } ?? .null,
        ]
    }

    /// $1 jsonb: an array of `row`. Into devices, twins and device_sessions.
    static let insert = """
        WITH listed AS MATERIALIZED (
            SELECT r.* FROM jsonb_to_recordset($1::jsonb) AS r (
                device_id text, device_etag bigint, status text, status_reason text, status_updated bigint,
                authentication_type text, edge boolean, model_id text, thumbprint text, created bigint, etag bigint,
                desired_version bigint, reported_version bigint, tags jsonb, desired jsonb, reported jsonb,
                desired_metadata jsonb, reported_metadata jsonb, session boolean, connected boolean, last_activity bigint)
        ), device AS (
            INSERT INTO devices (device_id, generation_id, etag, status, status_reason, status_updated_at,
                                 authentication_type, edge, model_id, primary_thumbprint, created_at)
            SELECT device_id, 'g', device_etag, status, status_reason,
                   'epoch'::timestamptz + status_updated * interval '1 microsecond', authentication_type, edge, model_id,
                   thumbprint, 'epoch'::timestamptz + created * interval '1 microsecond'
            FROM listed
        ), twin AS (
            INSERT INTO twins (device_id, etag, desired_version, reported_version, tags, desired, reported,
                               desired_metadata, reported_metadata)
            SELECT device_id, etag, desired_version, reported_version, tags, desired, reported, desired_metadata,
                   reported_metadata
            FROM listed
        )
        INSERT INTO device_sessions (device_id, connected, last_activity_at)
        SELECT device_id, connected, 'epoch'::timestamptz + last_activity * interval '1 microsecond'
        FROM listed WHERE session
        """
}
