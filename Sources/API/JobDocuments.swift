// Jobs and their device records as clients see them (wire contract 1.5, 1.8 and 2.2). No date is ever null: what has not
// happened is left out.

package import JSON
package import JobModel
import ServiceKit

extension JobRecord {
    package var document: JSONObject {
        let formatter = TimestampFormatter()
        var document = minimalDocument
        document["queryCondition"] = .string(queryCondition)
        document["createdTime"] = .string(formatter.text(microseconds: createdTime))
        document["startTime"] = .string(formatter.text(microseconds: startTime))
        if let endTime { document["endTime"] = .string(formatter.text(microseconds: endTime)) }
        document["maxExecutionTimeInSeconds"] = .integer(maxExecutionTimeInSeconds)
        switch action {
        case .updateTwin(let update): document["updateTwin"] = .object(update)
        case .deviceMethod(let method): document["cloudToDeviceMethod"] = .object(method)
        }
        if let reason {
            document[state == .failed ? "failureReason" : "statusMessage"] = .string(reason)
        }
        document["deviceJobStatistics"] = [
            "deviceCount": .integer(statistics.devices),
            "failedCount": .integer(statistics.failed),
            "succeededCount": .integer(statistics.succeeded),
            "runningCount": .integer(statistics.running),
            "pendingCount": .integer(statistics.pending),
            "cancelledCount": .integer(statistics.cancelled),
        ]
        return document
    }

    /// The reply to a PUT that repeats the job's own.
    package var minimalDocument: JSONObject {
        JSONObject([
            ("jobId", .string(jobID.text)), ("type", .string(action.type.rawValue)),
            ("status", .string(state.wireStatus)),
        ])
    }

    /// The reply to a PUT that made the job: `queued` whatever its start time, as clients expect.
    package var createdDocument: JSONObject {
        var document = minimalDocument
        document["status"] = .string(JobState.queued.wireStatus)
        return document
    }
}

extension DeviceResult {
    package var document: JSONObject {
        let formatter = TimestampFormatter()
        var document = JSONObject([
            ("deviceId", .string(deviceID)), ("jobId", .string(jobID.text)), ("jobType", .string(type.rawValue)),
            ("status", .string(status.rawValue)),
            ("startTimeUtc", .string(formatter.text(microseconds: startTime))),
            ("endTimeUtc", .string(formatter.text(microseconds: deadline))),
            ("createdDateTimeUtc", .string(formatter.text(microseconds: createdTime))),
            ("lastUpdatedDateTimeUtc", .string(formatter.text(microseconds: lastUpdatedTime))),
        ])
        document["outcome"] = response.map { ["deviceMethodResponse": $0] } ?? [:]
        if let errorCode {
            document["error"] = ["code": .string(errorCode), "description": .string(errorText ?? errorCode)]
        }
        return document
    }
}
