// A worker: leases batches, claims them, executes them, records results. Stateless: whatever happens to it, its leases
// run out and the work goes on elsewhere.
//
//     take (Redis) ─▶ claim (PostgreSQL, raises the fence) ─▶ execute ─▶ release (Redis)
//
// A lane is one batch at a time; a worker has as many lanes as it works on batches at once. Each lane takes only what
// it starts next, and passes over the jobs that already fill half of the worker while another job has work. A batch of
// direct methods only waits for devices once it is sent, so it leaves its lane and runs beside (Worker+Methods.swift).

internal import JSON
package import JobModel
package import JobStore
package import LeaseStore
internal import Notices
package import RouteStore
package import ServiceKit
internal import Synchronization

package final class Worker: Sendable {
    package struct Configuration: Sendable {
        /// Batches that are worked on at the same time; each uses a connection to PostgreSQL. At least 1.
        package var concurrentBatches: Int
        /// Direct-method calls that one job alone may have in flight.
        package var callsInFlight: Int
        /// How long a drain waits for calls in flight, and repeats a batch, before it hands them to the next holder.
        package var drainDuration: Duration

        package init(
            concurrentBatches: Int = Limits.concurrentBatches, callsInFlight: Int = Limits.callsInFlight,
            drainDuration: Duration = Limits.drainDuration
        ) {
            precondition(concurrentBatches > 0)
            self.concurrentBatches = concurrentBatches
            self.callsInFlight = callsInFlight
            self.drainDuration = drainDuration
        }
    }

    package let id: WorkerID
    let configuration: Configuration
    let store: JobStore
    let leases: LeaseStore
    let renewer: LeaseRenewer
    private let executor: TwinPatchExecutor
    let cache: JobCache
    let clock: any ServiceClock
    private let random: any RandomSource
    let log: Log
    let metrics: Metrics

    struct State {
        /// Since when, and so until when calls in flight are waited for.
        var drainingSince: Instant?
        var isDraining: Bool { drainingSince != nil }
        var itemsDone: Int64 = 0
        /// Batches in work, by job: the fairness between jobs.
        var lanes: [Int64: Int] = [:]
        var closed = ClosedJobs()
        var slots: CallSlots
        /// Method batches that run beside the lanes.
        var methodBatches: [BatchID: Task<Void, Never>] = [:]
        /// Jobs of which method batches were closed since the leader was told.
        var closedMethods: Set<Int64> = []

        /// Whether the leader is to be told now: a round of its costs eight statements, as much as a batch of calls, so
        /// only a batch that may have been the job's last calls for one. While the job has calls here, it is not done.
        mutating func endedBatch(of job: Int64, isClosed: Bool) -> Bool {
            if isClosed { closedMethods.insert(job) }
            return !slots.holdsCalls(of: job) && closedMethods.remove(job) != nil
        }
    }
    let state: Mutex<State>
    let methods: MethodExecutor
    private let inbox: AnswerInbox
    private let notices: NoticeQueue

    package init(
        id: WorkerID, configuration: Configuration, store: JobStore, leases: LeaseStore, routes: RouteStore,
        clock: any ServiceClock, random: any RandomSource, log: Log, metrics: Metrics
    ) {
        self.id = id
        state = Mutex(State(slots: CallSlots(limit: configuration.callsInFlight * Limits.callsInFlightShares)))
        self.configuration = configuration
        self.store = store
        self.leases = leases
        self.clock = clock
        self.random = random
        self.log = log.with([("worker", .string(id.text))])
        self.metrics = metrics
        renewer = LeaseRenewer(
            worker: id, store: store, leases: leases, clock: clock, log: self.log, metrics: metrics)
        executor = TwinPatchExecutor(
            store: store, shard: id.counterShard, clock: clock, random: random, log: self.log)
        inbox = AnswerInbox(
            address: id.text, routes: routes, clock: clock, random: random, log: self.log, metrics: metrics)
        methods = MethodExecutor(
            worker: id, shard: id.counterShard, store: store, leases: leases, routes: routes, inbox: inbox,
            clock: clock, log: self.log, metrics: metrics)
        notices = NoticeQueue(
            store: store, notifier: DesiredNotifier(routes: routes, metrics: metrics), log: self.log)
        cache = JobCache(store: store)
    }

    package var itemsDone: Int64 { state.withLock(\.itemsDone) }

    /// Works until the task is cancelled; then drains: batches in work are finished, the rest goes back at once.
    package func run() async {
        // The renewals must outlive the cancellation that starts the drain, so they are tasks of their own.
        let renewal = Task { await renewer.run() }
        let heartbeat = Task { await heartbeats() }
        let receiver = Task { await inbox.run() }
        await withTaskCancellationHandler {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<configuration.concurrentBatches { group.addTask { await self.lane() } }
            }
        } onCancel: {
            let now = clock.now
            let held = state.withLock { state in
                state.drainingSince = state.drainingSince ?? now
                return state.lanes.values.reduce(state.methodBatches.count, +)
            }
            log.info("worker_drains", [("batches", .integer(Int64(held)))])
        }
        await finishMethodBatches()
        await notices.drain()
        for task in [heartbeat, renewal, receiver] { task.cancel() }
        await heartbeat.value
        await renewal.value
        await receiver.value
        // This task is cancelled by now; the farewell is sent by one of its own.
        await Task { await farewell() }.value
    }

    // MARK: Lanes

    private func lane() async {
        while !Task.isCancelled {
            do {
                // What was taken is worked on by a task that the drain's cancellation does not reach.
                let worked = try await Task { try await workOnce() }.value
                if !worked { try await idle() }
            } catch {
                await report("lane_failed", error)
            }
        }
    }

    /// Takes and executes one batch; false when there was none.
    private func workOnce() async throws -> Bool {
        guard let id = try await take() else { return false }
        defer {
            state.withLock { state in
                let left = (state.lanes[id.job] ?? 1) - 1
                state.lanes[id.job] = left > 0 ? left : nil
            }
        }
        do {
            try await work(on: id)
        } catch {
            renewer.withTable { $0.remove(id) }
            throw error
        }
        return true
    }

    /// A batch that this worker has leased and counts; its calls are not in flight yet.
    private func take() async throws -> BatchID? {
        let (passing, exhausted) = state.withLock { state in
            let passing = state.lanes.filter { $0.value * 2 >= configuration.concurrentBatches }.map(\.key)
            defer { state.slots.beginTake() }
            return (passing, state.slots.exhausted)
        }
        do {
            let sent = clock.now
            let taken = try await leases.take(worker: id, count: 1, passing: passing, excluding: exhausted)
            if let batch = taken.batches.first {
                renewer.withTable { $0.took([batch], from: taken.incarnation, sent: sent) }
                let now = clock.now
                let shouldTell = state.withLock { state in
                    state.lanes[batch.job, default: 0] += 1
                    return state.closed.took(from: batch.job, now: now)
                }
                if shouldTell { await tell() }
                return batch
            }
            endTake()
            return nil
        } catch {
            endTake()
            throw error
        }
    }

    private func endTake() { state.withLock { $0.slots.endTake() } }

    /// Tells the leader that a job may be done; it also looks by itself.
    private func tell() async {
        do {
            try await leases.wake(.coordinators)
        } catch {
            log.debug("wake_failed", [("error", .string("\(error)"))])
        }
    }

    private func work(on id: BatchID) async throws {
        let started = clock.now
        guard let (batch, work) = try await claim(id, started: started) else {
            // Somebody else has it, it is closed, or its job ended: an offer that was out of date.
            return try await letGo(id)
        }
        switch work {
        case .deviceMethod: return  // It keeps its lease and goes on beside the lanes.
        case nil: break
        case .twinPatch(let patch):
            do {
                try await execute(batch, patch)
            } catch {
                await giveBack(batch)
                throw error
            }
        }
        try await letGo(id)
        let duration = clock.now - started
        metrics.observe("muster_batch_seconds", "Time from claim to recorded result of a batch", duration)
    }

    /// Claims a batch that was taken, and begins it if it is one of calls; nil when it cannot be claimed.
    private func claim(_ id: BatchID, started: Instant) async throws -> (ClaimedBatch, JobCache.Work?)? {
        // By then its calls are counted themselves.
        defer { endTake() }
        let claimed: [ClaimedBatch]
        do {
            claimed = try await store.claim([id], worker: self.id)
        } catch {
            await handOn(id)
            throw error
        }
        guard let batch = claimed.first else { return nil }
        renewer.withTable { $0.claimed(id, fence: batch.fence) }
        do {
            let work = try await cache.work(of: batch.id.job)
            if case .deviceMethod(let call) = work { begin(batch, call, started: started) }
            return (batch, work)
        } catch {
            await giveBack(batch)
            throw error
        }
    }

    private func execute(_ batch: ClaimedBatch, _ patch: JobStore.BatchPatch) async throws {
        let ending = try await executor.execute(batch, patch: patch, mayWork: { mayWork(on: batch.id) }) {
            notices.add(batch.id, patch.desired ?? JSONObject(), $0)
        }
        switch ending {
        case .closed(let succeeded, let failed):
            recorded(succeeded: succeeded, failed: failed)
            state.withLock { $0.closed.add(batch.id.job) }
        case .leaseLost: refused(batch)
        case .abandoned: await abandon(batch)
        }
    }

    private func mayWork(on batch: BatchID) -> Bool {
        guard renewer.mayWork(on: batch) else { return false }
        guard let since = state.withLock(\.drainingSince) else { return true }
        return clock.now - since < configuration.drainDuration
    }

    func recorded(succeeded: Int64, failed: Int64) {
        state.withLock { $0.itemsDone += succeeded + failed }
        for (outcome, number) in [("succeeded", succeeded), ("failed", failed)] {
            metrics.count(
                "muster_items_total", "Work items with an outcome", by: Int(number), labels: [("outcome", outcome)])
        }
    }

    func refused(_ batch: ClaimedBatch) {
        metrics.count("muster_writes_refused_total", "Results that the fence or the end of their job refused")
        log.info(
            "write_refused",
            [("batch", .string(batch.id.description)), ("fence", .integer(batch.fence.value))])
    }

    /// Before anything was refused: the lease is no longer trusted, or a drain has no time left. If the batch is still
    /// this worker's by its fence, another has it at once.
    func abandon(_ batch: ClaimedBatch) async {
        metrics.count(
            "muster_batches_abandoned_total", "Batches given up unfinished: lease not trusted, drain too long")
        log.info("batch_abandoned", [("batch", .string(batch.id.description)), ("fence", .integer(batch.fence.value))])
        renewer.withTable { $0.remove(batch.id) }
        await giveBack(batch)
    }

    func letGo(_ batch: BatchID) async throws {
        renewer.withTable { $0.remove(batch) }
        try await leases.release(worker: id, batches: [batch])
    }

    /// After a failure: makes the batch ready for others at once.
    func giveBack(_ batch: ClaimedBatch) async {
        do {
            await handOn(batch.id, try await store.giveBack([(batch.id, batch.fence)]))
        } catch {
            reportHandOn(batch.id, error)
            // Without a lease the sweep takes it within a second or two, with one only when that has run out.
            await handOn(batch.id, [])
        }
    }

    /// After a failed claim nobody knows whether it was made, and perhaps only this worker cannot reach PostgreSQL. If it
    /// was made, the offer leads to nothing, and the sweep takes the batch back because it has no lease.
    private func handOn(_ batch: BatchID) async { await handOn(batch, [batch]) }

    private func handOn(_ batch: BatchID, _ offered: [BatchID]) async {
        do {
            try await letGo(batch)
            try await leases.offer(offered)
        } catch {
            reportHandOn(batch, error)
        }
    }

    private func reportHandOn(_ batch: BatchID, _ error: any Error) {
        log.warning("give_back_failed", [("batch", .string(batch.description)), ("error", .string("\(error)"))])
    }

    /// Nothing to do: tells the leader that batches were closed, then waits for a wake-up or looks by itself later.
    private func idle() async throws {
        let now = clock.now
        if state.withLock({ $0.closed.foundNothing(now: now) }) { try await leases.wake(.coordinators) }
        // Calls in flight that end make room for a job that had to wait; nobody else tells.
        let hasCalls = state.withLock { !$0.slots.exhausted.isEmpty }
        let timeout = random.jittered(hasCalls ? Limits.exhaustedPoll : Limits.idlePoll)
        _ = try await leases.sleep(.workers, timeout: timeout)
    }

    // MARK: Life

    private func heartbeats() async {
        while !Task.isCancelled {
            do {
                let (isDraining, itemsDone) = state.withLock { ($0.isDraining, $0.itemsDone) }
                try await store.recordHeartbeat(id, draining: isDraining, itemsDone: itemsDone)
                try await clock.sleep(for: random.jittered(Limits.heartbeatInterval))
            } catch {
                await report("heartbeat_failed", error)
            }
        }
    }

    private func farewell() async {
        do {
            let now = clock.now
            if state.withLock({ $0.closed.foundNothing(now: now) }) { try await leases.wake(.coordinators) }
            try await store.remove(id)
            log.info("worker_drained", [("items", .integer(itemsDone))])
        } catch {
            log.warning("farewell_failed", [("error", .string("\(error)"))])
        }
    }

    /// Logs a failure and waits a moment, so that a store that is down is not asked without pause.
    private func report(_ event: String, _ error: any Error) async {
        guard !Task.isCancelled else { return }
        log.warning(event, [("error", .string("\(error)"))])
        await pauseAfterFailure()
    }

    func pauseAfterFailure() async {
        do {
            try await clock.sleep(for: random.jittered(.seconds(1)))
        } catch {
            return  // cancelled: the loop's condition ends it
        }
    }
}
