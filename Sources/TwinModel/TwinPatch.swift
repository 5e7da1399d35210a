// What a client may change in a twin: a validated merge patch of `tags` and `properties.desired`.
//
// Three requests carry one: a job's `updateTwin`, `PATCH /twins/{id}` and `PUT /twins/{id}`. They differ in what they
// ignore: clients send whole twins back to the twin routes, so system members and `reported` are ignored there; a job
// refuses a `reported` that says something, because nothing would come of it on a whole fleet.

package import JSON

package struct TwinPatch: Sendable, Hashable {
    /// Nil: the section is not touched. Empty: it is touched, and nothing in it changes.
    package let tags: JSONObject?
    package let desired: JSONObject?

    /// For a patch that was checked before, such as a stored job's.
    package init(tags: JSONObject?, desired: JSONObject?) {
        self.tags = tags
        self.desired = desired
    }

    package var isEmpty: Bool { tags == nil && desired == nil }

    /// A job's `updateTwin` member.
    package static func parse(updateTwin: JSONValue) throws(TwinModelError) -> TwinPatch {
        let body = try object(updateTwin, "updateTwin")
        let tags = try section(body["tags"], .tags)
        let properties = try optionalObject(body["properties"], "properties")
        let nested = present(properties?["desired"])
        let seed = present(body["desired"])
        guard nested == nil || seed == nil else {
            throw TwinModelError(
                "updateTwin.desired", "updateTwin has both desired and properties.desired; send properties.desired.")
        }
        let desired = try section(nested ?? seed, .desired)
        if let reported = present(properties?["reported"]), reported.objectValue?.isEmpty != true {
            throw TwinModelError(
                "properties.reported", "properties.reported belongs to the device; a job may not write it.")
        }
        guard tags != nil || desired != nil else {
            throw TwinModelError("updateTwin", "updateTwin must have tags or properties.desired; it has neither.")
        }
        return TwinPatch(tags: tags, desired: desired)
    }

    /// The body of `PATCH /twins/{id}`.
    package static func parse(twinPatch: JSONValue) throws(TwinModelError) -> TwinPatch {
        let body = try object(twinPatch, "the twin")
        let properties = try optionalObject(body["properties"], "properties")
        return TwinPatch(
            tags: try section(body["tags"], .tags), desired: try section(properties?["desired"], .desired))
    }

    /// The body of `PUT /twins/{id}`: both sections as they shall be, without nulls; an absent one becomes empty.
    package static func parse(
        twinReplacement: JSONValue
    ) throws(TwinModelError) -> (tags: JSONObject, desired: JSONObject) {
        let patch = try parse(twinPatch: twinReplacement)
        return (
            TwinMerge.merged(JSONObject(), patch.tags ?? JSONObject()),
            TwinMerge.merged(JSONObject(), patch.desired ?? JSONObject())
        )
    }

    /// A device's patch of its own reported properties.
    package static func parse(reported: JSONValue) throws(TwinModelError) -> JSONObject {
        try TwinRules.checked(try object(reported, TwinSection.reported.wirePath), section: .reported)
    }

    private static func present(_ value: JSONValue?) -> JSONValue? {
        if let value, !value.isNull { value } else { nil }
    }

    private static func object(_ value: JSONValue, _ field: String) throws(TwinModelError) -> JSONObject {
        guard let object = value.objectValue else {
            throw TwinModelError(field, "\(field) must be an object; it is \(value.kind).")
        }
        return object
    }

    private static func optionalObject(_ value: JSONValue?, _ field: String) throws(TwinModelError) -> JSONObject? {
        guard let value = present(value) else { return nil }
        return try object(value, field)
    }

    private static func section(_ value: JSONValue?, _ section: TwinSection) throws(TwinModelError) -> JSONObject? {
        guard let object = try optionalObject(value, section.wirePath) else { return nil }
        return try TwinRules.checked(object, section: section)
    }
}

/// A job's `updateTwin`: the patch, and the etag that each twin must have.
package struct TwinUpdate: Sendable, Hashable {
    package let patch: TwinPatch
    package let condition: ETagCondition

    package init(patch: TwinPatch, condition: ETagCondition) {
        self.patch = patch
        self.condition = condition
    }

    /// Checks everything that can be checked without a twin.
    package static func parse(_ updateTwin: JSONValue) throws(TwinModelError) -> TwinUpdate {
        let patch = try TwinPatch.parse(updateTwin: updateTwin)
        switch updateTwin["etag"] {
        case nil, .null: return TwinUpdate(patch: patch, condition: .any)
        case .string(let text): return TwinUpdate(patch: patch, condition: ETagCondition(text))
        case .some(let other):
            throw TwinModelError("updateTwin.etag", "updateTwin.etag must be a string; it is \(other.kind).")
        }
    }

    /// From `document`, as it was stored.
    package init(stored document: JSONObject) {
        let etag = document["etag"]?.stringValue
        self.init(
            patch: TwinPatch(
                tags: document["tags"]?.objectValue, desired: document["properties"]?["desired"]?.objectValue),
            condition: etag.map { ETagCondition($0) } ?? .any)
    }

    /// The normal form: what is stored with a job and echoed to clients.
    package var document: JSONObject {
        var document = JSONObject()
        document["etag"] = .string(condition.text)
        if let tags = patch.tags { document["tags"] = .object(tags) }
        if let desired = patch.desired { document["properties"] = ["desired": .object(desired)] }
        return document
    }
}
