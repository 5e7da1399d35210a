// How many accepted connections a listener may have open, over all loops.

private import Synchronization

final class ConnectionSlots: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)
    /// Called once after the listener found no slot and one became free; from any loop.
    private let waiter = Mutex<(@Sendable () -> Void)?>(nil)

    init(limit: Int) { self.limit = limit }

    var count: Int { used.load(ordering: .relaxed) }

    /// False at the limit; then `whenFree` is called once a slot is free.
    func take(orWait whenFree: @escaping @Sendable () -> Void) -> Bool {
        if tryTake() { return true }
        waiter.withLock { $0 = whenFree }
        // One may have become free between the two looks; without this one nobody would call.
        guard tryTake() else { return false }
        waiter.withLock { $0 = nil }
        return true
    }

    func release() {
        used.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        let waiting = waiter.withLock { waiter in
            defer { waiter = nil }
            return waiter
        }
        waiting?()
    }

    private func tryTake() -> Bool {
        guard used.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue > limit else { return true }
        used.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        return false
    }
}
