// Per-device results: what `devices.jobs` shows, page by page.

internal import JSON
package import JobModel
internal import Postgres
package import ServiceKit
internal import StoreKit
package import TwinQuery

/// Where a page of results ended; `seq` is in device order within a job.
package struct ResultPosition: Sendable, Hashable {
    package let job: Int64
    package let seq: Int64

    package init(job: Int64, seq: Int64) {
        self.job = job
        self.seq = seq
    }
}

extension JobStore {
    /// The first parameter that a compiled condition of `deviceResults` may use.
    package static let resultConditionFirstParameter = 5

    /// Up to `limit` results behind `after`, by job and device. `condition` is compiled over the aliases j (jobs),
    /// i (work_items) and b (work_batches) with `resultConditionFirstParameter`; `jobIDs` are the only jobs that can
    /// match it, nil when all can.
    package func deviceResults(
        matching condition: SQLFragment, jobIDs: [String]?, after: ResultPosition?, limit: Int
    ) async throws(StoreError) -> [(result: DeviceResult, position: ResultPosition)] {
        let rows = try await pool.run(
            Statements.listDeviceResults.filling(["condition": condition.text]),
            [
                after.map { .integer($0.job) } ?? .null, after.map { .integer($0.seq) } ?? .null,
                .integer(Int64(limit)),
                jobIDs.map { .textArray($0.map { Optional($0) }) } ?? .null,
            ] + condition.parameters.map { Parameter($0) })
        var results: [(DeviceResult, ResultPosition)] = []
        for row in rows {
            results.append(
                (
                    try DeviceResult(row), ResultPosition(job: try row.get("job"), seq: try row.get("seq"))
                ))
        }
        return results
    }
}

extension DeviceResult {
    fileprivate init(_ row: Row) throws(StoreError) {
        let type: String = try row.get("type")
        let state: String = try row.get("state")
        guard let jobType = JobType(rawValue: type), let itemState = ItemState(rawValue: state) else {
            throw StoreError(
                code: .fatal, effect: .none, operation: "list_device_results",
                message: "an item of type \(type) in state \(state)")
        }
        self.init(
            jobID: JobID(stored: try row.get("job_id")), type: jobType, deviceID: try row.get("device_id"),
            status: DeviceStatus(item: itemState, batchIsClaimed: try row.get("claimed")),
            startTime: try row.get("start"), deadline: try row.get("deadline"), createdTime: try row.get("created"),
            lastUpdatedTime: try row.get("updated"), errorCode: try row.get("error_code"),
            errorText: try row.get("error_text"), response: try row.get("response"))
    }
}
