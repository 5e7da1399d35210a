// The statements of a job's life: create, start, expand, cancel, deadline, finish; and of the leadership.

package import JobModel
package import JobStore
package import ServiceKit

extension PostgresModel {
    // MARK: The API's

    /// `selected`: what its condition selects, in device order. Returns the new job.
    @discardableResult
    package func insertJob(type: JobType, selected: [String], startAt: Int64?, seconds: Int64) -> Int64 {
        let start = startAt ?? clock
        let job = Int64(jobs.count) + 1
        jobs.append(
            JobTable(
                row: JobRow(
                    job: job, type: type, selected: selected, state: start > clock ? .scheduled : .queued,
                    startAt: start, deadline: max(start, clock) + seconds * 1000)))
        return job
    }

    /// The new state; nil when the job's state does not allow it.
    @discardableResult
    package func cancelJob(_ job: Int64, running: Bool = true) -> JobState? {
        guard let index = index(of: job) else { return nil }
        var row = jobs[index].row
        switch row.state {
        case .scheduled, .queued:
            row.state = .cancelled
            row.endedAt = clock
        case .running where running:
            row.state = .cancelling
        case .running, .cancelling, .completed, .failed, .cancelled:
            return nil
        }
        row.epoch += 1
        row.cancelledAt = clock
        jobs[index].row = row
        if row.endedAt != nil { changes.append(.ended(job: job)) }
        return row.state
    }

    // MARK: Leadership

    package func acquireLeadership(role: String, holder: String, milliseconds: Int64) -> Leadership? {
        if let leader = leaders[role] {
            guard leader.holder == holder || leader.expiresAt <= clock else { return nil }
            leaders[role] = LeaderRow(
                holder: holder, term: leader.holder == holder ? leader.term : leader.term + 1,
                expiresAt: clock + milliseconds)
        } else {
            leaders[role] = LeaderRow(holder: holder, term: 1, expiresAt: clock + milliseconds)
        }
        return leaders[role].map { Leadership(role: role, holder: holder, term: $0.term) }
    }

    package func resignLeadership(_ leadership: Leadership) {
        if leaders[leadership.role]?.holder == leadership.holder { leaders[leadership.role]?.expiresAt = clock - 1 }
    }

    package func checkTerm(_ leadership: Leadership) -> Bool {
        guard let leader = leaders[leadership.role] else { return false }
        return leader.holder == leadership.holder && leader.term == leadership.term && leader.expiresAt > clock
    }

    // MARK: The leader's rounds

    package func startJobs(limit: Int) -> [Int64] {
        let running = jobs.count { $0.row.state == .running || $0.row.state == .cancelling }
        let due = jobs.filter {
            ($0.row.state == .scheduled || $0.row.state == .queued) && $0.row.startAt <= clock
        }.sorted { ($0.row.startAt, $0.row.job) < ($1.row.startAt, $1.row.job) }
        let started = due.prefix(max(0, limit - running)).map(\.row.job)
        for job in started { jobs[Int(job) - 1].row.state = .running }
        return started.sorted()
    }

    package func queueJobs() {
        for index in jobs.indices where jobs[index].row.state == .scheduled && jobs[index].row.startAt <= clock {
            jobs[index].row.state = .queued
        }
    }

    package func expireJobs() -> [Int64] {
        var expired: [Int64] = []
        for index in jobs.indices {
            let row = jobs[index].row
            guard row.state == .running, !row.isExpired, row.isExpanded, row.deadline <= clock else { continue }
            jobs[index].row.isExpired = true
            jobs[index].row.epoch += 1
            expired.append(row.job)
        }
        return expired
    }

    /// Milliseconds to the next start or deadline.
    package func readNextStart() -> Int64? {
        let waitsForTheImpossible = broken.contains(.nextStartOfWhatIsDue)
        let moments = jobs.compactMap { job -> Int64? in
            let row = job.row
            return switch row.state {
            case .scheduled: row.startAt
            case .queued where waitsForTheImpossible: row.startAt
            case .running where !row.isExpired && (row.isExpanded || waitsForTheImpossible): row.deadline
            case .cancelling where row.deadline > clock || waitsForTheImpossible: row.deadline
            case .queued, .running, .cancelling, .completed, .failed, .cancelled: nil
            }
        }
        return moments.min().map { $0 - clock }
    }

    package func listEndingJobs() -> [(job: Int64, isCancelled: Bool)] {
        jobs.filter { $0.isEnding }.map { ($0.row.job, $0.row.state == .cancelling) }
    }

    package func listExpandingJobs() -> [Int64] {
        jobs.filter { $0.row.state == .running && !$0.row.isExpanded }.map(\.row.job)
    }

    package func listFinishableJobs() -> [Int64] {
        jobs.filter { isFinishable($0) }.map(\.row.job)
    }

    private func isFinishable(_ job: JobTable) -> Bool {
        (job.row.state == .running && job.row.isExpanded || job.row.state == .cancelling)
            && (job.batches.allSatisfy { $0.state == .closed } || broken.contains(.finishWithOpenBatches))
            && !waiting.contains { $0.job == job.row.job }
    }

    @discardableResult
    package func finishJob(_ job: Int64) -> JobState? {
        guard let index = index(of: job), isFinishable(jobs[index]) else { return nil }
        jobs[index].row.state = jobs[index].row.state == .cancelling ? .cancelled : .completed
        jobs[index].row.endedAt = clock
        jobs[index].row.epoch += 1
        changes.append(.ended(job: job))
        return jobs[index].row.state
    }

    // MARK: Expansion

    package struct Expansion: Sendable, Hashable {
        package var nextChunk: Int64
        package var lastDevice: String?
        package var items: Int64
        package var batches: Int64
        package var isRunning: Bool
        package var epoch: Int64
    }

    package func readExpansion(of job: Int64) -> Expansion? {
        guard let index = index(of: job) else { return nil }
        let (row, chunks) = (jobs[index].row, jobs[index].expansions)
        return Expansion(
            nextChunk: Int64(chunks.count), lastDevice: chunks.last?.lastDevice,
            items: chunks.reduce(0) { $0 + $1.items }, batches: chunks.reduce(0) { $0 + $1.batches },
            isRunning: row.state == .running, epoch: row.epoch)
    }

    package func selectDevices(of job: Int64, after device: String?) -> [String] {
        guard let index = index(of: job) else { return [] }
        return jobs[index].row.selected.filter { $0 > device ?? "" }
    }

    /// The batches that were written; nil when the job no longer runs under that epoch. Throws a conflict when the chunk
    /// is there already.
    package func insertListedChunk(
        job: Int64, epoch: Int64, chunk: Int64, term: Int64, devices: [String], firstSeq: Int64, firstBatch: Int64,
        batchSize: Int64
    ) throws(StoreError) -> [BatchID]? {
        guard let index = index(of: job), jobs[index].row.state == .running, jobs[index].row.epoch == epoch,
            let last = devices.last
        else { return nil }
        guard chunk == Int64(jobs[index].expansions.count), firstSeq == Int64(jobs[index].items.count) else {
            throw StoreError(
                code: .conflict, effect: .none, operation: "insert_listed_chunk", message: "the chunk is there already")
        }
        var ids: [BatchID] = []
        for (position, device) in devices.enumerated() {
            let batch = Int32(firstBatch + Int64(position) / batchSize)
            jobs[index].items.append(ItemRow(deviceID: device, batch: batch))
        }
        for number in 0..<(Int64(devices.count) + batchSize - 1) / batchSize {
            let (first, size) = (
                firstSeq + number * batchSize, min(batchSize, Int64(devices.count) - number * batchSize)
            )
            let batch = Int32(firstBatch + number)
            jobs[index].batches.append(
                BatchRow(batch: batch, firstSeq: first, lastSeq: first + size - 1, seqs: nil, open: size))
            ids.append(BatchID(job: job, batch: batch))
        }
        jobs[index].expansions.append(
            ExpansionRow(term: term, lastDevice: last, items: Int64(devices.count), batches: Int64(ids.count)))
        return ids
    }

    @discardableResult
    package func completeExpansion(of job: Int64, epoch: Int64) -> Bool {
        guard let index = index(of: job) else { return false }
        let row = jobs[index].row
        guard row.epoch == epoch, row.state == .running, !row.isExpanded else { return false }
        jobs[index].row.isExpanded = true
        return true
    }
}

extension PostgresModel.JobTable {
    /// Cancelled or past its deadline, and not ended.
    var isEnding: Bool { row.state == .cancelling || row.state == .running && row.isExpired }
}
