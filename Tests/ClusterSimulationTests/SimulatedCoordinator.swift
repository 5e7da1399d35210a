// A coordinator of the simulation: the shells of `Elector`, `Sweeper`, `Expander`, `Ender` and `Coordinator` in events.
// What it decides is the product's: `LeadershipHold` for trust in its leadership, `SweepJudge` for when to reclaim.

import ClusterModel
import Coordinator
import JobModel
import JobStore
import LeaseStore
import ServiceKit

final class SimulatedCoordinator: Process {
    private var hold = LeadershipHold()
    private var judge = SweepJudge()
    private var candidate = ""
    private var busy: Set<Int64> = []
    private var offered: Set<BatchID> = []

    var leadership: Leadership? { hold.leadership(now: now) }

    override func begin() {
        (hold, judge, busy) = (LeadershipHold(), SweepJudge(), [])
        candidate = "\(name)#\(life)"
        elect()
        after(Limits.sweepInterval) { self.sweep() }
        round()
    }

    // MARK: Elector

    private func elect() {
        let (sent, holder) = (now, candidate)
        write(
            "acquire_leadership",
            {
                .success(
                    $0.acquireLeadership(
                        role: Elector.role, holder: holder, milliseconds: Limits.leadershipDuration.milliseconds))
            }
        ) { result in
            if case .success(let acquired) = result { _ = self.hold.answered(acquired, sent: sent) }
            self.after(self.jittered(Limits.leadershipRenewalInterval, spread: 0.1)) { self.elect() }
        }
    }

    // MARK: Sweep

    private func sweep() {
        let next = { self.after(Limits.sweepInterval) { self.sweep() } }
        guard leadership != nil else { return next() }
        redis("identify", { $0.identify(candidate: self.candidate) }) { result in
            guard case .success(let incarnation) = result else { return next() }
            let verdict = self.judge.judge(incarnation, now: self.now)
            let reclaim = {
                if verdict.mayReclaim, !self.world.isBroken(.sweepWithoutReclaim) { self.reclaim(next) } else { next() }
            }
            if verdict.shouldReoffer { self.reoffer(reclaim, next) } else { reclaim() }
        }
    }

    private func reoffer(_ then: @escaping () -> Void, _ failed: @escaping () -> Void) {
        read("list_ready_batches", { $0.listReadyBatches() }) { result in
            guard case .success(var ready) = result else { return failed() }
            if self.world.isBroken(.offerOnlyOnce) { ready = [] }
            self.redis("offer_batches", { $0.offerBatches(ready) }) { result in
                guard case .success = result else { return failed() }
                self.redis("prune_leases", { $0.pruneLeases() }) { result in
                    if case .success = result { then() } else { failed() }
                }
            }
        }
    }

    private func reclaim(_ next: @escaping () -> Void) {
        read("list_claimed_batches", { $0.listClaimedBatches() }) { result in
            guard case .success(let claimed) = result, !claimed.isEmpty else { return next() }
            self.redis("find_unleased", { $0.findUnleased(claimed.map(\.id)) }) { result in
                guard case .success(let unleased) = result, !unleased.isEmpty else { return next() }
                let lost = claimed.filter { unleased.contains($0.id) }.map { ($0.id, $0.fence) }
                self.write("return_batches", { .success($0.returnBatches(lost)) }) { result in
                    guard case .success(let returned) = result, !returned.isEmpty else { return next() }
                    self.redis("offer_batches", { $0.offerBatches(returned) }) { _ in next() }
                }
            }
        }
    }

    // MARK: Rounds

    private func round() {
        guard let leadership else { return wait() }
        let failed = { self.after(self.jittered(Limits.sweepInterval)) { self.round() } }
        write("start_jobs", { .success($0.startJobs(limit: Limits.runningJobs)) }) { result in
            guard case .success = result else { return failed() }
            self.write("queue_jobs", { .success($0.queueJobs()) }) { result in
                guard case .success = result else { return failed() }
                self.write("expire_jobs", { .success($0.expireJobs()) }) { result in
                    guard case .success = result else { return failed() }
                    self.list(leadership, failed)
                }
            }
        }
    }

    private func list(_ leadership: Leadership, _ failed: @escaping () -> Void) {
        read("list_ending_jobs", { $0.listEndingJobs() }) { result in
            guard case .success(let ending) = result else { return failed() }
            for (job, isCancelled) in ending where self.busy.insert(job).inserted {
                self.end(job, isCancelled, leadership)
            }
            self.read("list_expanding_jobs", { $0.listExpandingJobs() }) { result in
                guard case .success(let expanding) = result else { return failed() }
                for job in expanding where self.busy.insert(job).inserted { self.expand(job, leadership) }
                self.finish(failed)
            }
        }
    }

    private func finish(_ failed: @escaping () -> Void) {
        read("list_finishable_jobs", { $0.listFinishableJobs() }) { result in
            guard case .success(let jobs) = result else { return failed() }
            guard !jobs.isEmpty else { return self.wait() }
            // One statement a job; together here, because nothing happens between them.
            self.write("finish_job", { postgres in .success(jobs.forEach { postgres.finishJob($0) }) }) { result in
                if case .success = result { self.wait() } else { failed() }
            }
        }
    }

    private func wait() {
        guard leadership != nil else { return after(Limits.sweepInterval) { self.round() } }
        read("read_next_start", { $0.readNextStart() }) { result in
            guard case .success(let next) = result else { return self.after(.seconds(1)) { self.round() } }
            var timeout = self.jittered(Limits.idlePoll)
            if let next { timeout = min(timeout, max(next, 5) * 1000) }
            self.world.sleep(.coordinators, of: self, timeout: timeout) { result in
                if case .failure = result { return self.after(.seconds(1)) { self.round() } }
                self.round()
            }
        }
    }

    /// The end of a long work calls for the next round.
    private func ended(_ job: Int64, failed: Bool = false) {
        if failed { return after(jittered(Limits.sweepInterval)) { self.busy.remove(job) } }
        busy.remove(job)
        redis("wake", { $0.wake(.coordinators) }) { _ in }
    }

    // MARK: Ender

    private func end(_ job: Int64, _ isCancelled: Bool, _ leadership: Leadership) {
        redis("forget_job", { $0.forgetJob(job) }) { result in
            guard case .success = result else { return self.ended(job, failed: true) }
            self.endBatches(job, isCancelled, leadership)
        }
    }

    private func endBatches(_ job: Int64, _ isCancelled: Bool, _ leadership: Leadership) {
        guard self.leadership == leadership else { return ended(job) }
        write("end_batches", { .success($0.endBatches(job: job, limit: 2, isCancelled: isCancelled)) }) { result in
            guard case .success(let chunk) = result else { return self.ended(job, failed: true) }
            if chunk.batches > 0 { self.endBatches(job, isCancelled, leadership) } else { self.ended(job) }
        }
    }

    // MARK: Expander

    private func expand(_ job: Int64, _ leadership: Leadership, interruptions: Int = 0) {
        read("read_expansion", { $0.readExpansion(of: job) }) { result in
            guard case .success(let state?) = result else { return self.ended(job, failed: true) }
            guard state.isRunning else { return self.ended(job) }
            self.write(job, state, leadership, interruptions)
        }
    }

    private func write(
        _ job: Int64, _ state: PostgresModel.Expansion, _ leadership: Leadership, _ interruptions: Int
    ) {
        let interrupted = {
            guard interruptions < 5 else { return self.ended(job, failed: true) }
            self.read("check_term", { $0.checkTerm(leadership) }) { result in
                guard case .success(true) = result else { return self.ended(job, failed: true) }
                self.after(self.jittered(.milliseconds(50))) {
                    self.expand(job, leadership, interruptions: interruptions + 1)
                }
            }
        }
        read("select_devices", { $0.selectDevices(of: job, after: state.lastDevice) }) { result in
            guard case .success(let devices) = result else { return interrupted() }
            guard !devices.isEmpty else { return self.complete(job, state, interrupted) }
            let part = Array(devices.prefix(self.world.chunkSize))
            self.write(
                "insert_listed_chunk",
                { postgres in
                    Result { () throws(StoreError) in
                        try postgres.insertListedChunk(
                            job: job, epoch: state.epoch, chunk: state.nextChunk, term: leadership.term, devices: part,
                            firstSeq: state.items, firstBatch: state.batches, batchSize: self.world.batchSize)
                    }
                }
            ) { result in
                var following = state
                following.nextChunk += 1
                following.lastDevice = part.last
                switch result {
                case .success(nil):
                    self.ended(job)
                case .success(let batches?):
                    following.items += Int64(part.count)
                    following.batches += Int64(batches.count)
                    // A Redis that cannot be reached does not stop the expansion: the sweep offers again.
                    self.redis("offer_batches", { $0.offerBatches(batches) }) { _ in
                        self.write(job, following, leadership, interruptions)
                    }
                case .failure(let error):
                    let isAssumed = error.effect == .unknown && self.world.isBroken(.chunkTakenForWritten)
                    guard isAssumed else { return interrupted() }
                    self.complete(job, state, interrupted)
                }
            }
        }
    }

    private func complete(_ job: Int64, _ state: PostgresModel.Expansion, _ interrupted: @escaping () -> Void) {
        write("complete_expansion", { .success($0.completeExpansion(of: job, epoch: state.epoch)) }) { result in
            if case .success = result { self.ended(job) } else { interrupted() }
        }
    }
}
