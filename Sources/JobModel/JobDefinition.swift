// What a client asks for: the validated, normalised content of a PUT.

package import JSON

package enum JobAction: Sendable, Hashable {
    /// The normalised `updateTwin` member: `etag`, `tags`, `properties.desired`. The patch was validated by TwinModel.
    case updateTwin(JSONObject)
    /// The normalised `cloudToDeviceMethod` member with all defaults filled in.
    case deviceMethod(JSONObject)

    package var type: JobType {
        switch self {
        case .updateTwin: .updateTwin
        case .deviceMethod: .deviceMethod
        }
    }

    package var document: JSONObject {
        switch self {
        case .updateTwin(let document), .deviceMethod(let document): document
        }
    }

    package init(type: JobType, document: JSONObject) {
        switch type {
        case .updateTwin: self = .updateTwin(document)
        case .deviceMethod: self = .deviceMethod(document)
        }
    }
}

package struct JobDefinition: Sendable, Hashable {
    package let jobID: JobID
    package let action: JobAction
    /// As submitted; it compiled when it was accepted.
    package let queryCondition: String
    /// Microseconds since 1970; nil means now.
    package let startTime: Int64?
    package let maxExecutionTimeInSeconds: Int64

    package init(
        jobID: JobID, action: JobAction, queryCondition: String, startTime: Int64?, maxExecutionTimeInSeconds: Int64
    ) {
        self.jobID = jobID
        self.action = action
        self.queryCondition = queryCondition
        self.startTime = startTime
        self.maxExecutionTimeInSeconds = maxExecutionTimeInSeconds
    }

    /// Text that is equal exactly for requests that mean the same job; its digest is stored, so that a PUT repeated
    /// after a lost reply is recognised. Members stand in one order whatever the client wrote.
    package var canonicalText: String {
        let canonical: JSONValue = [
            "type": .string(action.type.rawValue),
            "action": .object(action.document),
            "queryCondition": .string(queryCondition),
            "startTime": startTime.map { .integer($0) } ?? .null,
            "maxExecutionTimeInSeconds": .integer(maxExecutionTimeInSeconds),
        ]
        return canonical.sorted.text
    }
}

extension JSONValue {
    /// The same value with the members of every object in byte order of their names.
    fileprivate var sorted: JSONValue {
        switch self {
        case .null, .bool, .integer, .number, .string: self
        case .array(let elements): .array(elements.map(\.sorted))
        case .object(let object):
            .object(
                JSONObject(
                    object.members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
                        .map { ($0.name, $0.value.sorted) }))
        }
    }
}
