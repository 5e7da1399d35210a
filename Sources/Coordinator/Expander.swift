// Expands running jobs: the devices that a condition selects become work items, and their batches are offered to the
// workers as each chunk commits, so that the first device of a large job starts at once.
//
// A first look asks for one device more than a small job has. What fits is written from that list and shares the day's
// partition, without a second scan; a larger job gets a partition of its own and is written straight from the query,
// all chunks under one exported snapshot. Whatever interrupts it (a lost connection, an answer that never came, another
// leader), the expansion reads where the committed chunks stand and goes on from there.

internal import JSON
package import JobModel
package import JobStore
package import LeaseStore
package import ServiceKit
internal import TwinQuery

package struct Expander: Sendable {
    let store: JobStore
    let leases: LeaseStore
    let clock: any ServiceClock
    let random: any RandomSource
    let log: Log
    let metrics: Metrics

    package init(
        store: JobStore, leases: LeaseStore, clock: any ServiceClock, random: any RandomSource, log: Log,
        metrics: Metrics
    ) {
        self.store = store
        self.leases = leases
        self.clock = clock
        self.random = random
        self.log = log
        self.metrics = metrics
    }

    /// How an expansion ended.
    package enum Ending: Sendable, Hashable {
        case complete
        /// The condition does not compile; the job has failed.
        case failed
        /// The job was cancelled, or this process is no longer the leader: another look decides.
        case stopped
    }

    /// Interruptions in a row without a chunk in between after which the job is left to the leader's next round.
    private static let interruptionsMaximum = 5

    package func expand(_ job: ExpandingJob, under leadership: Leadership) async throws -> Ending {
        let condition: Condition
        do {
            condition = try parseCondition(job.queryCondition)
        } catch {
            let reason = "The query condition cannot be run: \(error.message) (column \(error.position))."
            _ = try await store.fail(job: job.job, reason: reason, actor: leadership.actor)
            return .failed
        }
        var interruptions = 0
        var backoff = Backoff()
        var written: Int64 = -1
        while true {
            guard let state = try await store.expansion(of: job.job), state.isRunning else { return .stopped }
            if state.items > written { interruptions = 0 }
            written = state.items
            do {
                return try await expand(job, condition, from: state, under: leadership)
            } catch let error as StoreError where error.isTransient || error.code == .conflict {
                // A conflict means that somebody else wrote the chunk, or that our own commit's answer was lost.
                guard interruptions < Self.interruptionsMaximum, try await store.isCurrent(leadership) else {
                    return .stopped
                }
                interruptions += 1
                log.warning(
                    "expansion_interrupted", [("job", .string(job.jobID.text)), ("error", .string(error.description))])
                try await clock.sleep(for: backoff.next(random))
            }
        }
    }

    private func expand(
        _ job: ExpandingJob, _ condition: Condition, from start: ExpansionState, under leadership: Leadership
    ) async throws -> Ending {
        if start.nextChunk > 0 {
            try await store.recordEvent(
                job: job.job, actor: leadership.actor, kind: "expansionResumed",
                detail: JSONObject([("items", .integer(start.items)), ("term", .integer(leadership.term))]))
        }
        let first = try await store.devices(
            matching: condition, after: start.lastDevice, limit: Limits.smallJobDevices + 1)
        let isLarge = first.count > Limits.smallJobDevices || start.slot.map(JobStore.isOwn) == true
        let slot = try await store.assignSlot(job: job.job, isLarge: isLarge)
        let ending =
            first.count > Limits.smallJobDevices
            ? try await writeSelected(job, condition, slot: slot, from: start, under: leadership)
            : try await writeListed(job, first, slot: slot, from: start, under: leadership)
        guard let final = ending else { return .stopped }
        if isLarge { try await store.analyze(slot: slot) }
        let detail = JSONObject([("devices", .integer(final.items)), ("batches", .integer(final.batches))])
        let completed = try await store.completeExpansion(
            job: job.job, epoch: final.epoch, actor: leadership.actor, detail: detail)
        metrics.count("muster_expanded_items_total", "Work items written by expansions", by: Int(final.items))
        log.info("job_expanded", [("job", .string(job.jobID.text)), ("items", .integer(final.items))])
        return completed ? .complete : .stopped
    }

    /// Nil when the job no longer runs.
    private func writeListed(
        _ job: ExpandingJob, _ devices: [String], slot: Int64, from start: ExpansionState,
        under leadership: Leadership
    ) async throws -> ExpansionState? {
        let batchSize = ChunkPlan.batchSize(forDevices: devices.count)
        var state = start
        var position = 0
        while position < devices.count {
            let size = ChunkPlan.chunkSize(chunk: Int(state.nextChunk))
            let part = Array(devices[position..<min(position + size, devices.count)])
            let chunk = try await store.writeChunk(
                job: job.job, slot: slot, state: state, devices: part, batchSize: batchSize, leadership: leadership)
            guard let chunk else { return nil }
            state = try await committed(chunk, after: state)
            position += part.count
        }
        return state
    }

    private func writeSelected(
        _ job: ExpandingJob, _ condition: Condition, slot: Int64, from start: ExpansionState,
        under leadership: Leadership
    ) async throws -> ExpansionState? {
        try await store.withSnapshot { snapshot in
            var state = start
            while true {
                guard try await store.isCurrent(leadership) else { return nil }
                let size = ChunkPlan.chunkSize(chunk: Int(state.nextChunk))
                let chunk = try await store.writeChunk(
                    job: job.job, slot: slot, state: state, matching: condition, limit: size,
                    batchSize: ChunkPlan.batchSize(job.type, chunkSize: size), snapshot: snapshot,
                    leadership: leadership)
                guard let chunk else {
                    // Nothing is left, or the job was cancelled: a cancel raised the epoch.
                    let now = try await store.expansion(of: job.job)
                    return now?.isRunning == true && now?.epoch == state.epoch ? state : nil
                }
                let isFirst = state.nextChunk == 0
                state = try await committed(chunk, after: state)
                if isFirst { try await store.analyze(slot: slot) }
                if chunk.items < size { return state }
            }
        }
    }

    /// Offers what was committed. A Redis that cannot be reached does not stop the expansion: the sweep offers again.
    private func committed(_ chunk: Chunk, after state: ExpansionState) async throws -> ExpansionState {
        do {
            try await leases.offer(chunk.batches)
        } catch {
            log.warning("offer_failed", [("error", .string(error.description))])
        }
        return state.following(chunk)
    }
}

/// Sizes of chunks and batches: pure arithmetic, so that a test can list them.
package enum ChunkPlan {
    /// 1,000 devices first, so that work starts at once, then five times as many each time, up to the maximum.
    package static func chunkSize(chunk: Int) -> Int {
        var size = Limits.chunkDevicesFirst
        for _ in 0..<chunk {
            size *= Limits.chunkGrowth
            if size >= Limits.chunkDevicesMaximum { return Limits.chunkDevicesMaximum }
        }
        return size
    }

    /// Of a large job: the first chunks are cut fine, so that all workers start at once.
    package static func batchSize(_ type: JobType, chunkSize: Int) -> Int {
        type == .updateTwin && chunkSize >= Limits.largeChunkDevices ? Limits.twinBatchItems : Limits.batchItems
    }

    /// A small job is cut into several batches, so that workers share it.
    package static func batchSize(forDevices count: Int) -> Int {
        min(Limits.batchItems, max(Limits.batchItemsMinimum, count / Limits.batchesSmallJob))
    }
}
