// Shared access policies, read from the store and believed for a few seconds, so that a request or a CONNECT does not
// cost a look-up.

package import ServiceKit
private import Synchronization

package final class PolicyCache: Sendable {
    package typealias Loader = @Sendable () async throws(StoreError) -> [Policy]

    /// How long policies are believed before they are read again: a changed key works, and a withdrawn one stops
    /// working, within this time.
    package static let lifetime: Duration = .seconds(5)
    /// An unknown policy name makes the process read again, but not more often than this.
    package static let lifetimeOfUnknown: Duration = .seconds(1)

    private struct State {
        var policies: [String: Policy] = [:]
        var loadedAt: Instant?
    }

    private let load: Loader
    private let clock: any ServiceClock
    private let state = Mutex(State())

    package init(clock: any ServiceClock, load: @escaping Loader) {
        self.load = load
        self.clock = clock
    }

    package func policy(named name: String) async throws(StoreError) -> Policy? {
        let now = clock.now
        let (known, age) = state.withLock { state in
            (state.policies[name], state.loadedAt.map { now - $0 })
        }
        if let age, age < (known == nil ? Self.lifetimeOfUnknown : Self.lifetime) { return known }
        // Several callers may load at the same time; they get the same answer.
        let policies = Dictionary(try await load().map { ($0.name, $0) }) { first, _ in first }
        state.withLock { state in
            state.policies = policies
            state.loadedAt = now
        }
        return policies[name]
    }
}
