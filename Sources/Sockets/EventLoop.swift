// An event loop as the rest of the process sees it: a thread that work can be handed to. What happens on the thread is
// the `Reactor`'s; it is never reachable from outside except as the parameter of such work.
//
// One loop a core, shared by all servers and clients of a process: measured against Dispatch sources, epoll in a
// thread a core gives 100k against 62k echoes a second at a third less CPU (design, section 6).

private import CLinux
private import Glibc
package import ServiceKit
private import Synchronization

package final class EventLoop: Sendable {
    package typealias Work = @Sendable (Reactor) -> Void

    private struct Inbox {
        var work: [Work] = []
        /// The loop has been told and has not looked yet; nobody needs to tell it again.
        var isWakePending = false
    }

    private let inbox = Mutex(Inbox())
    let wakeDescriptor: Int32
    package let clock: any ServiceClock

    /// Starts the thread. It never ends: loops live as long as their process.
    package init(name: String, clock: any ServiceClock = SystemClock()) {
        self.clock = clock
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(wakeDescriptor >= 0, "no eventfd: errno \(errno)")
        LoopThread.start(name: name) { [self] in Reactor(loop: self).run() }
    }

    /// Hands work to the loop; runs it there soon, in order. Never blocks.
    package func execute(_ work: @escaping Work) {
        let mustWake = inbox.withLock { inbox in
            inbox.work.append(work)
            defer { inbox.isWakePending = true }
            return !inbox.isWakePending
        }
        guard mustWake else { return }
        var one: UInt64 = 1
        // Can fail only with EAGAIN at 2^64 - 1 wakes, and then the loop is awake anyway.
        _ = Glibc.write(wakeDescriptor, &one, 8)
    }

    /// Runs work on the loop and returns its result.
    package func run<Result: Sendable>(_ work: @escaping @Sendable (Reactor) -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            execute { reactor in continuation.resume(returning: work(reactor)) }
        }
    }

    func takeWork() -> [Work] {
        inbox.withLock { inbox in
            guard !inbox.work.isEmpty else { return [] }
            inbox.isWakePending = false
            defer { inbox.work = [] }
            return inbox.work
        }
    }

    func clearWake() {
        var count: UInt64 = 0
        _ = Glibc.read(wakeDescriptor, &count, 8)
    }
}

/// The loops of a process, handed out in turn.
package final class EventLoopGroup: Sendable {
    /// One loop a core; every server and client uses it unless told otherwise.
    package static let shared = EventLoopGroup(count: sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    package let loops: [EventLoop]
    private let turn = Atomic<Int>(0)

    package init(count: Int, clock: any ServiceClock = SystemClock()) {
        loops = (0..<max(1, count)).map { EventLoop(name: "loop-\($0)", clock: clock) }
    }

    package func next() -> EventLoop {
        loops[Int(UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).newValue) % UInt(loops.count))]
    }
}

/// A thread with a name that runs one closure.
private enum LoopThread {
    private final class Box: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(name, body))
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                _ = muster_set_thread_name(box.name)
                // Signals belong to the threads that wait for them.
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_BLOCK, &all, nil)
                box.body()
                return nil
            }, box.toOpaque())
        precondition(result == 0, "no thread for an event loop: error \(result)")
        pthread_detach(thread)
    }
}
