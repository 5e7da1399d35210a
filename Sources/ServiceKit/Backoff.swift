// Waiting times between repeats: exponential, with full jitter, bounded. A value, so that a test can list them.

package struct Backoff: Sendable {
    package let initial: Duration
    package let maximum: Duration
    private var attempt = 0

    package init(initial: Duration = .milliseconds(50), maximum: Duration = .seconds(5)) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The next wait: between half and all of initial × 2^attempt, at most `maximum`.
    package mutating func next(_ random: some RandomSource) -> Duration {
        // 2^20 times any sensible start is beyond any sensible maximum; the bound keeps the shift defined.
        let doubled = Double(initial.nanoseconds) * Double(1 << min(attempt, 20))
        attempt += 1
        let bounded = min(doubled, Double(maximum.nanoseconds))
        return .nanoseconds(Int64(bounded * (0.5 + 0.5 * random.unit())))
    }

    package mutating func reset() { attempt = 0 }
}
