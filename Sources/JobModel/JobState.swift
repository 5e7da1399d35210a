// States of jobs and items, and how they read on the wire.
//
//     scheduled ──time──▶ queued ──slot──▶ running ──all outcomes or deadline──▶ completed
//         │                  │               │  └──query or internal error─────▶ failed
//         └──────cancel──────┴──▶ cancelled ◀┴── cancelling (items end in chunks)

package enum JobType: String, Sendable, CaseIterable {
    case updateTwin = "scheduleUpdateTwin"
    case deviceMethod = "scheduleDeviceMethod"

    /// Any name that the wire contract lists for the two types, in any case; nil for all others.
    package init?(wire: String) {
        switch wire.lowercased() {
        case "scheduleupdatetwin", "scheduletwinupdate", "scheduledupdatetwin": self = .updateTwin
        case "scheduledevicemethod", "scheduledirectrequest", "scheduleddevicemethod", "scheduledirectmethod":
            self = .deviceMethod
        default: return nil
        }
    }
}

/// As stored; `job_state` in PostgreSQL.
package enum JobState: String, Sendable, CaseIterable {
    case scheduled, queued, running, cancelling, completed, failed, cancelled

    package var isEnded: Bool {
        switch self {
        case .completed, .failed, .cancelled: true
        case .scheduled, .queued, .running, .cancelling: false
        }
    }

    /// The status that clients see. A job being cancelled already reads `cancelled`; `endTime` tells when it is done.
    package var wireStatus: String {
        switch self {
        case .cancelling: JobState.cancelled.rawValue
        case .scheduled, .queued, .running, .completed, .failed, .cancelled: rawValue
        }
    }

    /// The states that a list filter asks for, aliases included, in any case; nil for an unknown word. `unknown` is a
    /// word of the contract that no job here ever has.
    package static func states(wireFilter: String) -> [JobState]? {
        switch wireFilter.lowercased() {
        case "scheduled": [.scheduled]
        case "queued", "pending", "enqueued": [.queued]
        case "running": [.running]
        case "completed", "finished": [.completed]
        case "failed": [.failed]
        case "cancelled", "canceled": [.cancelling, .cancelled]
        case "unknown": []
        default: nil
        }
    }
}

/// As stored; `item_state` in PostgreSQL. An item is *running* when its batch is claimed and it is still pending.
package enum ItemState: String, Sendable, CaseIterable {
    case pending, succeeded, failed, cancelled
}

/// Per-device status as clients see it (`canceled` with one l, unlike the job's `cancelled`).
package enum DeviceStatus: String, Sendable, CaseIterable {
    case pending, running, completed, failed, canceled

    package init(item: ItemState, batchIsClaimed: Bool) {
        switch item {
        case .pending: self = batchIsClaimed ? .running : .pending
        case .succeeded: self = .completed
        case .failed: self = .failed
        case .cancelled: self = .canceled
        }
    }
}

/// Per-device error codes, as they stand in `work_items.error_code` and on the wire.
package enum ItemErrorCode: String, Sendable, CaseIterable {
    case argumentInvalid = "ArgumentInvalid"
    case badDeviceResponse = "BadDeviceResponse"
    case deviceNotFound = "DeviceNotFound"
    case deviceNotOnline = "DeviceNotOnline"
    case gatewayTimeout = "GatewayTimeout"
    case jobCancelled = "JobCancelled"
    case jobRunPreconditionFailed = "JobRunPreconditionFailed"
    /// The call was handed over, and what became of it cannot be known.
    case outcomeUnknown = "OutcomeUnknown"
    case preconditionFailed = "PreconditionFailed"
}

extension ItemErrorCode {
    /// Texts of `outcomeUnknown`.
    package static let goneGatewayText =
        "The call was handed to a gateway that is gone; whether the device got it cannot be known."
    package static let lostCommitsText =
        "The database was restored; whether the device was called after the last commit that is left cannot be known."
}
