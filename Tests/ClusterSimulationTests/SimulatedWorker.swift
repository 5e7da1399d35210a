// A worker of the simulation: the shell of `Worker` in events instead of tasks. What it decides is the product's:
// `LeaseTable` for trust in leases, `TwinBatchRun` for twin batches.

import ClusterModel
import JobModel
import JobStore
import LeaseStore
import ServiceKit
import Worker

final class SimulatedWorker: Process {
    private(set) var id = WorkerID("")
    var table = LeaseTable()
    private var lanes: [Int64: Int] = [:]
    private var closed = ClosedJobs()
    private(set) var shard: Int64 = 0
    /// Method batches, which run beside the lanes.
    var works: [Claim: MethodWork] = [:]
    var slots = CallSlots()

    /// Method batches that are not given back yet.
    var runs = 0
    private(set) var drainingSince: Instant?
    private var openLanes = 0

    struct Claim: Hashable {
        let batch: BatchID
        let fence: Int64
    }

    override func begin() {
        id = WorkerID("\(name)#\(life)")
        shard = id.counterShard
        (table, lanes, closed) = (LeaseTable(), [:], ClosedJobs())
        (works, slots, runs) = ([:], CallSlots(limit: world.callLimit), 0)
        (drainingSince, openLanes) = (nil, Limits.concurrentBatches)
        receiveAnswers()
        after(Limits.leaseRenewalInterval) { self.renew() }
        for _ in 0..<Limits.concurrentBatches { lane() }
    }

    // MARK: Leases

    private func renew() {
        let next = { self.after(Limits.leaseRenewalInterval) { self.renew() } }
        let batches = table.batches
        guard !batches.isEmpty else { return next() }
        let (sent, clock) = (now, wallClock)
        redis("renew_leases", { $0.renewLeases(worker: self.id, batches: batches, workersClock: clock) }) { result in
            guard case .success(let answer) = result else { return next() }
            let renewed = batches.filter { !answer.lost.contains($0) }
            switch self.table.renewed(renewed, lost: answer.lost, incarnation: answer.incarnation, sent: sent) {
            case .renewed: next()
            case .redisChanged(let incarnation): self.recreate(incarnation, next)
            }
        }
    }

    private func recreate(_ incarnation: RedisIncarnation, _ next: @escaping () -> Void) {
        let (asked, sent) = (table.claimed, now)
        read("list_held_batches", { $0.listHeldBatches(asked) }) { result in
            guard case .success(let held) = result else { return next() }
            self.redis("recreate_leases", { $0.recreateLeases(worker: self.id, batches: held) }) { result in
                guard case .success(let refused) = result else { return next() }
                let kept = held.filter { !refused.contains($0) }
                self.table.recreated(kept, of: asked.map(\.id), incarnation: incarnation, sent: sent)
                next()
            }
        }
    }

    // MARK: Drain

    /// SIGTERM: nothing new is begun, what is in flight is waited for, the rest goes back.
    func drain() {
        guard isAlive, drainingSince == nil else { return }
        world.note("\(name) drains")
        drainingSince = now
    }

    func endIfDrained() {
        guard drainingSince != nil, openLanes == 0, runs == 0 || world.isBroken(.drainKeepsBatches) else { return }
        let worker = id.text
        crash()
        world.checker.drained(worker)
        world.restart(self)
    }

    // MARK: Lanes

    private func lane() {
        if drainingSince != nil {
            openLanes -= 1
            return endIfDrained()
        }
        let passing = lanes.filter { $0.value * 2 >= Limits.concurrentBatches }.map(\.key)
        let (sent, clock, exhausted) = (now, wallClock, slots.exhausted)
        redis(
            "take_batches",
            { $0.takeBatches(worker: self.id, count: 1, passing: passing, excluding: exhausted, workersClock: clock) }
        ) { result in
            switch result {
            case .failure:
                self.after(self.jittered(.seconds(1))) { self.lane() }
            case .success(let taken):
                guard let batch = taken.batches.first else { return self.idle() }
                self.table.took([batch], from: taken.incarnation, sent: sent)
                self.lanes[batch.job, default: 0] += 1
                if self.closed.took(from: batch.job, now: self.now) {
                    self.redis("wake", { $0.wake(.coordinators) }) { _ in self.claim(batch) }
                } else {
                    self.claim(batch)
                }
            }
        }
    }

    /// The lane is free again; after a failure it waits a moment.
    private func done(_ batch: BatchID, failed: Bool = false) {
        let left = (lanes[batch.job] ?? 1) - 1
        lanes[batch.job] = left > 0 ? left : nil
        guard failed else { return lane() }
        table.remove(batch)
        after(jittered(.seconds(1))) { self.lane() }
    }

    /// Calls in flight that end make room for a job that had to wait.
    private var idleTime: Int64 { jittered(slots.exhausted.isEmpty ? Limits.idlePoll : world.exhaustedPoll) }

    private func idle() {
        let rest = {
            self.world.sleep(.workers, of: self, timeout: self.idleTime) { result in
                if case .failure = result { return self.after(self.jittered(.seconds(1))) { self.lane() } }
                self.lane()
            }
        }
        guard closed.foundNothing(now: now) else { return rest() }
        redis("wake", { $0.wake(.coordinators) }) { _ in rest() }
    }

    private func claim(_ id: BatchID) {
        let sent = now
        write("claim_batches", { .success($0.claimBatches([id], worker: self.id)) }) { result in
            switch result {
            case .failure:
                self.handOn(id, [id]) { self.done(id, failed: true) }
            case .success(let claimed):
                guard let batch = claimed.first else { return self.letGo(id) { self.done(id, failed: $0) } }
                self.table.claimed(id, fence: batch.fence)
                // What a job does is read once and remembered.
                if self.world.postgres.jobs[Int(id.job) - 1].row.type == .deviceMethod {
                    self.begin(batch, claimSent: sent)
                    self.done(id)
                } else {
                    self.patch(batch, TwinBatchRun(batch))
                }
            }
        }
    }

    /// `then` hears whether it failed.
    func letGo(_ batch: BatchID, _ then: @escaping (Bool) -> Void) {
        table.remove(batch)
        redis("release_leases", { $0.releaseLeases(worker: self.id, batches: [batch]) }) { result in
            if case .failure = result { then(true) } else { then(false) }
        }
    }

    /// After a failure: makes the batch ready for others at once. If that fails, the sweep does it, as it has no lease.
    func giveBack(_ batch: ClaimedBatch, _ then: @escaping () -> Void) {
        write("return_batches", { .success($0.returnBatches([(batch.id, batch.fence)])) }) { result in
            if case .success(let returned) = result {
                self.handOn(batch.id, returned, then)
            } else {
                self.handOn(batch.id, [], then)
            }
        }
    }

    private func handOn(_ batch: BatchID, _ offered: [BatchID], _ then: @escaping () -> Void) {
        letGo(batch) { isFailed in
            guard !isFailed, !offered.isEmpty else { return then() }
            self.redis("offer_batches", { $0.offerBatches(offered) }) { _ in then() }
        }
    }

    // MARK: Twin batches

    private func patch(_ batch: ClaimedBatch, _ run: TwinBatchRun) {
        do {
            switch try run.next(mayWork: table.mayWork(on: batch.id, now: now)) {
            case .patch(let seqs):
                if world.isBroken(.patchInTwoCommits) {
                    write("patch_twins", { .success($0.patchTwinsOnly(batch, seqs: seqs)) }) { result in
                        guard case .success = result else { return self.giveBack(batch) { self.done(batch.id) } }
                        self.patch(batch, seqs, run)
                    }
                } else {
                    patch(batch, seqs, run)
                }
            case .fail(let seqs, _):
                write(
                    "fail_batch_items",
                    { .success($0.failBatchItems(batch, seqs: seqs, code: .argumentInvalid, shard: self.shard)) }
                ) { self.patched(batch, run, $0) }
            case .end(let ending):
                if case .closed = ending { closed.add(batch.id.job) }
                if case .abandoned = ending {
                    table.remove(batch.id)
                    giveBack(batch) { self.done(batch.id, failed: false) }
                } else {
                    letGo(batch.id) { self.done(batch.id, failed: $0) }
                }
            }
        } catch {
            giveBack(batch) { self.done(batch.id, failed: true) }
        }
    }

    private func patch(_ batch: ClaimedBatch, _ seqs: ClosedRange<Int64>, _ run: TwinBatchRun) {
        write(
            "patch_batch", work: .seconds(3),
            { postgres in
                Result { () throws(StoreError) in try postgres.patchBatch(batch, seqs: seqs, shard: self.shard) }
            }
        ) { self.patched(batch, run, $0) }
    }

    private func patched(_ batch: ClaimedBatch, _ run: TwinBatchRun, _ result: Result<JobStore.Execution, StoreError>) {
        var run = run
        switch result {
        case .success(let execution):
            run.recorded(execution)
            patch(batch, run)
        case .failure(let error):
            do {
                let waits = try run.failed(error)
                let next = run
                after(waits ? jittered(.milliseconds(50)) : 0) { self.patch(batch, next) }
            } catch {
                giveBack(batch) { self.done(batch.id, failed: true) }
            }
        }
    }
}
