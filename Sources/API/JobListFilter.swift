// The filters of `GET /jobs/v2/query` (wire contract 1.4 and 1.6).

package import HTTP
package import JobModel

package struct JobListFilter: Sendable, Equatable {
    /// Nil: any type.
    package let type: JobType?
    /// Nil: any state.
    package let states: [JobState]?
    /// True when the filter names something of the contract that no job here ever is.
    package let matchesNothing: Bool

    /// Types that the contract declares and this service never has.
    private static let otherTypes: Set<String> = [
        "unknown", "export", "import", "backup", "readdeviceproperties", "writedeviceproperties",
        "updatedeviceconfiguration", "rebootdevice", "factoryresetdevice", "firmwareupdate", "restorefrombackup",
        "failoverdatacopy",
    ]

    package init(_ request: HTTPRequest) throws(APIError) {
        var matchesNothing = false
        if let text = request.queryValue("jobType"), !text.isEmpty {
            type = JobType(wire: text)
            if type == nil {
                guard Self.otherTypes.contains(text.lowercased()) else {
                    throw APIError(
                        .argumentInvalid,
                        "jobType must be scheduleUpdateTwin or scheduleDeviceMethod; it is '\(text.prefix(64))'.")
                }
                matchesNothing = true
            }
        } else {
            type = nil
        }
        if let text = request.queryValue("jobStatus"), !text.isEmpty {
            states = JobState.states(wireFilter: text)
            guard let states else {
                throw APIError(
                    .argumentInvalid,
                    "jobStatus must be scheduled, queued, running, completed, failed or cancelled; it is "
                        + "'\(text.prefix(64))'.")
            }
            if states.isEmpty { matchesNothing = true }
        } else {
            states = nil
        }
        self.matchesNothing = matchesNothing
    }
}
