// The rules that one section of a twin must keep (wire contract 4.3 and 4.4): keys, values, depth, nulls, size.

package import JSON

package enum TwinRules {
    /// Members of the service's own that a client may send back; they are left out, wherever the rest is checked.
    package static let systemMembers = ["$metadata", "$version", "$etag"]

    /// The section without the service's own members, checked as a merge patch: nulls may stand anywhere but in arrays.
    package static func checked(_ object: JSONObject, section: TwinSection) throws(TwinModelError) -> JSONObject {
        var patch = object
        for name in systemMembers where patch[name] != nil { patch[name] = nil }
        var path: [String] = []
        try check(patch, section: section, path: &path)
        // A null stores nothing, so it does not count: a patch may delete and add in one go.
        let size = TwinSize.of(TwinMerge.merged(JSONObject(), patch))
        guard size <= section.sizeLimit else { throw sizeError(section, size: size) }
        return patch
    }

    package static func sizeError(_ section: TwinSection, size: Int) -> TwinModelError {
        TwinModelError(
            section.wirePath,
            "\(section.wirePath) is larger than \(section.sizeLimit) by the size rule; it has \(size).")
    }

    private static func check(
        _ object: JSONObject, section: TwinSection, path: inout [String], inArray: Bool = false
    ) throws(TwinModelError) {
        for member in object.members {
            try check(key: member.name, section: section, path: path)
            path.append(member.name)
            try check(member.value, section: section, path: &path, inArray: inArray)
            path.removeLast()
        }
    }

    private static func check(
        _ value: JSONValue, section: TwinSection, path: inout [String], inArray: Bool
    ) throws(TwinModelError) {
        switch value {
        case .bool, .number:
            break
        case .null:
            guard !inArray else {
                throw error(section, path, "is null inside an array; arrays may not hold null.")
            }
        case .integer(let number):
            guard TwinLimits.integers.contains(number) else {
                let limits = TwinLimits.integers
                throw error(
                    section, path,
                    "must be an integer from \(limits.lowerBound) to \(limits.upperBound); it is \(number).")
            }
        case .string(let text):
            let count = text.utf8.count
            guard count <= TwinLimits.stringBytes else {
                throw error(section, path, "is longer than \(TwinLimits.stringBytes) bytes of UTF-8; it has \(count).")
            }
            guard !text.utf8.contains(0) else {
                throw error(section, path, "holds the character U+0000, which cannot be stored.")
            }
        case .array(let elements):
            try checkDepth(section, path)
            for (index, element) in elements.enumerated() {
                path.append("[\(index)]")
                try check(element, section: section, path: &path, inArray: true)
                path.removeLast()
            }
        case .object(let object):
            try checkDepth(section, path)
            try check(object, section: section, path: &path, inArray: inArray)
        }
    }

    /// `path` names a container; a container directly in the section is on level 1.
    private static func checkDepth(_ section: TwinSection, _ path: [String]) throws(TwinModelError) {
        guard path.count <= TwinLimits.depth else {
            throw error(section, path, "is nested deeper than \(TwinLimits.depth) levels.")
        }
    }

    private static func check(key: String, section: TwinSection, path: [String]) throws(TwinModelError) {
        let path = path + [key]
        guard !key.isEmpty else { throw error(section, path, "has an empty key.") }
        let count = key.utf8.count
        guard count <= TwinLimits.keyBytes else {
            throw error(section, path, "has a key longer than \(TwinLimits.keyBytes) bytes of UTF-8; it has \(count).")
        }
        for scalar in key.unicodeScalars where isForbidden(scalar) {
            let hex = String(scalar.value, radix: 16, uppercase: true)
            let code = "U+" + String(repeating: "0", count: max(0, 4 - hex.count)) + hex
            throw error(
                section, path,
                "has a key with the forbidden character \(code); control characters, '.', '$', '#' and space are not "
                    + "allowed in keys.")
        }
    }

    private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case ".", "$", "#", " ": true
        default: TwinSize.isControl(scalar)
        }
    }

    private static func error(_ section: TwinSection, _ path: [String], _ text: String) -> TwinModelError {
        var field = section.wirePath
        for part in path { field += part.hasPrefix("[") ? part : "." + part }
        // A key of a kilobyte ten levels deep must not become a message of ten kilobytes.
        let shown = field.count > 200 ? String(field.prefix(200)) + "…" : field
        return TwinModelError(shown, "\(shown) \(text)")
    }
}
