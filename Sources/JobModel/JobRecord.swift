// What a store knows of a job and of its devices, for replies, lists and recounts. Times are microseconds since 1970.

package import JSON

/// The six members of `deviceJobStatistics`; `cancelled` is ours.
package struct JobStatistics: Sendable, Hashable {
    package var devices: Int64
    package var pending: Int64
    package var running: Int64
    package var succeeded: Int64
    package var failed: Int64
    package var cancelled: Int64

    package init(
        devices: Int64 = 0, pending: Int64 = 0, running: Int64 = 0, succeeded: Int64 = 0, failed: Int64 = 0,
        cancelled: Int64 = 0
    ) {
        self.devices = devices
        self.pending = pending
        self.running = running
        self.succeeded = succeeded
        self.failed = failed
        self.cancelled = cancelled
    }
}

package struct JobRecord: Sendable {
    /// The short key of the job's rows.
    package let job: Int64
    package let jobID: JobID
    package let action: JobAction
    package let queryCondition: String
    package let state: JobState
    package let reason: String?
    package let createdTime: Int64
    package let startTime: Int64
    package let endTime: Int64?
    package let deadline: Int64
    package let maxExecutionTimeInSeconds: Int64
    package let statistics: JobStatistics

    package init(
        job: Int64, jobID: JobID, action: JobAction, queryCondition: String, state: JobState, reason: String?,
        createdTime: Int64, startTime: Int64, endTime: Int64?, deadline: Int64, maxExecutionTimeInSeconds: Int64,
        statistics: JobStatistics
    ) {
        self.job = job
        self.jobID = jobID
        self.action = action
        self.queryCondition = queryCondition
        self.state = state
        self.reason = reason
        self.createdTime = createdTime
        self.startTime = startTime
        self.endTime = endTime
        self.deadline = deadline
        self.maxExecutionTimeInSeconds = maxExecutionTimeInSeconds
        self.statistics = statistics
    }
}

/// One device of one job, as `devices.jobs` shows it.
package struct DeviceResult: Sendable {
    package let jobID: JobID
    package let type: JobType
    package let deviceID: String
    package let status: DeviceStatus
    package let startTime: Int64
    /// The job's deadline: the contract's `endTimeUtc`, even for a device that is done.
    package let deadline: Int64
    package let createdTime: Int64
    package let lastUpdatedTime: Int64
    package let errorCode: String?
    package let errorText: String?
    /// `{"status":…,"payload":…}` of an answered method.
    package let response: JSONValue?

    package init(
        jobID: JobID, type: JobType, deviceID: String, status: DeviceStatus, startTime: Int64, deadline: Int64,
        createdTime: Int64, lastUpdatedTime: Int64, errorCode: String?, errorText: String?, response: JSONValue?
    ) {
        self.jobID = jobID
        self.type = type
        self.deviceID = deviceID
        self.status = status
        self.startTime = startTime
        self.deadline = deadline
        self.createdTime = createdTime
        self.lastUpdatedTime = lastUpdatedTime
        self.errorCode = errorCode
        self.errorText = errorText
        self.response = response
    }
}

/// A difference between the counters and a recount from the items (invariant I1).
package struct JobDrift: Sendable {
    package let jobID: JobID
    package let state: JobState
    package let counted: JobStatistics
    package let recounted: JobStatistics
    /// Broken rules in words, for example "2 items of the ended job have no outcome"; empty when all agree.
    package let findings: [String]

    package init(
        jobID: JobID, state: JobState, counted: JobStatistics, recounted: JobStatistics, findings: [String]
    ) {
        self.jobID = jobID
        self.state = state
        self.counted = counted
        self.recounted = recounted
        self.findings = findings
    }
}
