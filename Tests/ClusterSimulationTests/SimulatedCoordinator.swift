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
    private var gatewayJudge = GatewayJudge()
    private var candidate = ""
    private var busy: Set<Int64> = []
    private var offered: Set<BatchID> = []

    var leadership: Leadership? { hold.leadership(now: now) }

    override func begin() {
        (hold, judge, gatewayJudge, busy) = (LeadershipHold(), SweepJudge(), GatewayJudge(), [])
        candidate = "\(name)#\(life)"
        elect()
        after(Limits.sweepInterval) { self.sweep() }
        after(Limits.sweepInterval) { self.sweepGateways() }
        after(Limits.deviceSweepInterval) { self.sweepDevices() }
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

    /// SIGTERM: another takes over at once.
    func drain() {
        guard isAlive, let held = hold.resigned() else { return }
        write("resign_leadership", { .success($0.resignLeadership(held)) }) { _ in
            self.crash()
            self.world.restart(self)
        }
    }

    // MARK: Sweep

    private func sweep() {
        let next = { self.after(Limits.sweepInterval) { self.sweep() } }
        guard leadership != nil else { return next() }
        // A new name each time: content that is lost twice must not get the same one again.
        let name = "\(candidate)-\(world.random.next())"
        redis("identify", { $0.identify(candidate: name) }) { result in
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

    // MARK: Devices

    private func sweepDevices() {
        let next = { self.after(self.jittered(Limits.deviceSweepInterval, spread: 0.1)) { self.sweepDevices() } }
        guard leadership != nil else { return next() }
        read("list_waiting", { $0.listWaiting() }) { result in
            guard case .success(let devices) = result, !devices.isEmpty else { return next() }
            self.unpark(devices, next)
        }
    }

    private func sweepGateways() {
        let next = { self.after(Limits.sweepInterval) { self.sweepGateways() } }
        guard leadership != nil else {
            gatewayJudge = GatewayJudge()
            return next()
        }
        read("list_gateways", { $0.listGatewayBeats() }) { result in
            guard case .success(let beats) = result else { return next() }
            let silent = self.gatewayJudge.silent(beats, now: self.now)
            guard !silent.isEmpty else { return next() }
            self.write("remove_silent_gateways", { .success($0.removeSilentGateways(silent)) }) { _ in next() }
        }
    }

    private func unpark(_ devices: [String], _ next: @escaping () -> Void) {
        redis("find_routes", { $0.findRoutes(devices) }) { result in
            guard case .success(let found) = result else { return next() }
            let connected = zip(devices, found.routes).filter { $0.1 != nil }.map(\.0)
            guard !connected.isEmpty else { return next() }
            self.write("unpark_devices", { .success($0.unparkDevices(connected, batchSize: Limits.batchItems)) }) {
                guard case .success(let batches) = $0, !batches.isEmpty else { return next() }
                self.redis("offer_batches", { $0.offerBatches(batches) }) { _ in next() }
            }
        }
    }

    // MARK: Rounds

    private func round() {
        guard let leadership else { return wait() }
        world.checker.round(of: self)
        let failed = { self.after(self.jittered(Limits.sweepInterval)) { self.round() } }
        write("start_jobs", { .success($0.startJobs(limit: self.world.runningJobs)) }) { result in
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
            self.write("finish_job", { postgres in .success(jobs.count { postgres.finishJob($0) != nil }) }) { result in
                guard case .success(let finished) = result else { return failed() }
                if finished > 0 { self.round() } else { self.wait() }
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
    private func ended(_ job: Int64, failed: Bool = false, isChanged: Bool = true) {
        if failed { return after(jittered(Limits.sweepInterval)) { self.busy.remove(job) } }
        busy.remove(job)
        guard isChanged || world.isBroken(.endWithoutPause) else { return }
        redis("wake", { $0.wake(.coordinators) }) { _ in }
    }

    // MARK: Ender

    private func end(_ job: Int64, _ isCancelled: Bool, _ leadership: Leadership) {
        redis("forget_job", { $0.forgetJob(job) }) { result in
            guard case .success(let forgotten) = result else { return self.ended(job, failed: true) }
            self.endBatches(job, isCancelled, leadership, 0, forgotten)
        }
    }

    private func endBatches(
        _ job: Int64, _ isCancelled: Bool, _ leadership: Leadership, _ done: Int64, _ forgotten: Int
    ) {
        guard self.leadership == leadership else { return ended(job) }
        write("end_batches", { .success($0.endBatches(job: job, limit: 2, isCancelled: isCancelled)) }) { result in
            guard case .success(let chunk) = result else { return self.ended(job, failed: true) }
            if chunk.batches > 0 {
                self.endBatches(job, isCancelled, leadership, done + chunk.batches, forgotten)
            } else if forgotten > 0, isCancelled {
                self.offerAgain(job, leadership, done)
            } else {
                self.endWaiting(job, isCancelled, leadership, done)
            }
        }
    }

    /// Batches with calls that somebody must ask for.
    private func offerAgain(_ job: Int64, _ leadership: Leadership, _ done: Int64) {
        read("list_ready_batches", { $0.listReadyBatches().filter { $0.job == job } }) { result in
            guard case .success(let batches) = result else { return self.ended(job, failed: true) }
            self.redis("offer_batches", { $0.offerBatches(batches) }) { result in
                guard case .success = result else { return self.ended(job, failed: true) }
                self.endWaiting(job, true, leadership, done)
            }
        }
    }

    private func endWaiting(_ job: Int64, _ isCancelled: Bool, _ leadership: Leadership, _ done: Int64) {
        guard self.leadership == leadership else { return ended(job) }
        write("end_waiting", { .success($0.endWaiting(job: job, limit: 3, isCancelled: isCancelled)) }) { result in
            guard case .success(let count) = result else { return self.ended(job, failed: true) }
            if count > 0 {
                self.endWaiting(job, isCancelled, leadership, done + count)
            } else {
                self.ended(job, isChanged: done > 0)
            }
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
