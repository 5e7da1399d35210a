// The leader's loops: start, expand, end, finish and sweep. Every coordinator runs them; they act only while its process
// is the elected leader. What is due is asked from PostgreSQL each round; wake-ups only make the round come sooner.

internal import JSON
internal import JobModel
package import JobStore
package import LeaseStore
package import RouteStore
package import ServiceKit
private import Synchronization
package import TwinStore

package final class Coordinator: Sendable {
    private let store: JobStore
    private let leases: LeaseStore
    private let elector: Elector
    private let expander: Expander
    private let ender: Ender
    private let routes: RouteStore
    private let twins: TwinStore
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private let metrics: Metrics
    /// What a task of this process does to a job; the next round leaves that job alone.
    private enum LongWork: String {
        case ending, expansion
    }
    private let busy = Mutex<[Int64: LongWork]>([:])

    /// `holder` names one life of this process.
    package init(
        store: JobStore, leases: LeaseStore, routes: RouteStore, twins: TwinStore, holder: String,
        clock: any ServiceClock,
        random: any RandomSource, log: Log, metrics: Metrics
    ) {
        self.routes = routes
        self.twins = twins
        self.store = store
        self.leases = leases
        self.clock = clock
        self.random = random
        self.log = log
        self.metrics = metrics
        elector = Elector(
            store: store, holder: holder, clock: clock, random: random, log: log, metrics: metrics)
        expander = Expander(
            store: store, leases: leases, clock: clock, random: random, log: log, metrics: metrics)
        ender = Ender(store: store, leases: leases, log: log, metrics: metrics)
    }

    /// Whether this process leads at the moment.
    package var isLeading: Bool { elector.leadership != nil }

    /// Runs until the task is cancelled; then the leadership is resigned, so that another takes over at once.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.elector.run() }
            group.addTask { await self.sweepLoop() }
            group.addTask { await self.roundLoop() }
            group.addTask { await self.deviceLoop() }
            group.addTask { await self.gatewayLoop() }
        }
    }

    // MARK: Rounds

    private func roundLoop() async {
        var acquisitions = elector.acquisitions.makeAsyncIterator()
        await withDiscardingTaskGroup { tasks in
            while !Task.isCancelled {
                do {
                    // A job that has ended leaves room for one that is due.
                    guard let leadership = elector.leadership else {
                        // Only the leader drinks from the wake-ups.
                        await acquisitions.next()
                        continue
                    }
                    if try await !round(leadership, &tasks) { try await waitForWork() }
                } catch {
                    await report("round_failed", error)
                }
            }
        }
    }

    /// Starts, expands, expires, ends and finishes what is due. Long work runs in tasks of its own, so that one large
    /// job does not keep a small one waiting. Returns whether a job has ended.
    private func round(_ leadership: Leadership, _ tasks: inout DiscardingTaskGroup) async throws -> Bool {
        for job in try await store.startDueJobs(actor: leadership.actor) {
            log.info("job_started", [("key", .integer(job))])
        }
        for job in try await store.expireJobs(actor: leadership.actor) {
            log.info("job_expired", [("key", .integer(job))])
        }
        for (job, isCancelled) in try await store.endingJobs() {
            begin(.ending, job, &tasks) {
                // Nothing ended: the calls in flight of a cancelled job are waited for, and their end calls for a round.
                try await self.ender.endItems(of: job, isCancelled: isCancelled) {
                    self.elector.leadership == leadership
                } > 0
            }
        }
        for job in try await store.expandingJobs(limit: Limits.runningJobs) {
            let running = busy.withLock { busy in busy.values.count { $0 == .expansion } }
            guard running < Limits.concurrentExpansions else { break }
            begin(.expansion, job.job, &tasks) {
                _ = try await self.expander.expand(job, under: leadership)
                return true
            }
        }
        return try await ender.finishJobs(actor: leadership.actor) > 0
    }

    /// Runs `work` in a task of its own unless the job has one. When it has done something its end calls for the next
    /// round: there may be items to end, or the job may be done.
    private func begin(
        _ kind: LongWork, _ job: Int64, _ tasks: inout DiscardingTaskGroup,
        _ work: @escaping @Sendable () async throws -> Bool
    ) {
        let isFree = busy.withLock { busy in
            if busy[job] != nil { return false }
            busy[job] = kind
            return true
        }
        guard isFree else { return }
        tasks.addTask {
            do {
                let isChanged = try await work()
                self.busy.withLock { $0[job] = nil }
                if isChanged { try await self.leases.wake(.coordinators) }
            } catch {
                await self.report("\(kind.rawValue)_failed", error)
                self.busy.withLock { $0[job] = nil }
            }
        }
    }

    /// Waits for a wake-up or for the next moment that the clock brings.
    private func waitForWork() async throws {
        var timeout = random.jittered(Limits.idlePoll)
        if let next = try await store.nextClockEvent() { timeout = min(timeout, max(next, .milliseconds(5))) }
        _ = try await leases.sleep(.coordinators, timeout: timeout)
    }

    // MARK: Sweep

    private func sweepLoop() async {
        var sweeper = Sweeper(
            store: store, leases: leases, clock: clock, random: random, log: log, metrics: metrics)
        while !Task.isCancelled {
            do {
                if elector.leadership != nil { try await sweeper.sweep() }
                try await clock.sleep(for: Limits.sweepInterval)
            } catch {
                await report("sweep_failed", error)
            }
        }
    }

    private func deviceLoop() async {
        var sweeper = DeviceSweeper(
            store: store, leases: leases, routes: routes, twins: twins, log: log, metrics: metrics)
        while !Task.isCancelled {
            do {
                if elector.leadership != nil { try await sweeper.sweep() }
                try await clock.sleep(for: random.jittered(Limits.deviceSweepInterval, spread: 0.1))
            } catch {
                await report("device_sweep_failed", error)
            }
        }
    }

    private func gatewayLoop() async {
        var sweeper = GatewaySweeper(store: store, clock: clock, log: log, metrics: metrics)
        while !Task.isCancelled {
            do {
                if elector.leadership != nil { try await sweeper.sweep() } else { sweeper.forget() }
                try await clock.sleep(for: Limits.sweepInterval)
            } catch {
                await report("gateway_sweep_failed", error)
            }
        }
    }

    /// Logs a failure and waits a moment, so that a store that is down is not asked without pause.
    private func report(_ event: String, _ error: any Error) async {
        guard !Task.isCancelled else { return }
        log.warning(event, [("error", .string("\(error)"))])
        do {
            try await clock.sleep(for: random.jittered(Limits.sweepInterval))
        } catch {
            return  // cancelled: the loop's condition ends it
        }
    }
}
