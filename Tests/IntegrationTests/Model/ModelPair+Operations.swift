// The operations that a sequence is made of.

import ClusterModel
import JSON
import JobModel
import JobStore
import ServiceKit

extension ModelPair {
    /// A random one.
    func step() async throws {
        let job = jobs[below(jobs.count)]
        switch below(37) {
        case 34, 35, 36: try await takeOver(job)
        case 0, 1, 2, 3: try await expand(job, isStale: below(4) == 0)
        case 4: try await complete(job)
        case 5, 6, 7, 8, 9: try await claim(job)
        case 10, 11, 12: try await patch(job)
        case 13: try await fail(job)
        case 14: try await giveBack(some(claims).map { ($0.id, $0.fence) })
        case 15: try await lists()
        case 16, 17, 18: try await dispatch(job)
        case 19, 20, 21: try await record(job)
        case 22, 23: try await park(job)
        case 24, 25: try await unpark()
        case 26: try await look(job)
        case 27: try await settle(job)
        case 28 where below(4) == 0: try await cancel(job)
        case 29 where below(4) == 0: try await expire()
        case 30: try await endBatches(job, isCancelled: model.jobs[Int(job) - 1].row.state == .cancelling)
        case 31: try await endWaiting(job, isCancelled: model.jobs[Int(job) - 1].row.state == .cancelling)
        case 32: try await finish(job)
        case 33 where below(8) == 0: try await loseGateway()
        default: try await claim(job)
        }
    }

    // MARK: Expansion

    func expand(_ job: Int64, isStale: Bool) async throws {
        guard let leadership, let real = try await store.expansion(of: job), let state = model.readExpansion(of: job)
        else { return }
        expansions.append((job, real, state))
        let earlier = expansions.filter { $0.job == job }
        let (_, from, known) = isStale ? earlier[below(earlier.count)] : (job, real, state)
        let devices = Array(model.selectDevices(of: job, after: known.lastDevice).prefix(2 + below(4)))
        guard !devices.isEmpty else { return }
        _ = try await compare(
            "insert_listed_chunk", "\(job), \(known.nextChunk), \(devices.count)",
            real: { () throws(StoreError) in
                try await store.writeChunk(
                    job: job, slot: real.slot ?? 0, state: from, devices: devices, batchSize: 3, leadership: leadership
                )?.batches
            },
            model: { () throws(StoreError) in
                try model.insertListedChunk(
                    job: job, epoch: known.epoch, chunk: known.nextChunk, term: leadership.term, devices: devices,
                    firstSeq: known.items, firstBatch: known.batches, batchSize: 3)
            }, isEffect: { $0 != nil })
    }

    func complete(_ job: Int64) async throws {
        guard let state = model.readExpansion(of: job), model.selectDevices(of: job, after: state.lastDevice).isEmpty
        else { return }
        _ = try await compare(
            "complete_expansion", "\(job)",
            real: { () throws(StoreError) in
                try await store.completeExpansion(job: job, epoch: state.epoch, actor: "test", detail: [:])
            }, model: { () throws(StoreError) in model.completeExpansion(of: job, epoch: state.epoch) },
            isEffect: { $0 })
    }

    // MARK: Batches

    private struct Claim: Hashable {
        let id: BatchID
        let fence: Fence
        let range: ClosedRange<Int64>
        let open: Int64

        init(_ batch: ClaimedBatch) {
            (id, fence, open) = (batch.id, batch.fence, batch.open)
            range = batch.firstSeq...batch.lastSeq
        }
    }

    func claim(_ job: Int64) async throws {
        let ids = some(model.jobs[Int(job) - 1].batches.map { BatchID(job: job, batch: $0.batch) })
        let worker = WorkerID("w\(below(3))")
        var real: [ClaimedBatch] = []
        _ = try await compare(
            "claim_batches", "\(ids)",
            real: { () throws(StoreError) in
                real = try await store.claim(ids, worker: worker)
                return Set(real.map { Claim($0) })
            }, model: { () throws(StoreError) in Set(model.claimBatches(ids, worker: worker).map { Claim($0) }) },
            isEffect: { !$0.isEmpty })
        claims += real
    }

    /// The latest claim goes back, and everything is claimed anew.
    private func takeOver(_ job: Int64) async throws {
        guard let last = claims.last(where: { $0.id.job == job }) else { return }
        if below(2) == 0 { try await dispatch(job) }
        try await giveBack([(last.id, last.fence)])
        try await claim(job)
        try await look(job)
        // The zombie goes on.
        try await patch(job, by: last)
        try await record(job, by: last)
        try await park(job, by: last)
    }

    /// One of the sequence's claims of that job; the latest more often than not.
    private func claim(of job: Int64) -> ClaimedBatch? {
        let own = claims.filter { $0.id.job == job }
        guard !own.isEmpty else { return nil }
        return below(3) == 0 ? own[below(own.count)] : own.last
    }

    private func counts(_ execution: JobStore.Execution) -> [Int64]? {
        guard case .recorded(let succeeded, let failed, let open, _) = execution else { return nil }
        return [succeeded, failed, open]
    }

    private func part(_ batch: ClaimedBatch) -> ClosedRange<Int64> {
        let bounds = [Int64](batch.firstSeq...batch.lastSeq)
        let first = bounds[below(bounds.count)]
        return below(2) == 0 ? batch.firstSeq...batch.lastSeq : first...batch.lastSeq
    }

    func patch(_ job: Int64, by holder: ClaimedBatch? = nil) async throws {
        guard let batch = holder ?? claim(of: job), model.jobs[Int(job) - 1].row.type == .updateTwin else { return }
        let seqs = part(batch)
        _ = try await compare(
            "patch_batch", "\(batch.id), \(batch.fence.value), \(seqs)",
            real: { () throws(StoreError) in
                counts(try await store.patch(batch, seqs: seqs, with: Self.patch, shard: 3))
            }, model: { () throws(StoreError) in counts(try model.patchBatch(batch, seqs: seqs, shard: 3)) },
            isEffect: { $0 != nil })
    }

    func fail(_ job: Int64) async throws {
        guard let batch = claim(of: job) else { return }
        let seqs = part(batch)
        _ = try await compare(
            "fail_batch_items", "\(batch.id), \(batch.fence.value), \(seqs)",
            real: { () throws(StoreError) in
                counts(try await store.fail(batch, seqs: seqs, code: .argumentInvalid, text: "t", shard: 4))
            },
            model: { () throws(StoreError) in
                counts(model.failBatchItems(batch, seqs: seqs, code: .argumentInvalid, shard: 4))
            }, isEffect: { $0 != nil })
    }

    func giveBack(_ batches: [(id: BatchID, fence: Fence)]) async throws {
        let held = try await compare(
            "list_held_batches", "\(batches.map(\.id))",
            real: { () throws(StoreError) in Set(try await store.held(batches)) },
            model: { () throws(StoreError) in Set(model.listHeldBatches(batches)) }, isEffect: { !$0.isEmpty })
        _ = held
        _ = try await compare(
            "return_batches", "\(batches.map(\.id))",
            real: { () throws(StoreError) in Set(try await store.giveBack(batches)) },
            model: { () throws(StoreError) in Set(model.returnBatches(batches)) }, isEffect: { !$0.isEmpty })
    }

    func lists() async throws {
        _ = try await compare(
            "list_claimed_batches", "",
            real: { () throws(StoreError) in
                try await store.claimedBatches(after: nil, limit: 1000).map {
                    "\($0.id) \($0.fence.value) \($0.worker ?? "")"
                }
            },
            model: { () throws(StoreError) in
                model.listClaimedBatches().map { "\($0.id) \($0.fence.value) \($0.worker ?? "")" }
            }, isEffect: { !$0.isEmpty })
        _ = try await compare(
            "list_ready_batches", "",
            real: { () throws(StoreError) in try await store.readyBatches(after: nil, limit: 1000) },
            model: { () throws(StoreError) in model.listReadyBatches() }, isEffect: { !$0.isEmpty })
        _ = try await compare(
            "list_jobs", "",
            real: { () throws(StoreError) in
                [
                    try await store.endingJobs().map { "\($0.job) \($0.isCancelled)" }.joined(separator: " "),
                    "\(try await store.expandingJobs(limit: 1000).map(\.job))", "\(try await store.finishableJobs())",
                    "\(try await store.nextClockEvent() != nil)",
                ]
            },
            model: { () throws(StoreError) in
                [
                    model.listEndingJobs().map { "\($0.job) \($0.isCancelled)" }.joined(separator: " "),
                    "\(model.listExpandingJobs())", "\(model.listFinishableJobs())", "\(model.readNextStart() != nil)",
                ]
            }, isEffect: { _ in true })
    }

    // MARK: Methods

    func dispatch(_ job: Int64) async throws {
        guard let batch = claim(of: job), model.jobs[Int(job) - 1].row.type == .deviceMethod else { return }
        let parts = (Self.gateways + ["g9"]).shuffledBy(random).prefix(1 + below(2)).map { gateway in
            JobStore.DispatchPart(
                gateway: gateway, incarnation: "1", seqs: some([Int64](batch.firstSeq...batch.lastSeq)))
        }
        _ = try await compare(
            "insert_dispatches", "\(batch.id), \(batch.fence.value)",
            real: { () throws(StoreError) in
                try await store.dispatch(parts, of: batch, sendBefore: 77, response: .seconds(5))
            },
            model: { () throws(StoreError) in
                model.insertDispatches(parts, of: batch, sendBefore: 77, responseMilliseconds: 5000)
            }, isEffect: { $0?.isEmpty == false })
    }

    func record(_ job: Int64, by holder: ClaimedBatch? = nil) async throws {
        guard let batch = holder ?? claim(of: job), model.jobs[Int(job) - 1].row.type == .deviceMethod else { return }
        let results = some([Int64](batch.firstSeq...batch.lastSeq)).map { seq in
            below(2) == 0
                ? ItemResult(seq: seq, response: #"{"status":200,"payload":null}"#)
                : ItemResult(seq: seq, error: .gatewayTimeout, text: "t")
        }
        guard !results.isEmpty else { return }
        _ = try await compare(
            "record_results", "\(batch.id), \(batch.fence.value), \(results.map(\.seq))",
            real: { () throws(StoreError) in counts(try await store.record(results, of: batch, shard: 5)) },
            model: { () throws(StoreError) in counts(model.recordResults(results, of: batch, shard: 5)) },
            isEffect: { $0 != nil })
    }

    func park(_ job: Int64, by holder: ClaimedBatch? = nil) async throws {
        guard let batch = holder ?? claim(of: job), model.jobs[Int(job) - 1].row.type == .deviceMethod else { return }
        let seqs = some([Int64](batch.firstSeq...batch.lastSeq))
        _ = try await compare(
            "park_items", "\(batch.id), \(batch.fence.value), \(seqs)",
            real: { () throws(StoreError) in try await store.park(seqs, of: batch) },
            model: { () throws(StoreError) in model.parkItems(seqs, of: batch) }, isEffect: { $0 != nil })
    }

    func unpark() async throws {
        let devices = some(Self.devices)
        _ = try await compare(
            "list_waiting", "",
            real: { () throws(StoreError) in try await store.waitingDevices(after: "", limit: 100) },
            model: { () throws(StoreError) in model.listWaiting() }, isEffect: { !$0.isEmpty })
        _ = try await compare(
            "unpark_devices", "\(devices)",
            real: { () throws(StoreError) in try await store.unpark(devices) },
            model: { () throws(StoreError) in model.unparkDevices(devices, batchSize: Limits.batchItems) },
            isEffect: { !$0.isEmpty })
    }

    func look(_ job: Int64) async throws {
        guard let batch = claim(of: job) else { return }
        _ = try await compare(
            "list_open_items", "\(batch.id), \(batch.fence.value)",
            real: { () throws(StoreError) in try await store.openItems(of: batch) },
            model: { () throws(StoreError) in model.listOpenItems(of: batch) }, isEffect: { !$0.isEmpty })
        _ = try await compare(
            "list_dispatches", "\(batch.id), \(batch.fence.value)",
            real: { () throws(StoreError) in Set(try await store.dispatches(before: batch)) },
            model: { () throws(StoreError) in Set(model.listDispatches(before: batch)) }, isEffect: { !$0.isEmpty })
    }

    func settle(_ job: Int64) async throws {
        guard let batch = claim(of: job) else { return }
        log.append("settle_dispatches(\(batch.id), \(batch.fence.value))")
        try await store.settleDispatches(of: batch)
        model.settleDispatches(of: batch)
    }

    // MARK: Ends

    func cancel(_ job: Int64) async throws {
        let id = try JobID("j\(job - 1)")
        _ = try await compare(
            "cancel_job", "\(job)",
            real: { () throws(StoreError) in
                guard let before = try await store.get(id)?.state else { return nil as JobState? }
                guard case .cancelled(let record) = try await store.cancel(id, actor: "test", strict: false) else {
                    return nil
                }
                return before == record.state ? nil : record.state
            }, model: { () throws(StoreError) in model.cancelJob(job) }, isEffect: { $0 != nil })
    }

    func expire() async throws {
        let job = jobs[below(jobs.count)]
        try await world.execute(
            "UPDATE jobs SET deadline = clock_timestamp() - interval '1 second' WHERE job = \(job)")
        model.jobs[Int(job) - 1].row.deadline = model.clock - 1000
        _ = try await compare(
            "expire_jobs", "\(job)",
            real: { () throws(StoreError) in try await store.expireJobs(actor: "test") },
            model: { () throws(StoreError) in model.expireJobs() }, isEffect: { !$0.isEmpty })
    }

    func endBatches(_ job: Int64, isCancelled: Bool) async throws {
        _ = try await compare(
            "end_batches", "\(job)",
            real: { () throws(StoreError) in
                let (batches, items) = try await store.endBatches(job: job, isCancelled: isCancelled)
                return [batches, items]
            },
            model: { () throws(StoreError) in
                let limit = Limits.endChunkBatches
                let (batches, items) = model.endBatches(job: job, limit: limit, isCancelled: isCancelled)
                return [batches, items]
            }, isEffect: { $0[0] > 0 })
    }

    func endWaiting(_ job: Int64, isCancelled: Bool) async throws {
        _ = try await compare(
            "end_waiting", "\(job)",
            real: { () throws(StoreError) in try await store.endWaiting(job: job, isCancelled: isCancelled) },
            model: { () throws(StoreError) in
                model.endWaiting(job: job, limit: Limits.endChunkItems, isCancelled: isCancelled)
            }, isEffect: { $0 > 0 })
    }

    func finish(_ job: Int64) async throws {
        _ = try await compare(
            "finish_job", "\(job)",
            real: { () throws(StoreError) in try await store.finish(job: job, actor: "test")?.state },
            model: { () throws(StoreError) in model.finishJob(job) }, isEffect: { $0 != nil })
    }

    /// One gateway is declared gone, and comes back at once.
    func loseGateway() async throws {
        let gateway = Self.gateways[below(2)]
        let real = try await store.gatewayBeats().filter { $0.gateway == gateway }
        _ = try await compare(
            "remove_silent_gateways", gateway,
            real: { () throws(StoreError) in try await store.removeSilent(real) },
            model: { () throws(StoreError) in
                model.removeSilentGateways(model.listGatewayBeats().filter { $0.gateway == gateway })
            }, isEffect: { !$0.isEmpty })
        if below(2) == 0 { try await join() }
    }
}

extension Array {
    fileprivate func shuffledBy(_ random: SeededRandom) -> [Element] {
        map { (random.next(), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
