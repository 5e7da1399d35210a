// One timer for many short waits that mostly end before their time. A sleeping task for each wait, which is cancelled soon
// after, costs two turns of the system's timer thread: for batches whose answers come in pieces a tenth of a worker's CPU.

package import ServiceKit
private import Synchronization

package final class Alarm: Sendable {
    package typealias Ring = Int

    private struct State {
        var rings: [Ring: (moment: Instant, action: @Sendable () -> Void)] = [:]
        var last: Ring = 0
        /// When the task that sleeps wakes up; a later one, of a wait that was cancelled, is not stopped.
        var armed: Instant?

        /// Whether a task must be made that sleeps until then.
        mutating func arm(for moment: Instant) -> Bool {
            if let armed, armed <= moment { return false }
            armed = moment
            return true
        }
    }

    package let clock: any ServiceClock
    private let state = Mutex(State())

    package init(clock: any ServiceClock) { self.clock = clock }

    /// Calls `action` at the moment or a little later, once, unless it is cancelled before. `action` may come when it is
    /// just being cancelled.
    package func set(at moment: Instant, _ action: @escaping @Sendable () -> Void) -> Ring {
        let (ring, mustArm) = state.withLock { state in
            state.last += 1
            state.rings[state.last] = (moment, action)
            return (state.last, state.arm(for: moment))
        }
        if mustArm { arrange(moment) }
        return ring
    }

    package func cancel(_ ring: Ring) {
        state.withLock { $0.rings[ring] = nil }
    }

    private func arrange(_ moment: Instant) {
        Task {
            do {
                try await clock.sleep(for: max(.zero, moment - clock.now))
            } catch {
                // Nobody cancels this task; if the clock is over, all that wait look by themselves.
            }
            fire(moment)
        }
    }

    private func fire(_ armed: Instant) {
        let now = clock.now
        let (due, next): ([@Sendable () -> Void], Instant?) = state.withLock { state in
            let due = state.rings.filter { $0.value.moment <= max(now, armed) }
            for ring in due.keys { state.rings[ring] = nil }
            if state.armed == armed { state.armed = nil }
            let next = state.rings.values.map(\.moment).min().flatMap { state.arm(for: $0) ? $0 : nil }
            return (due.sorted { $0.key < $1.key }.map(\.value.action), next)
        }
        if let next { arrange(next) }
        for action in due { action() }
    }
}
