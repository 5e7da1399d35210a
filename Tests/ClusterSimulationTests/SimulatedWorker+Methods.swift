// Method batches of a simulated worker: the shells of `MethodExecutor` and `AnswerInbox` in events. Every step is decided
// by the product's `MethodBatchRun`.

import ClusterModel
import JSON
import JobModel
import JobStore
import LeaseStore
import RouteStore
import ServiceKit
import Worker

/// One method batch in work.
final class MethodWork {
    let batch: ClaimedBatch
    var run: MethodBatchRun
    var mailbox: [AnswerPart] = []
    /// Set while it waits for an answer; the number tells one wait from the next.
    var isWaiting = false
    var wait = 0
    var step = 0

    init(_ batch: ClaimedBatch, _ run: MethodBatchRun) {
        self.batch = batch
        self.run = run
    }
}

extension SimulatedWorker {
    static let call = MethodCall(
        stored: ["methodName": "m", "payload": .null, "responseTimeoutInSeconds": 3]).unsafelyUnwrapped

    // MARK: Answers

    func receiveAnswers() {
        world.receive(id.text, of: self, timeout: .seconds(5)) { result in
            guard case .success(let messages) = result else {
                return self.after(self.jittered(.milliseconds(500))) { self.receiveAnswers() }
            }
            for case .answer(let part) in messages { self.deliver(part) }
            self.receiveAnswers()
        }
    }

    private func deliver(_ part: AnswerPart) {
        let key = Claim(batch: BatchID(job: part.job, batch: Int32(part.batch)), fence: part.fence)
        guard let work = works[key] else { return }
        work.mailbox.append(part)
        guard work.isWaiting else { return }
        work.isWaiting = false
        after(0) { self.take(work) }
    }

    // MARK: Begin and end

    func begin(_ batch: ClaimedBatch, claimSent: Instant) {
        slots.take(Int(batch.open), for: batch.id.job)
        runs += 1
        world.checker.looked(at: slots, of: self)
        read("list_open_items", { $0.listOpenItems(of: batch) }) { result in
            guard case .success(let items) = result else { return self.failed(batch) }
            guard !batch.fence.isFirst else { return self.begin(batch, items, [], claimSent) }
            self.read("list_dispatches", { $0.listDispatches(before: batch) }) { result in
                guard case .success(let dispatches) = result else { return self.failed(batch) }
                let isAsking = !self.world.isBroken(.takeoverWithoutAsking)
                self.begin(batch, items, isAsking ? dispatches : [], claimSent)
            }
        }
    }

    private func begin(_ batch: ClaimedBatch, _ items: [OpenItem], _ dispatches: [Dispatch], _ claimSent: Instant) {
        let run = MethodBatchRun(
            batch: batch, call: Self.call, replyTo: id.text, items: items, dispatches: dispatches,
            deadline: claimSent + batch.timeLeft, now: now)
        let work = MethodWork(batch, run)
        works[Claim(batch: batch.id, fence: batch.fence.value)] = work
        next(work)
    }

    /// An error leaves open what was done: the batch goes back, and whoever holds it next asks.
    private func failed(_ batch: ClaimedBatch) {
        table.remove(batch.id)
        giveBack(batch) { self.over(batch) }
    }

    private func over(_ batch: ClaimedBatch) {
        works[Claim(batch: batch.id, fence: batch.fence.value)] = nil
        slots.release(Int(batch.open), of: batch.id.job)
        runs -= 1
        endIfDrained()
    }

    private func end(_ batch: ClaimedBatch, _ ending: MethodBatchRun.Ending) {
        let wake = { self.redis("wake", { $0.wake(.coordinators) }) { _ in } }
        switch ending {
        case .closed:
            letGo(batch.id) { _ in
                self.over(batch)
                wake()
            }
        case .unfinished:
            table.remove(batch.id)
            giveBack(batch) {
                self.over(batch)
                wake()
            }
        case .leaseLost:
            letGo(batch.id) { _ in self.over(batch) }
        case .abandoned:
            failed(batch)
        }
    }

    // MARK: Steps

    private func permission(_ batch: ClaimedBatch) -> MethodBatchRun.Permission {
        MethodBatchRun.Permission(
            mayWork: table.mayWork(on: batch.id, now: now), drainingSince: drainingSince,
            drainDuration: world.drainDuration, now: now)
    }

    private func next(_ work: MethodWork) {
        let batch = work.batch
        work.step += 1
        let step = work.run.next(permission(batch), now: now)
        switch step {
        case .record(let results):
            write("record_results", { .success($0.recordResults(results, of: batch, shard: self.shard)) }) {
                self.proceed(work, $0) { execution in
                    if case .recorded(_, _, let open, _) = execution {
                        work.run.recorded(open: open)
                    } else {
                        work.run.recorded(open: nil)
                    }
                }
            }
        case .find(let items):
            redis("find_routes", { $0.findRoutes(items.map(\.deviceID)) }) {
                self.proceed(work, $0) { found in
                    work.run.found(found.routes, redisMilliseconds: found.milliseconds, now: self.now)
                }
            }
        case .dispatch(let parts, let sendBefore, let response):
            write(
                "insert_dispatches", work: .seconds(1),
                {
                    .success(
                        $0.insertDispatches(
                            parts, of: batch, sendBefore: sendBefore, responseMilliseconds: response.milliseconds))
                }
            ) { self.proceed(work, $0) { work.run.dispatched(to: $0, now: self.now) } }
        case .push(let part, let gateway):
            push(work, part, gateway)
        case .park(let seqs):
            write("park_items", { .success($0.parkItems(seqs, of: batch)) }) {
                self.proceed(work, $0) { work.run.parked(open: $0) }
            }
        case .settle:
            write("settle_dispatches", { .success($0.settleDispatches(of: batch)) }) { self.proceed(work, $0) {} }
        case .wait(let moment):
            wait(work, moment)
        case .end(let ending):
            end(batch, ending)
        case .findParked, .unpark, .listGateways, .inquire, .release:
            ask(work, step)
        }
    }

    private func ask(_ work: MethodWork, _ step: MethodBatchRun.Step) {
        switch step {
        case .findParked(let devices):
            redis("find_routes", { $0.findRoutes(devices) }) {
                self.proceed(work, $0) { work.run.foundParked($0.routes) }
            }
        case .unpark(let devices):
            write("unpark_devices", { .success($0.unparkDevices(devices, batchSize: Limits.batchItems)) }) { result in
                guard case .success(let batches) = result else { return self.failed(work.batch) }
                self.redis("offer_batches", { $0.offerBatches(batches) }) {
                    self.proceed(work, $0) { _ in work.run.unparked() }
                }
            }
        case .listGateways:
            read("list_gateways", { $0.listGateways() }) {
                self.proceed(work, $0) { _ = work.run.listed(gateways: $0, now: self.now) }
            }
        case .inquire(let inquiry, let gateway):
            redis("push_message", { $0.pushMessage(.inquiry(inquiry), to: gateway.text) }) {
                self.proceed(work, $0) { _ in }
            }
        case .release(let settlement, let gateway):
            redis("push_message", { $0.pushMessage(.settlement(settlement), to: gateway.text) }) { _ in
                self.next(work)
            }
        case .record, .find, .dispatch, .push, .park, .settle, .wait, .end:
            return
        }
    }

    private func push(_ work: MethodWork, _ part: CallPart, _ gateway: GatewayID) {
        redis("push_part", { $0.pushPart(part, to: gateway, batch: work.batch.id, worker: self.id) }) { result in
            if case .failure = result, self.world.isBroken(.openPushRepeated) {
                work.run.pushed(.late, now: self.now)
                return self.next(work)
            }
            self.proceed(work, result) { work.run.pushed($0, now: self.now) }
        }
    }

    private func proceed<T>(_ work: MethodWork, _ result: Result<T, StoreError>, _ then: (T) -> Void) {
        switch result {
        case .success(let value):
            then(value)
            next(work)
        case .failure:
            failed(work.batch)
        }
    }

    private func wait(_ work: MethodWork, _ moment: Instant) {
        guard work.mailbox.isEmpty else { return take(work) }
        work.isWaiting = true
        work.wait += 1
        let wait = work.wait
        until(moment) {
            guard work.isWaiting, work.wait == wait else { return }
            work.isWaiting = false
            self.take(work)
        }
    }

    private func take(_ work: MethodWork) {
        let parts = work.mailbox
        work.mailbox = []
        for part in parts { work.run.answered(part, now: now) }
        next(work)
    }
}
