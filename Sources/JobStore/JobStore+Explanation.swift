// Why a job has not ended: what stands in the way of the job itself, and what its open items wait for. For people.

package import JobModel
internal import Postgres
internal import ServiceKit

package struct JobExplanation: Sendable {
    package let job: Int64
    package let type: JobType
    package let state: JobState
    package let startTime: Int64
    package let deadline: Int64
    package let isDue: Bool
    /// The device set is complete.
    package let isExpanded: Bool
    /// The deadline has struck.
    package let isExpired: Bool
    package let devices: Int64
    /// The last device that expansion has written.
    package let lastDevice: String?
    /// The coordinator that leads now.
    package let leader: String?
    package let workers: Int64
    package let gateways: Int64
    /// Jobs that run now.
    package let runningJobs: Int64
    package let waits: [ItemWait]
}

/// Open items of a job that wait for the same.
package struct ItemWait: Sendable {
    package enum Kind: String, Sendable {
        /// For their devices to connect.
        case parked
        /// For a worker that leases their batch.
        case ready
        /// For the worker that holds their batch.
        case claimed
        /// For the answer, or for the gateway's word.
        case dispatched
    }

    package let kind: Kind
    package let items: Int64
    /// One of their devices; of parked items the one that waits longest.
    package let device: String
    package let worker: String?
    /// When it was last heard of; nil when it has gone, or is not known.
    package let workerSeen: Int64?
    /// With its incarnation.
    package let gateway: String?
    /// The gateway lives; of parked items: the device is connected.
    package let isAlive: Bool?
    /// Claimed, dispatched, or disconnected at that time.
    package let since: Int64?
    /// An answer can come until then.
    package let until: Int64?
    package let batches: [BatchID]
}

extension JobStore {
    /// Nil when there is no such job, or it has ended.
    package func explain(_ jobID: JobID) async throws -> JobExplanation? {
        let rows = try await pool.run(
            Statements.explainJob, [.text(jobID.text), .integer(Limits.workerSilence.milliseconds)])
        guard let row = rows.first else { return nil }
        let type: String = try row.get("type")
        let state: String = try row.get("state")
        let job: Int64 = try row.get("job")
        let slot: Int64? = try row.get("slot")
        return JobExplanation(
            job: job, type: JobType(rawValue: type) ?? .deviceMethod, state: JobState(rawValue: state) ?? .running,
            startTime: try row.get("start"), deadline: try row.get("deadline"), isDue: try row.get("due"),
            isExpanded: try row.get("expanded"), isExpired: try row.get("expired"), devices: try row.get("devices"),
            lastDevice: try row.get("last_device"), leader: try row.get("leader"), workers: try row.get("workers"),
            gateways: try row.get("gateways"), runningJobs: try row.get("running"), waits: try await waits(job, slot))
    }

    private func waits(_ job: Int64, _ slot: Int64?) async throws -> [ItemWait] {
        guard let slot else { return [] }
        let rows = try await pool.transaction(timeout: Self.explanationTimeout) { transaction in
            try await transaction.runScript("SET LOCAL enable_nestloop = off")
            return try await transaction.run(
                Statements.explainItems,
                [.integer(job), .integer(Limits.sendWindow.milliseconds), .integer(slot)])
        }
        var waits: [ItemWait] = []
        for row in rows {
            let kind: String = try row.get("kind")
            let batches: [Int32]? = try row.get("batches")
            waits.append(
                ItemWait(
                    kind: ItemWait.Kind(rawValue: kind) ?? .ready, items: try row.get("items"),
                    device: try row.get("device"), worker: try row.get("worker"),
                    workerSeen: try row.get("worker_seen"), gateway: try row.get("gateway"),
                    isAlive: try row.get("lives"), since: try row.get("since"), until: try row.get("until"),
                    batches: (batches ?? []).map { BatchID(job: job, batch: $0) }))
        }
        return waits
    }

    /// It reads every item of the job, as a recount does.
    private static let explanationTimeout: Duration = .seconds(600)
}
