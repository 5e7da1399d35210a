// What workers, coordinators and gateways tell one another through Redis: one message for each batch and gateway, never
// one for each device. `MessageCoding` is how they stand on the wire; the first byte is a letter that names the kind.

package import JSON

/// One invocation: computed, never random. A call outside jobs has job 0 and a `seq` of its own.
package struct InvocationID: Sendable, Hashable {
    package let job: Int64
    package let seq: Int64
    package let attempt: Int64

    package init(job: Int64, seq: Int64, attempt: Int64) {
        self.job = job
        self.seq = seq
        self.attempt = attempt
    }
}

/// Calls of one method that a gateway is to write to its devices.
package struct CallPart: Sendable, Hashable {
    package struct Item: Sendable, Hashable {
        package let seq: Int64
        package let attempt: Int64
        package let deviceID: String

        package init(seq: Int64, attempt: Int64, deviceID: String) {
            self.seq = seq
            self.attempt = attempt
            self.deviceID = deviceID
        }
    }

    /// 0 for a call outside jobs.
    package let job: Int64
    package let batch: Int64
    package let fence: Int64
    /// Counts the parts under one fence: a part that comes back from an old Redis is recognised.
    package let number: Int64
    /// Milliseconds of Redis' clock.
    package let sendBefore: Int64
    package let responseMilliseconds: Int64
    /// Who is told the outcomes.
    package let replyTo: String
    package let method: String
    /// JSON text.
    package let payload: String
    package let items: [Item]

    package init(
        job: Int64, batch: Int64, fence: Int64, number: Int64, sendBefore: Int64, responseMilliseconds: Int64,
        replyTo: String, method: String, payload: String, items: [Item]
    ) {
        self.job = job
        self.batch = batch
        self.fence = fence
        self.number = number
        self.sendBefore = sendBefore
        self.responseMilliseconds = responseMilliseconds
        self.replyTo = replyTo
        self.method = method
        self.payload = payload
        self.items = items
    }
}

/// What became of invocations under earlier fences? The asker holds the batch now; what the gateway has not seen it will
/// never send.
package struct Inquiry: Sendable, Hashable {
    package struct Item: Sendable, Hashable {
        package let seq: Int64
        package let attempt: Int64
        /// Milliseconds of Redis' clock until which the gateway must remember the invocation, had it seen it.
        package let rememberedUntil: Int64

        package init(seq: Int64, attempt: Int64, rememberedUntil: Int64) {
            self.seq = seq
            self.attempt = attempt
            self.rememberedUntil = rememberedUntil
        }
    }

    package let job: Int64
    package let batch: Int64
    package let fence: Int64
    package let replyTo: String
    package let items: [Item]

    package init(job: Int64, batch: Int64, fence: Int64, replyTo: String, items: [Item]) {
        self.job = job
        self.batch = batch
        self.fence = fence
        self.replyTo = replyTo
        self.items = items
    }
}

/// Outcomes that are recorded: nobody will ask for them, and the gateway need not keep the answers.
package struct Settlement: Sendable, Hashable {
    package struct Item: Sendable, Hashable {
        package let seq: Int64
        package let attempt: Int64

        package init(seq: Int64, attempt: Int64) {
            self.seq = seq
            self.attempt = attempt
        }
    }

    /// A batch without open items: PostgreSQL never lets it be claimed again, so none of its calls can be handed over
    /// again, and the gateway need not remember them.
    package struct Closed: Sendable, Hashable {
        package let batch: Int64
        /// Under which it was closed.
        package let fence: Int64

        package init(batch: Int64, fence: Int64) {
            self.batch = batch
            self.fence = fence
        }
    }

    package let job: Int64
    package let items: [Item]
    package let closed: Closed?

    package init(job: Int64, items: [Item], closed: Closed? = nil) {
        self.job = job
        self.items = items
        self.closed = closed
    }
}

/// A desired change for devices of one gateway, each with its `$version`.
package struct DesiredPart: Sendable {
    package let patch: JSONObject
    package let devices: [(deviceID: String, version: Int64)]

    package init(patch: JSONObject, devices: [(deviceID: String, version: Int64)]) {
        self.patch = patch
        self.devices = devices
    }
}

package enum GatewayMessage: Sendable {
    case calls(CallPart)
    case inquiry(Inquiry)
    case settlement(Settlement)
    case desired(DesiredPart)
    /// Sessions up to these numbers lost against a newer one elsewhere.
    case close([SessionRoute])
    /// These devices were deleted or disabled: whether their sessions may stay stands in the registry.
    case registryChanged([String])
}

/// How a call ended at the gateway.
package enum CallOutcome: Sendable, Hashable {
    /// `payload` is JSON text.
    case answered(status: Int64, payload: String)
    /// Sent, and no answer within the response timeout.
    case timedOut
    /// Sent, and the device's connection ended.
    case dropped
    /// Sent, and what came back is no JSON.
    case invalidAnswer
    /// Sent once, but nothing is known of it any more.
    case forgotten
    /// Still waiting for the device; the outcome follows.
    case inFlight
    /// Never sent, and never will be under a fence up to the asker's: no session here, too late, too many in flight, or
    /// not seen.
    case notConnected, tooLate, tooManyInFlight, neverSent

    /// The call has certainly not reached the device.
    package var isUnsent: Bool {
        switch self {
        case .notConnected, .tooLate, .tooManyInFlight, .neverSent: true
        case .answered, .timedOut, .dropped, .invalidAnswer, .forgotten, .inFlight: false
        }
    }
}

/// Outcomes of calls, for who handed them over or asked.
package struct AnswerPart: Sendable, Hashable {
    package struct Item: Sendable, Hashable {
        package let seq: Int64
        package let outcome: CallOutcome

        package init(seq: Int64, outcome: CallOutcome) {
            self.seq = seq
            self.outcome = outcome
        }
    }

    package let job: Int64
    package let batch: Int64
    package let fence: Int64
    /// Of the part that this answers, 0 for an inquiry: an answer that comes twice or late says nothing about a part
    /// that was handed over after it.
    package let number: Int64
    /// The gateway that answers.
    package let gateway: String
    package let items: [Item]

    package init(job: Int64, batch: Int64, fence: Int64, number: Int64, gateway: String, items: [Item]) {
        self.job = job
        self.batch = batch
        self.fence = fence
        self.number = number
        self.gateway = gateway
        self.items = items
    }
}
