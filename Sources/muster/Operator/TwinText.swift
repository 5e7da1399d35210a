// A twin for people: what was set, without the metadata that repeats every key.

import JSON

enum TwinText {
    static func withoutMetadata(_ object: JSONObject) -> JSONObject {
        var plain = object
        plain["$metadata"] = nil
        return plain
    }

    static func text(_ twin: JSONValue) -> String {
        var shown = JSONObject()
        for name in ["deviceId", "etag", "version", "status", "connectionState", "lastActivityTime", "tags"] {
            shown[name] = twin[name]
        }
        var properties = JSONObject()
        for name in ["desired", "reported"] {
            if let section = twin["properties"]?[name]?.objectValue {
                properties[name] = .object(withoutMetadata(section))
            }
        }
        shown["properties"] = .object(properties)
        return JSONValue.object(shown).prettyText
    }
}
