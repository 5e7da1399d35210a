// A process that is stopped, for tests: while it sleeps no wait ends, so that nothing is renewed; time goes on, and
// what it had sent to a store before is still executed there.

import ServiceKit
import Synchronization

final class SleepyClock: ServiceClock {
    private let real = SystemClock()
    private let asleep = Mutex(false)

    var now: Instant { real.now }
    var unixTime: Double { real.unixTime }

    func fallAsleep() { asleep.withLock { $0 = true } }
    func wakeUp() { asleep.withLock { $0 = false } }

    func sleep(for duration: Duration) async throws {
        try await real.sleep(for: duration)
        while asleep.withLock({ $0 }) { try await real.sleep(for: .milliseconds(10)) }
    }
}
