// One simulated cluster: stores, processes, and the troubles of its safety phase, all out of one seed. After the safety
// phase the faults stop, everybody lives, and every job must end (the liveness phase).

import ClusterModel
import JobModel
import LeaseStore
import ServiceKit

final class World {
    /// How long the calm may take until every job has ended.
    static let calm: Int64 = .seconds(90)
    /// A dead worker's batch is claimed anew within this time (invariant I6).
    static let takeover: Int64 = .seconds(10)

    let seed: UInt64
    let broken: BrokenRule?
    var random: SeedRandom
    private(set) var now: Int64 = 0
    var events = EventHeap()
    private(set) var eventCount = 0
    /// What happened, when somebody wants to read it.
    private var trace: [String]?

    let postgres = PostgresModel()
    let redis = RedisModel()
    let postgresServer = StoreServer(name: "PostgreSQL")
    let redisServer = StoreServer(name: "Redis")
    var redisJump: Int64 = 0
    var dump: RedisModel.Content?
    /// When the last request is done whose sender has given up.
    var lastLate: Int64 = 0
    var waiters: [Waiter] = []
    var waiterNumber = 0

    private(set) var checker: Checker!
    private(set) var workers: [SimulatedWorker] = []
    private(set) var coordinators: [SimulatedCoordinator] = []
    private(set) var gateways: [SimulatedGateway] = []
    var devices: [SimulatedDevice] = []
    var processes: [Process] { workers + coordinators + gateways }
    /// Jobs that run at the same time.
    let runningJobs: Int
    /// Nothing fails in this world; processes are only asked to stop, and devices come and go.
    let isGentle: Bool
    let drainDuration: Duration
    /// Calls that a worker may have in flight.
    let callLimit: Int
    var exhaustedPoll: Duration { .milliseconds(500) }
    /// Redis' clock was set back: what it leased before is cut only when somebody looks.
    var hasJumpedBack = false

    private(set) var isFaulty = true
    let faultRate: Double
    /// Chance that a process dies or stops instead of its next step.
    let stumbleRate: Double
    let chunkSize: Int
    let batchSize: Int64
    let faultsEnd: Int64

    init(seed: UInt64, broken: BrokenRule? = nil, isTraced: Bool = false, skewed: Bool = true) {
        self.seed = seed
        self.broken = broken
        random = SeedRandom(seed: seed)
        trace = isTraced ? [] : nil
        isGentle = random.chance(0.15)
        faultRate = isGentle ? 0 : random.pick([0.005, 0.02, 0.05])
        stumbleRate = isGentle ? 0 : random.pick([0, 0.002, 0.01])
        drainDuration = isGentle ? .seconds(20) : random.pick([.seconds(2), .seconds(20)])
        runningJobs = random.pick([1, 10])
        callLimit = random.pick([1000, 1010, 20_000])
        chunkSize = 3 + random.below(6)
        batchSize = Int64(2 + random.below(3))
        faultsEnd = random.time(.seconds(5) ... .seconds(15))
        if let broken {
            postgres.broken = [broken]
            redis.broken = [broken]
        }
        // Drawn whether used or not, so that a run with equal clocks is the same run.
        var offsets = (0..<8).map { _ in random.time(.seconds(1) ... .seconds(1_000_000)) }
        if !skewed { offsets = offsets.map { _ in .seconds(500) } }
        checker = Checker(self)
        for number in 0..<(2 + random.below(2)) {
            workers.append(SimulatedWorker(self, name: "worker\(number)", clockOffset: offsets.removeLast()))
        }
        for number in 0..<2 {
            coordinators.append(
                SimulatedCoordinator(self, name: "coordinator\(number)", clockOffset: offsets.removeLast()))
        }
        for number in 0..<2 {
            gateways.append(SimulatedGateway(self, name: "gateway\(number)", clockOffset: offsets.removeLast()))
        }
        redis.tokenLimit = 3
        redis.inboxLimit = random.pick([3, 6, 1000])
        prepare()
    }

    func isBroken(_ rule: BrokenRule) -> Bool { broken == rule }

    func note(_ text: @autoclosure () -> String) {
        guard trace != nil else { return }
        let text = text()
        let time = String(now / 1000)
        trace?.append(String(repeating: " ", count: max(0, 8 - time.count)) + time + " ms  " + text)
    }

    // MARK: Clocks

    /// Both servers' clocks have nothing to do with one another, nor with the processes'.
    var postgresClock: Int64 { 5_000_000 + now / 1000 }
    var redisClock: Int64 { 900_000_000 + redisJump + now / 1000 }

    // MARK: Run

    struct Report {
        let violation: String?
        let events: Int
        let time: Int64
        let trace: [String]
        /// Equal for runs that did the same.
        let digest: Int
    }

    func run() -> Report {
        for process in processes {
            events.push(at: random.time(0 ... .seconds(1)), for: nil, life: 0) { process.start() }
        }
        while checker.violation == nil, let event = events.pop() {
            now = event.time
            perform(event)
            if now >= faultsEnd, isFaulty { becomeCalm() }
            if !isFaulty, isDone { break }
            if now > faultsEnd + Self.calm { reportStuck() }
        }
        if checker.violation == nil { checker.finished() }
        var hasher = Hasher()
        for job in postgres.jobs {
            hasher.combine(job.row)
            hasher.combine(job.items)
            hasher.combine(job.batches)
        }
        hasher.combine(eventCount)
        events.removeAll()
        waiters = []
        return Report(
            violation: checker.violation, events: eventCount, time: now, trace: trace ?? [],
            digest: hasher.finalize())
    }

    private func perform(_ event: Event) {
        guard let process = event.process else {
            eventCount += 1
            return event.action()
        }
        guard process.isAlive, process.life == event.life else { return }
        guard !process.misses(event) else { return }
        eventCount += 1
        // Wherever a process waits, it can die or stop.
        if isFaulty, random.chance(stumbleRate) {
            if random.chance(0.5) { return kill(process) }
            stop(process)
            return perform(event)
        }
        event.action()
    }

    private var isDone: Bool {
        // A job whose start lies ahead is waited for, too.
        postgres.jobs.allSatisfy(\.row.state.isEnded) && workPrepared == 0
    }

    private func reportStuck() {
        let stuck = postgres.jobs.filter { !$0.row.state.isEnded }
        checker.fail(
            "I6",
            "the cluster is calm for \(Self.calm / 1_000_000) s, and jobs have not ended: "
                + stuck.map { "\($0.row), \($0.batches.filter { $0.state != .closed })" }.joined(separator: "; ")
                + ", waiting: \(postgres.waiting), routes: \(redis.content.routes)")
    }

    private func becomeCalm() {
        isFaulty = false
        note("calm")
        postgresServer.downUntil = 0
        redisServer.downUntil = 0
        for server in [postgresServer, redisServer] { server.slowUntil = 0 }
        for process in processes {
            process.wakeUp()
            process.start()
        }
        for device in devices { device.connect() }
        for (batch, worker) in checker.holders.sorted(by: { $0.key.description < $1.key.description })
        where isDead(worker) { expectTakeover(of: batch, from: worker) }
    }

    /// A supervisor starts it again.
    func restart(_ process: Process) {
        let delay =
            isFaulty ? random.time(.milliseconds(100) ... .seconds(8)) : random.time(.milliseconds(100) ... .seconds(1))
        events.push(at: now + delay, for: nil, life: 0) { process.start() }
    }

    private func isDead(_ worker: String) -> Bool { !workers.contains { $0.isAlive && $0.id.text == worker } }

    /// Invariant I6: within the bound somebody else holds the batch, or it is done.
    private func expectTakeover(of batch: BatchID, from worker: String) {
        // The leader may have died, too: its lease and the sweep's grace come on top. And a dead candidate's request that
        // comes late keeps others from leading once more.
        let cut = hasJumpedBack ? Limits.leaseDuration.nanoseconds / 1000 : 0
        let bound = Self.takeover + Limits.sweepGrace.nanoseconds / 1000 + .seconds(2) + cut
        events.push(at: max(now, lastLate) + bound, for: nil, life: 0) { [unowned self] in
            guard let index = postgres.jobs.firstIndex(where: { $0.row.job == batch.job }),
                let row = postgres.jobs[index].batches.first(where: { $0.batch == batch.batch })
            else { return }
            if row.state == .claimed, row.worker == worker {
                checker.fail("I6", "batch \(batch) is still held by \(worker), which is dead")
            }
        }
    }

    // MARK: What is going to happen

    /// Jobs that have not been created yet.
    var workPrepared = 0
}
