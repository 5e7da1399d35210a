// The inside of an event loop: epoll, the registered channels, timers, and the connections with something to write.
//
// Everything here is confined to the loop's thread and therefore without locks; nothing here is Sendable. A turn is:
// wait for events; handle them; run work handed in from outside; fire timers; write what all of that produced. The output
// of an event is written behind it, so that ten answers to ten pipelined requests leave in one system call.

private import CLinux
private import Glibc
package import ServiceKit

/// What epoll reports to.
protocol Channel: AnyObject {
    func ready(_ events: UInt32)
    /// A deadline armed with `Reactor.arm` is over.
    func timerFired(_ deadline: Instant)
}

package final class Reactor {
    /// A place in the table of channels. The generation tells a late event for a closed channel from one of its
    /// successor in the same place.
    struct Registration {
        let index: UInt32
        let generation: UInt32

        var data: UInt64 { UInt64(generation) << 32 | UInt64(index) }
    }

    private struct Slot {
        var generation: UInt32 = 0
        var channel: (any Channel)?
    }

    private enum TimerOwner {
        case channel(Registration)
        case work(UInt64)
    }

    package struct TimerID: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    /// Stands for the wake descriptor, which no slot has.
    private static let wakeData = UInt64.max

    package let loop: EventLoop
    /// The time at the start of this turn.
    package private(set) var now: Instant
    /// Shared by all connections of the loop; its content is gone with the next read.
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: SocketLimits.readBytes, alignment: 16)
    /// The same for what TLS decrypts.
    let plaintext = UnsafeMutableRawBufferPointer.allocate(byteCount: SocketLimits.readBytes, alignment: 16)

    private let epoll: Int32
    private var slots: [Slot] = []
    private var freeSlots: [UInt32] = []
    private var timers = TimerHeap<TimerOwner>()
    private var timerWork: [UInt64: (Reactor) -> Void] = [:]
    private var lastTimer: UInt64 = 0
    private var deferred: [Connection] = []

    init(loop: EventLoop) {
        self.loop = loop
        now = loop.clock.now
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        precondition(epoll >= 0, "no epoll: errno \(errno)")
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: Self.wakeData))
        precondition(epoll_ctl(epoll, EPOLL_CTL_ADD, loop.wakeDescriptor, &event) == 0, "no epoll: errno \(errno)")
    }

    func run() -> Never {
        var events = [epoll_event](repeating: epoll_event(), count: SocketLimits.eventsPerTurn)
        while true {
            let count = epoll_wait(epoll, &events, Int32(events.count), waitMilliseconds())
            precondition(count >= 0 || errno == EINTR, "epoll_wait: errno \(errno)")
            now = loop.clock.now
            for event in events.prefix(max(0, Int(count))) {
                dispatch(event)
                writeIfMany()
            }
            for work in loop.takeWork() { work(self) }
            fireTimers()
            runDeferred()
        }
    }

    private func waitMilliseconds() -> Int32 {
        guard deferred.isEmpty else { return 0 }
        guard let first = timers.first else { return -1 }
        // Rounded up, so that the loop does not spin through the last millisecond.
        let wait = ((first - loop.clock.now).nanoseconds + 999_999) / 1_000_000
        return Int32(clamping: max(0, wait))
    }

    private func dispatch(_ event: epoll_event) {
        let data = event.data.u64
        guard data != Self.wakeData else { return loop.clearWake() }
        let slot = slots[Int(UInt32(truncatingIfNeeded: data))]
        guard slot.generation == UInt32(truncatingIfNeeded: data >> 32) else { return }
        slot.channel?.ready(event.events)
    }

    // MARK: Channels

    /// Takes the channel into the table and the descriptor into epoll.
    func register(_ channel: any Channel, _ descriptor: Int32, _ interest: UInt32) -> Registration {
        let index: UInt32
        if let free = freeSlots.popLast() {
            index = free
        } else {
            index = UInt32(slots.count)
            slots.append(Slot())
        }
        slots[Int(index)].channel = channel
        let registration = Registration(index: index, generation: slots[Int(index)].generation)
        control(EPOLL_CTL_ADD, descriptor, interest, registration)
        return registration
    }

    func update(_ registration: Registration, _ descriptor: Int32, _ interest: UInt32) {
        control(EPOLL_CTL_MOD, descriptor, interest, registration)
    }

    /// The caller closes the descriptor, which takes it out of epoll. Late events and timers find another generation.
    func unregister(_ registration: Registration) {
        slots[Int(registration.index)].channel = nil
        slots[Int(registration.index)].generation &+= 1
        freeSlots.append(registration.index)
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ interest: UInt32, _ registration: Registration) {
        var event = epoll_event(events: interest, data: epoll_data(u64: registration.data))
        // Fails only for a descriptor that is not open or not added, a defect, or without kernel memory.
        precondition(epoll_ctl(epoll, operation, descriptor, &event) == 0, "epoll_ctl \(operation): errno \(errno)")
    }

    // MARK: Timers

    /// Calls the channel's `timerFired` with this deadline; the channel ignores it if it no longer means it.
    func arm(_ registration: Registration, at deadline: Instant) {
        timers.insert(.channel(registration), at: deadline)
    }

    /// Runs the work at `deadline` unless it is cancelled before.
    @discardableResult
    package func schedule(at deadline: Instant, _ work: @escaping (Reactor) -> Void) -> TimerID {
        lastTimer += 1
        timerWork[lastTimer] = work
        timers.insert(.work(lastTimer), at: deadline)
        return TimerID(number: lastTimer)
    }

    package func cancel(_ timer: TimerID) {
        timerWork[timer.number] = nil
    }

    private func fireTimers() {
        while let (deadline, owner) = timers.popDue(now) {
            switch owner {
            case .channel(let registration):
                let slot = slots[Int(registration.index)]
                guard slot.generation == registration.generation else { continue }
                slot.channel?.timerFired(deadline)
            case .work(let number):
                timerWork.removeValue(forKey: number)?(self)
            }
        }
    }

    // MARK: End of a turn

    /// The connection has something to do at the end of this turn. Once a turn: the connection keeps a flag.
    func `defer`(_ connection: Connection) {
        deferred.append(connection)
    }

    /// For work that goes through many connections: between two of them, and not while one of them is handling anything.
    package func writeIfMany() {
        if deferred.count >= SocketLimits.connectionsPerWrite { runDeferred() }
    }

    private func runDeferred() {
        guard !deferred.isEmpty else { return }
        // What these defer again comes with the next turn, which then does not wait.
        let connections = deferred
        deferred = []
        deferred.reserveCapacity(connections.count)
        for connection in connections { connection.runDeferred() }
    }
}
