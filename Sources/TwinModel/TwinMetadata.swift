// `$metadata` and `$version` from the compact metadata that twins carry (migrations/0001): an object from dotted path
// ('' is the root) to [microseconds since 1970, version]. The document is walked, never the metadata, so paths that
// linger after their value was deleted are not seen.

package import JSON

package enum TwinMetadata {
    /// Renders a moment; microseconds since 1970.
    package typealias Timestamp = (Int64) -> String

    /// `desired` or `reported` as the service side shows it: the members, `$metadata` and `$version`.
    package static func rendered(
        _ document: JSONObject, section: TwinSection, metadata: JSONObject, version: Int64, created: Int64,
        timestamp: Timestamp
    ) -> JSONObject {
        var result = document
        let showsVersion = section == .desired
        let root = entry(metadata[""]) ?? Entry(microseconds: created, version: nil)
        var tree = rendered(root, showsVersion: showsVersion, timestamp)
        addMembers(of: document, below: "", parent: root, metadata, showsVersion: showsVersion, timestamp, to: &tree)
        result["$metadata"] = .object(tree)
        result["$version"] = .integer(version)
        return result
    }

    /// The dotted paths of every object level and leaf, root included: what a write of the whole document touches.
    package static func paths(of document: JSONObject) -> [String] {
        var paths = [""]
        func walk(_ object: JSONObject, below prefix: String) {
            for member in object.members {
                let path = prefix.isEmpty ? member.name : prefix + "." + member.name
                paths.append(path)
                if case .object(let inner) = member.value { walk(inner, below: path) }
            }
        }
        walk(document, below: "")
        return paths
    }

    private struct Entry {
        let microseconds: Int64
        let version: Int64?
    }

    private static func entry(_ value: JSONValue?) -> Entry? {
        guard let pair = value?.arrayValue, let microseconds = pair.first?.integerValue else { return nil }
        return Entry(microseconds: microseconds, version: pair.count > 1 ? pair[1].integerValue : nil)
    }

    private static func rendered(_ entry: Entry, showsVersion: Bool, _ timestamp: Timestamp) -> JSONObject {
        var object = JSONObject()
        object["$lastUpdated"] = .string(timestamp(entry.microseconds))
        if showsVersion, let version = entry.version { object["$lastUpdatedVersion"] = .integer(version) }
        return object
    }

    private static func addMembers(
        of object: JSONObject, below prefix: String, parent: Entry, _ metadata: JSONObject, showsVersion: Bool,
        _ timestamp: Timestamp, to tree: inout JSONObject
    ) {
        for member in object.members {
            let path = prefix.isEmpty ? member.name : prefix + "." + member.name
            let own = entry(metadata[path]) ?? parent
            var node = rendered(own, showsVersion: showsVersion, timestamp)
            if case .object(let inner) = member.value {
                addMembers(
                    of: inner, below: path, parent: own, metadata, showsVersion: showsVersion, timestamp, to: &node)
            }
            tree[member.name] = .object(node)
        }
    }
}

extension TwinMetadata {
    /// Compact metadata after a merge patch: every path the patch names is stamped, what it deletes or overwrites loses
    /// the entries below it. The reference for the compiled expressions, and what bulk updates use.
    package static func merged(
        _ metadata: JSONObject, patch: JSONObject, microseconds: Int64, version: Int64
    ) -> JSONObject {
        let stamp: JSONValue = [.integer(microseconds), .integer(version)]
        var stamped = JSONObject([("", stamp)])
        var replaced: Set<String> = []
        walk(patch, below: "") { path, value in
            if value.objectValue == nil { replaced.insert(path) }
            if !value.isNull { stamped[path] = stamp }
        }
        var result = stamped
        for member in metadata.members where result[member.name] == nil {
            if !isBelow(member.name, replaced) { result[member.name] = member.value }
        }
        return result
    }

    private static func walk(_ object: JSONObject, below prefix: String, _ visit: (String, JSONValue) -> Void) {
        for member in object.members {
            let path = prefix.isEmpty ? member.name : prefix + "." + member.name
            visit(path, member.value)
            if case .object(let inner) = member.value { walk(inner, below: path, visit) }
        }
    }

    /// True when the path or one above it is in the set.
    private static func isBelow(_ path: String, _ replaced: Set<String>) -> Bool {
        var part = path[...]
        while true {
            if replaced.contains(String(part)) { return true }
            guard let dot = part.lastIndex(of: ".") else { return false }
            part = part[..<dot]
        }
    }
}
