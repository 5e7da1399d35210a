// The SQL of each member of a twin and of a job's device record.

import JSON

extension Compiler {
    mutating func value(of member: Member) -> Value {
        switch member {
        case .twin(let member): return value(of: member)
        case .job(let member): return Self.value(of: member)
        case .tags(let segments):
            let tags = sql.column(.twins, "tags")
            // The wire shows no tags where there are none.
            return .json(segments.isEmpty ? "nullif(\(tags), '{}'::jsonb)" : extraction(tags, segments))
        case .property(let section, let segments):
            return .json(extraction(sql.column(.twins, section.rawValue), segments))
        case .version(let section):
            return .number("\(sql.column(.twins, section.rawValue))_version::float8")
        case .metadata(let section, let names):
            return .object(exists: exists(section, names))
        case .lastUpdated(let section, let names):
            let microseconds = lastUpdated(section, names)
            return .timestamp(microseconds: microseconds, text: Self.timestampText(microseconds: microseconds))
        case .lastUpdatedVersion(let names):
            let entry = "((\(entry(.desired, names))) -> 1)"
            return .json("(CASE WHEN \(exists(.desired, names)) THEN nullif(\(entry), 'null'::jsonb) END)")
        case .section, .properties:
            return .object(exists: "true")
        case .capabilities:
            return .json("jsonb_build_object('iotEdge', \(sql.column(.devices, "edge")))")
        case .edge:
            return .boolean(sql.column(.devices, "edge"))
        case .thumbprints(let name):
            return .json(thumbprints(name))
        case .undefined:
            return .undefined
        }
    }

    private mutating func value(of member: TwinMember) -> Value {
        switch member {
        case .authenticationType: return .string(sql.column(.devices, "authentication_type"))
        case .cloudToDeviceMessageCount: return .number("0::float8")
        case .connectionState:
            return .string("CASE WHEN \(sql.column(.sessions, "connected")) THEN 'Connected' ELSE 'Disconnected' END")
        case .deviceEtag:
            return .string("encode(convert_to(\(sql.column(.devices, "etag"))::text, 'UTF8'), 'base64')")
        case .deviceId: return .string(sql.column(.twins, "device_id"))
        case .etag: return .string("encode(int8send(\(sql.column(.twins, "etag"))), 'base64')")
        case .lastActivityTime: return Self.timestamp(sql.column(.sessions, "last_activity_at"), hasNever: true)
        case .modelId: return .string(sql.column(.devices, "model_id"))
        case .status: return .string(sql.column(.devices, "status"))
        case .statusReason: return .string(sql.column(.devices, "status_reason"))
        case .statusUpdateTime: return Self.timestamp(sql.column(.devices, "status_updated_at"), hasNever: true)
        case .version: return .number("(t.etag + t.reported_version)::float8")
        }
    }

    private static func value(of member: JobMember) -> Value {
        switch member {
        case .createdDateTimeUtc: timestamp("i.created_at")
        case .deviceId: .string("i.device_id")
        case .endTimeUtc: timestamp("j.deadline")
        case .jobId: .string("j.job_id")
        case .jobType: .string("j.type")
        case .lastUpdatedDateTimeUtc: timestamp("i.updated_at")
        case .startTimeUtc: timestamp("coalesce(j.started_at, j.start_at)")
        case .status:
            .string(
                "CASE i.state WHEN 'succeeded' THEN 'completed' WHEN 'failed' THEN 'failed' "
                    + "WHEN 'cancelled' THEN 'canceled' "
                    + "ELSE CASE WHEN b.state = 'claimed' THEN 'running' ELSE 'pending' END END")
        }
    }

    // MARK: Documents

    /// The value at a path, NULL if there is none. Names select members of objects only, indexes elements of arrays
    /// only. `->` with a name does so; with an integer it would take a bare "x" for an array of one, so a strict JSON
    /// path, silent about what is no array, selects elements.
    mutating func extraction(_ column: String, _ segments: [Path.Segment]) -> String {
        // #> walks the document in one pass, but would take a name like 0 for an index when it meets an array.
        let names = segments.compactMap {
            if case .name(let name) = $0, !Self.looksLikeIndex(name) { name } else { nil }
        }
        if names.count == segments.count, names.count > 1 { return "(\(column) #> \(sql.textArray(names)))" }
        return segments.reduce(column) { value, segment in
            switch segment {
            case .name(let name): "(\(value) -> \(sql.text(name)))"
            case .index(let index):
                "jsonb_path_query_first(\(value), 'strict $[$i]', \(sql.json(["i": .integer(Int64(index))])), true)"
            }
        }
    }

    /// What strtol, which #> uses, might read as an integer.
    private static func looksLikeIndex(_ name: String) -> Bool {
        guard let first = name.utf8.first else { return true }
        return !(0x41...0x5a).contains(first) && !(0x61...0x7a).contains(first) && first != 0x5f && first < 0x80
    }

    // MARK: Metadata

    /// Whether the document has the path; true for the root, which is always there.
    private mutating func exists(_ section: PropertySection, _ names: [String]) -> String {
        let column = sql.column(.twins, section.rawValue)
        guard !names.isEmpty else { return "true" }
        return "(CASE WHEN \(extraction(column, names.map { .name($0) })) IS NOT NULL THEN true END)"
    }

    /// `[microseconds, version]` of the path or, where a write did not name it, of the nearest level above.
    private mutating func entry(_ section: PropertySection, _ names: [String]) -> String {
        let column = sql.column(.twins, section.rawValue) + "_metadata"
        let paths = (0...names.count).reversed().map { names.prefix($0).joined(separator: ".") }
        return "coalesce(" + paths.map { "\(column) -> \(sql.text($0))" }.joined(separator: ", ") + ")"
    }

    private mutating func lastUpdated(_ section: PropertySection, _ names: [String]) -> String {
        let entry = "((\(entry(section, names))) -> 0)"
        // A section that nothing was written to is as old as its device.
        let created = Self.microseconds(sql.column(.devices, "created_at"))
        let own = Self.bound(
            [entry],
            "CASE WHEN jsonb_typeof(v.a) = 'number' THEN CASE WHEN (v.a)::numeric "
                + "BETWEEN \(never) AND 253402300799999999 THEN (v.a)::bigint END END")
        return "(CASE WHEN \(exists(section, names)) THEN coalesce(\(own), \(created)) END)"
    }

    private mutating func thumbprints(_ name: String?) -> String {
        let primary = sql.column(.devices, "primary_thumbprint")
        let secondary = sql.column(.devices, "secondary_thumbprint")
        return switch name {
        case "primaryThumbprint": "coalesce(to_jsonb(\(primary)), 'null'::jsonb)"
        case "secondaryThumbprint": "coalesce(to_jsonb(\(secondary)), 'null'::jsonb)"
        default: "jsonb_build_object('primaryThumbprint', \(primary), 'secondaryThumbprint', \(secondary))"
        }
    }

    // MARK: Moments

    /// 0001-01-01T00:00:00Z, the wire's "never", in microseconds since 1970.
    private static let never = "-62135596800000000"

    private var never: String { Self.never }

    /// `hasNever`: a null column is shown as "never".
    private static func timestamp(_ column: String, hasNever: Bool = false) -> Value {
        let microseconds = microseconds(column)
        let text = text(column)
        guard hasNever else { return .timestamp(microseconds: microseconds, text: text) }
        return .timestamp(
            microseconds: "coalesce(\(microseconds), \(never))", text: "coalesce(\(text), '0001-01-01T00:00:00Z')")
    }

    static func microseconds(_ column: String) -> String {
        "(extract(epoch FROM \(column)) * 1000000)::bigint"
    }

    private static func text(_ column: String) -> String {
        "to_char(\(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    }

    private static func timestampText(microseconds: String) -> String {
        text("('epoch'::timestamptz + \(microseconds) * interval '1 microsecond')")
    }
}
