// Limits of the HTTP API with the reason for each number (invariant I9). Those of jobs stand in `JobModel/Limits.swift`,
// of twins in `TwinModel/TwinLimits.swift`, of HTTP itself in `HTTP`.

package enum APILimits {
    /// The wire contract's recommendation for a job: twice the largest method payload.
    package static let jobBodyBytes = 256 * 1024
    /// An identity is a few hundred bytes; clients may send whole documents back.
    package static let deviceBodyBytes = 64 * 1024
    /// Whole twins come back with `$metadata`, which repeats every key: 72 KB of values, keys, times and escapes.
    package static let twinBodyBytes = 1024 * 1024
    /// 8192 characters, each at most six bytes when escaped, and room.
    package static let queryBodyBytes = 64 * 1024
    /// 100 devices with full tags and desired properties; also `HTTPLimits.bodyBytes`.
    package static let bulkBodyBytes = 4 * 1024 * 1024
    /// Operations without a body do not look at one; a small one is let pass.
    package static let ignoredBodyBytes = 64 * 1024
    /// Twins allow 10 levels; requests wrap them in a few, and method payloads have no limit of their own.
    package static let bodyDepth = 64
    /// Requests in work at the same time in one process; more get 503 with Retry-After. Each holds at most one store
    /// connection, and a pool of tens serves hundreds of waiting requests within a client's patience.
    package static let concurrentRequests = 512
    /// Longest continuation token accepted.
    package static let continuationBytes = 2048
    /// Oldest api-version, from the wire contract.
    package static let apiVersionMinimum = "2016-11-14"
    /// How long a readiness probe waits for one of its checks.
    package static let readinessTimeout: Duration = .seconds(2)
}
