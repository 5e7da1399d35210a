// A process of the simulated cluster: it lives, stops for a while, wakes up, dies at any point where it waits, and
// comes back as another. Everything that it does is an event; an event of an earlier life never happens, one that comes
// while it is stopped happens when it wakes up.

import ClusterModel
import JobModel
import LeaseStore
import ServiceKit

class Process {
    unowned let world: World
    let name: String
    private(set) var life = 0
    private(set) var isAlive = false
    private var stoppedUntil: Int64 = 0
    /// What would have happened while it is stopped.
    private var missed: [Event] = []
    /// Its monotonic clock against virtual time (invariant I8): nothing may depend on it.
    let clockOffset: Int64

    init(_ world: World, name: String, clockOffset: Int64) {
        self.world = world
        self.name = name
        self.clockOffset = clockOffset
    }

    /// What a new life begins with.
    func begin() {}
    /// What the world learns of a death: connections break.
    func died() {}

    final func start() {
        guard !isAlive else { return }
        isAlive = true
        life += 1
        (stoppedUntil, missed) = (0, [])
        world.note("\(self.name) starts, life \(self.life)")
        begin()
    }

    final func crash() {
        guard isAlive else { return }
        isAlive = false
        world.note("\(self.name) dies")
        died()
    }

    final func stop(until moment: Int64) {
        stoppedUntil = max(stoppedUntil, moment)
        world.events.push(at: stoppedUntil, for: nil, life: 0) { [self] in
            if stoppedUntil <= world.now { wakeUp() }
        }
    }

    /// It does all that waited, in some order.
    final func wakeUp() {
        stoppedUntil = 0
        for event in missed {
            world.events.push(
                at: world.now + world.random.time(0 ... .milliseconds(20)), for: self, life: event.life, event.action)
        }
        missed = []
    }

    /// Whether the event waits until the process wakes up.
    final func misses(_ event: Event) -> Bool {
        guard stoppedUntil > world.now else { return false }
        missed.append(event)
        return true
    }

    /// Its own monotonic clock.
    var now: Instant { Instant(nanoseconds: (world.now + clockOffset) * 1000) }
    /// What its wall clock says, in milliseconds: for rules that are broken on purpose.
    var wallClock: Int64 { (world.now + clockOffset) / 1000 }

    func after(_ delay: Int64, _ action: @escaping () -> Void) {
        world.events.push(at: world.now + delay, for: self, life: life, action)
    }

    func after(_ delay: Duration, _ action: @escaping () -> Void) { after(delay.nanoseconds / 1000, action) }

    func until(_ moment: Instant, _ action: @escaping () -> Void) {
        after(max(0, (moment - now).nanoseconds / 1000), action)
    }

    func jittered(_ duration: Duration, spread: Double = 0.25) -> Int64 {
        let whole = duration.nanoseconds / 1000
        let part = Int64(Double(whole) * spread)
        return world.random.time(whole - part...whole + part)
    }

    // MARK: Stores

    /// A statement that writes.
    func write<T>(
        _ name: StaticString, work: Int64 = 0, _ rule: @escaping (PostgresModel) -> Result<T, StoreError>,
        _ reply: @escaping (Result<T, StoreError>) -> Void
    ) {
        world.call(world.postgresServer, name, from: self, work: work, { self.world.commit { rule($0) } }, reply)
    }

    func read<T>(
        _ name: StaticString, _ rule: @escaping (PostgresModel) -> T,
        _ reply: @escaping (Result<T, StoreError>) -> Void
    ) {
        world.call(world.postgresServer, name, from: self, { .success(self.world.look { rule($0) }) }, reply)
    }

    func redis<T>(
        _ name: StaticString, _ script: @escaping (RedisModel) -> T, _ reply: @escaping (Result<T, StoreError>) -> Void
    ) {
        world.call(world.redisServer, name, from: self, { .success(self.world.run { script($0) }) }, reply)
    }
}
