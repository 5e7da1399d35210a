// What a path means: resolution of names to members of a twin document or of a job's device record. Pure name lookup;
// the SQL of each member stands in `Compiler+Members.swift`.

/// Scalar members of a twin; the raw value is the name on the wire.
enum TwinMember: String, CaseIterable, Sendable {
    case authenticationType, cloudToDeviceMessageCount, connectionState, deviceEtag, deviceId, etag, lastActivityTime,
        modelId, status, statusReason, statusUpdateTime, version

    private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue.folded, $0) })

    init?(named name: String) {
        let folded = name.folded
        guard let member = folded == "id" ? .deviceId : Self.byName[folded] else { return nil }
        self = member
    }
}

/// Members of a job's device record that conditions may use.
enum JobMember: String, CaseIterable, Sendable {
    case createdDateTimeUtc, deviceId, endTimeUtc, jobId, jobType, lastUpdatedDateTimeUtc, startTimeUtc, status

    private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue.folded, $0) })

    init?(named name: String) {
        let folded = name.folded
        // One example of the wire contract's documents says createdTimeUtc.
        guard let member = folded == "createdtimeutc" ? .createdDateTimeUtc : Self.byName[folded] else { return nil }
        self = member
    }
}

/// `properties.desired` or `properties.reported`.
package enum PropertySection: String, Sendable {
    case desired
    case reported
}

enum Member: Sendable {
    case twin(TwinMember)
    case job(JobMember)
    /// `tags` and below.
    case tags([Path.Segment])
    /// Below `properties.desired` or `.reported`, without `$version` and `$metadata`.
    case property(PropertySection, [Path.Segment])
    case version(PropertySection)
    /// `$metadata` itself or one of its levels: always an object.
    case metadata(PropertySection, [String])
    case lastUpdated(PropertySection, [String])
    case lastUpdatedVersion([String])
    /// A whole section with `$metadata` and `$version`.
    case section(PropertySection)
    case properties
    case capabilities
    case edge
    case thumbprints(String?)
    case undefined

    static func resolve(_ path: Path, in source: QuerySource) -> Member {
        let segments = withoutPrefix(path.segments, source)
        guard case .name(let first)? = segments.first else { return .undefined }
        let rest = segments.dropFirst()
        if source == .jobs {
            return rest.isEmpty ? JobMember(named: first).map { .job($0) } ?? .undefined : .undefined
        }
        if let member = TwinMember(named: first) { return rest.isEmpty ? .twin(member) : .undefined }
        switch first.folded {
        case "tags": return .tags(Array(rest))
        case "properties": return property(rest)
        case "capabilities":
            if rest.isEmpty { return .capabilities }
            return foldedNames(rest) == ["iotedge"] ? .edge : .undefined
        case "x509thumbprint":
            if rest.isEmpty { return .thumbprints(nil) }
            return switch foldedNames(rest) {
            case ["primarythumbprint"]: .thumbprints("primaryThumbprint")
            case ["secondarythumbprint"]: .thumbprints("secondaryThumbprint")
            default: .undefined
            }
        default: return .undefined
        }
    }

    /// `devices.` and, for the other sources, `devices.modules.` and `devices.jobs.` may stand before a member.
    private static func withoutPrefix(_ segments: [Path.Segment], _ source: QuerySource) -> ArraySlice<Path.Segment> {
        guard segments.count > 1, case .name(let first) = segments[0], first.folded == "devices" else {
            return segments[...]
        }
        if segments.count > 2, case .name(let second) = segments[1] {
            switch (source, second.folded) {
            case (.jobs, "jobs"), (.modules, "modules"): return segments[2...]
            default: break
            }
        }
        return segments[1...]
    }

    private static func property(_ segments: ArraySlice<Path.Segment>) -> Member {
        guard let first = segments.first else { return .properties }
        guard case .name(let name) = first, let section = PropertySection(rawValue: name.folded) else {
            return .undefined
        }
        let rest = Array(segments.dropFirst())
        guard case .name(let member)? = rest.first else { return rest.isEmpty ? .section(section) : .undefined }
        switch member.folded {
        case "$version": return rest.count == 1 ? .version(section) : .undefined
        case "$metadata": return metadata(section, rest.dropFirst())
        default: return .property(section, rest)
        }
    }

    private static func metadata(_ section: PropertySection, _ segments: ArraySlice<Path.Segment>) -> Member {
        var names: [String] = []
        for segment in segments {
            guard case .name(let name) = segment else { return .undefined }
            names.append(name)
        }
        switch names.last?.folded {
        case "$lastupdated": return .lastUpdated(section, Array(names.dropLast()))
        case "$lastupdatedversion":
            return section == .desired ? .lastUpdatedVersion(Array(names.dropLast())) : .undefined
        default: return .metadata(section, names)
        }
    }

    private static func foldedNames(_ segments: ArraySlice<Path.Segment>) -> [String]? {
        var names: [String] = []
        for segment in segments {
            guard case .name(let name) = segment else { return nil }
            names.append(name.folded)
        }
        return names
    }

    /// The key of the member in a row: the name on the wire, or as written for user data; nil for an array element.
    static func defaultKey(_ path: Path, in source: QuerySource) -> String? {
        guard case .name(let last)? = path.segments.last else { return nil }
        switch resolve(path, in: source) {
        case .twin(let member): return member.rawValue
        case .job(let member): return member.rawValue
        case .tags(let segments): return segments.isEmpty ? "tags" : last
        case .version: return "$version"
        case .lastUpdated: return "$lastUpdated"
        case .lastUpdatedVersion: return "$lastUpdatedVersion"
        case .metadata(_, let names): return names.isEmpty ? "$metadata" : last
        case .section(let section): return section.rawValue
        case .properties: return "properties"
        case .capabilities: return "capabilities"
        case .edge: return "iotEdge"
        case .thumbprints(let name): return name ?? "x509Thumbprint"
        case .property, .undefined: return last
        }
    }
}
