// The body of `PUT /jobs/v2/{jobId}` as a job's definition (wire contract 1.2 to 1.4): names and aliases, defaults,
// limits. Pure; every refusal names the field and its limit.

package import JSON
package import JobModel
import ServiceKit
import TwinModel
import TwinQuery

package enum JobRequestParser {
    package static func parse(_ body: JSONObject, jobID text: String) throws(APIError) -> JobDefinition {
        let jobID = try model { () throws(JobModelError) in try JobID(text) }
        let reader = MemberReader(body)
        if let own = try reader.string("jobId"), own != text {
            throw APIError(
                .argumentInvalid,
                "jobId in the body is '\(own.prefix(64))', in the path it is '\(text)'; they must agree.")
        }
        let type = try type(reader)
        let action: JobAction =
            switch type {
            case .updateTwin: .updateTwin(try updateTwin(reader))
            case .deviceMethod: .deviceMethod(try deviceMethod(reader))
            }
        return JobDefinition(
            jobID: jobID, action: action, queryCondition: try queryCondition(reader),
            startTime: try startTime(reader), maxExecutionTimeInSeconds: try maxExecutionTime(reader))
    }

    private static func type(_ reader: MemberReader) throws(APIError) -> JobType {
        guard let text = try reader.string("type") else {
            throw APIError(.argumentNull, "type is missing; it must be scheduleUpdateTwin or scheduleDeviceMethod.")
        }
        guard let type = JobType(wire: text) else {
            throw APIError(
                .genericBadRequest,
                "type must be scheduleUpdateTwin or scheduleDeviceMethod; it is '\(text.prefix(64))'.")
        }
        return type
    }

    private static func updateTwin(_ reader: MemberReader) throws(APIError) -> JSONObject {
        guard let value = reader.value("updateTwin") else {
            throw APIError(.argumentNull, "updateTwin is missing; a scheduleUpdateTwin job needs it.")
        }
        do {
            return try TwinUpdate.parse(value).document
        } catch {
            // Wrong kinds of the outer members are type errors; all else breaks a rule of twins.
            let isType = value.objectValue == nil
            throw APIError(isType ? .deserializationError : .argumentInvalid, error.message)
        }
    }

    private static func deviceMethod(_ reader: MemberReader) throws(APIError) -> JSONObject {
        guard let object = try reader.object("cloudToDeviceMethod") else {
            throw APIError(.argumentNull, "cloudToDeviceMethod is missing; a scheduleDeviceMethod job needs it.")
        }
        return try method(object, prefix: "cloudToDeviceMethod.")
    }

    /// A method call with all defaults filled in. `prefix` stands before names in messages.
    static func method(_ object: JSONObject, prefix: String) throws(APIError) -> JSONObject {
        let method = MemberReader(object, prefix: prefix)
        guard let name = try method.string("methodName"), !name.isEmpty else {
            throw APIError(.argumentNull, "\(prefix)methodName is missing or empty.")
        }
        let count = name.unicodeScalars.count
        guard count <= Limits.methodNameLength else {
            throw APIError(
                .argumentInvalid,
                "\(prefix)methodName is longer than \(Limits.methodNameLength) characters; it has \(count).")
        }
        guard !name.unicodeScalars.contains(where: TwinSize.isControl) else {
            throw APIError(.argumentInvalid, "\(prefix)methodName holds a control character.")
        }
        let payload = object["payload"] ?? .null
        let bytes = payload.bytes.count
        guard bytes <= Limits.methodPayloadBytes else {
            throw APIError(
                .messageTooLarge,
                "\(prefix)payload is larger than \(Limits.methodPayloadBytes) bytes; it has \(bytes).")
        }
        let response = try seconds(
            method, "responseTimeoutInSeconds", Limits.responseTimeoutSeconds,
            default: Limits.responseTimeoutSecondsDefault)
        let connect = try seconds(method, "connectTimeoutInSeconds", Limits.connectTimeoutSeconds, default: 0)
        return JSONObject([
            ("methodName", .string(name)), ("payload", payload), ("responseTimeoutInSeconds", .integer(response)),
            ("connectTimeoutInSeconds", .integer(connect)),
        ])
    }

    private static func seconds(
        _ reader: MemberReader, _ name: String, _ range: ClosedRange<Int64>, default value: Int64
    ) throws(APIError) -> Int64 {
        guard let seconds = try reader.integer(name) else { return value }
        guard range.contains(seconds) else {
            throw APIError(
                .argumentInvalid, "\(name) must be within [\(range.lowerBound); \(range.upperBound)]; it is \(seconds)."
            )
        }
        return seconds
    }

    private static func queryCondition(_ reader: MemberReader) throws(APIError) -> String {
        guard let text = try reader.string("queryCondition"), !text.isEmpty else {
            throw APIError(.argumentNull, "queryCondition is missing or empty; '*' means every device.")
        }
        let count = text.unicodeScalars.count
        guard count <= Limits.queryConditionLength else {
            throw APIError(
                .argumentInvalid,
                "queryCondition is longer than \(Limits.queryConditionLength) characters; it has \(count).")
        }
        do {
            _ = try TwinQuery.parseCondition(text)
        } catch {
            throw APIError(.argumentInvalid, "queryCondition does not parse: \(error.description).")
        }
        return text
    }

    private static func startTime(_ reader: MemberReader) throws(APIError) -> Int64? {
        guard let text = try reader.string("startTime") else { return nil }
        guard let time = TimestampFormatter().microseconds(text) else {
            throw APIError(
                .argumentInvalid,
                "startTime must be an ISO 8601 date and time such as 2031-01-02T03:04:05.678Z; it is '\(text.prefix(64))'."
            )
        }
        return time
    }

    private static func maxExecutionTime(_ reader: MemberReader) throws(APIError) -> Int64 {
        // One old Java version sends the misspelt name.
        let name =
            reader.value("maxExecutionTimeInSeconds") == nil ? "maxExecutionTimeSeconds" : "maxExecutionTimeInSeconds"
        guard let seconds = try reader.integer(name) else { return Limits.maxExecutionSecondsDefault }
        guard seconds > 0, seconds <= Limits.maxExecutionSecondsMaximum else {
            throw APIError(
                .argumentInvalid,
                "\(name) must be within [1; \(Limits.maxExecutionSecondsMaximum)]; it is \(seconds).")
        }
        return seconds
    }

    private static func model<T>(_ body: () throws(JobModelError) -> T) throws(APIError) -> T {
        do {
            return try body()
        } catch {
            throw APIError(error)
        }
    }
}
