// What can go wrong with a store (PostgreSQL or Redis), as one type. `Postgres` and `Redis` classify in one file each;
// callers switch over `code` and `effect` and never look at texts.

package struct StoreError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The server cannot be reached, is starting, or the connection broke.
        case unavailable
        /// No answer within the caller's time.
        case timeout
        /// Deadlock or serialization failure: the whole statement or transaction may be repeated.
        case retry
        /// A unique key or an exclusion refused the write: the ordinary answer of a race.
        case conflict
        /// The data cannot be stored (numeric overflow, jsonb too large …): repeating it gives the same.
        case invalidData
        /// A defect or a wrong set-up: syntax, missing table, wrong password, missing privilege.
        case fatal
        /// The caller's task was cancelled before the request left.
        case cancelled
    }

    /// What the failed call may have done (invariant I10). `unknown` is resolved by reading, never by assuming.
    package enum Effect: String, Sendable {
        case none
        case unknown
    }

    package let code: Code
    package let effect: Effect
    /// The statement, script or command, for example `claim_batches`.
    package let operation: String
    /// SQLSTATE or the first word of a Redis error, where the server gave one.
    package let serverCode: String?
    /// The constraint that refused a write, where PostgreSQL named one.
    package let constraint: String?
    /// The server's primary message. It can quote data, so it goes to a log only at debug level.
    package let message: String

    package init(
        code: Code, effect: Effect, operation: String, serverCode: String? = nil, constraint: String? = nil,
        message: String
    ) {
        self.code = code
        self.effect = effect
        self.operation = operation
        self.serverCode = serverCode
        self.constraint = constraint
        self.message = message
    }

    /// Safe to log: never holds parameters or rows.
    package var description: String {
        "\(operation): \(code.rawValue)" + (serverCode.map { " [\($0)]" } ?? "")
            + (effect == .unknown ? ", effect unknown" : "")
    }

    /// True when waiting and asking again can help.
    package var isTransient: Bool {
        switch code {
        case .unavailable, .timeout, .retry: true
        case .conflict, .invalidData, .fatal, .cancelled: false
        }
    }
}
