// PostgreSQL as far as jobs use it, in memory: the tables, and one function for each statement, named like its file in
// JobStore/Queries or SessionStore/Queries. The statements are the rules of the truth; this is how the simulation runs
// them ten thousand times a minute. `ModelTests` in IntegrationTests holds every rule here against its statement.
//
// A function is one commit: whatever races inside PostgreSQL, two of these statements have an order (each locks the
// batch's or the job's row first), and the simulation tries the orders. Times are milliseconds of the server's clock.

package import JobModel

package final class PostgresModel {
    package struct JobRow: Sendable, Hashable {
        package let job: Int64
        package let type: JobType
        /// What its condition selects, in device order.
        package let selected: [String]
        package var state: JobState
        package var epoch: Int64 = 1
        package let startAt: Int64
        package var deadline: Int64
        package var isExpanded = false
        package var isExpired = false
        package var endedAt: Int64?
        package var cancelledAt: Int64?
    }

    package enum BatchState: String, Sendable {
        case ready, claimed, closed
    }

    package struct BatchRow: Sendable, Hashable {
        package let batch: Int32
        package let firstSeq: Int64
        package let lastSeq: Int64
        /// Of a list batch; nil when it is the whole range.
        package let seqs: [Int64]?
        package var state = BatchState.ready
        package var fence: Int64 = 0
        package var epoch: Int64 = 0
        package var open: Int64
        package var worker: String?
    }

    package struct ItemRow: Sendable, Hashable {
        package let deviceID: String
        /// -1 while it is parked.
        package var batch: Int32
        package var state = ItemState.pending
        package var attempt: Int64 = 0
        package var error: ItemErrorCode?
        package var response: String?
    }

    package struct Counter: Sendable, Hashable {
        package var succeeded: Int64 = 0
        package var failed: Int64 = 0
        package var cancelled: Int64 = 0
    }

    package struct ExpansionRow: Sendable, Hashable {
        package let term: Int64
        package let lastDevice: String
        package let items: Int64
        package let batches: Int64
    }

    /// One job with all rows that belong to it.
    package struct JobTable: Sendable {
        package var row: JobRow
        package var batches: [BatchRow] = []
        package var items: [ItemRow] = []
        package var counters: [Int64: Counter] = [:]
        package var expansions: [ExpansionRow] = []
    }

    package struct TwinRow: Sendable, Hashable {
        /// How often each job has patched it.
        package var patches: [Int64: Int] = [:]
        /// What the patch makes of it cannot be stored.
        package var isRefused = false

        package init(isRefused: Bool = false) { self.isRefused = isRefused }
    }

    package struct LeaderRow: Sendable, Hashable {
        package var holder: String
        package var term: Int64
        package var expiresAt: Int64
    }

    package struct WaitingRow: Sendable, Hashable {
        package let deviceID: String
        package let job: Int64
        package let seq: Int64
    }

    /// What a rule has done to items and batches, for a checker that keeps books of its own.
    package enum Change: Sendable, Hashable, CustomStringConvertible {
        /// The batch's fence was raised; `worker` when it was a claim.
        case fence(BatchID, Int64, worker: String?)
        /// By a holder of a batch under a fence; nil by the job's end.
        case outcome(job: Int64, seq: Int64, ItemState, by: Writer?)
        case moved(job: Int64, seq: Int64, to: Int32)
        case ended(job: Int64)

        package var description: String {
            switch self {
            case .fence(let batch, let fence, let worker): "batch \(batch) at fence \(fence), \(worker ?? "nobody's")"
            case .outcome(let job, let seq, let state, let writer):
                "item \(job):\(seq) \(state) by \(writer.map { "batch \($0.batch), fence \($0.fence)" } ?? "the end")"
            case .moved(let job, let seq, let batch): "item \(job):\(seq) to batch \(batch)"
            case .ended(let job): "job \(job) has ended"
            }
        }
    }

    package struct Writer: Sendable, Hashable {
        package let batch: BatchID
        package let fence: Int64
    }

    package var broken: Set<BrokenRule> = []
    /// clock_timestamp(), set by the owner.
    package var clock: Int64 = 0

    package var jobs: [JobTable] = []
    package var twins: [String: TwinRow] = [:]
    package var leaders: [String: LeaderRow] = [:]
    package var waiting: [WaitingRow] = []
    package var dispatches: [DispatchRow] = []
    /// Living gateways, `name~incarnation`, and when they were seen last.
    package var gateways: [String: Int64] = [:]
    package var sessions: [String: SessionRow] = [:]
    package var nextListBatch: Int32 = 1_000_000_000
    package var changes: [Change] = []

    package init() {}

    // MARK: Helpers of the rules

    func index(of job: Int64) -> Int? {
        let index = Int(job) - 1
        return jobs.indices.contains(index) ? index : nil
    }

    /// Where a batch stands: its job's table and its row there.
    func position(_ id: BatchID) -> (job: Int, batch: Int)? {
        guard let job = index(of: id.job), let batch = jobs[job].batches.firstIndex(where: { $0.batch == id.batch })
        else { return nil }
        return (job, batch)
    }

    /// The common part of all writes of a holder: its batch, if it is still its own.
    func held(_ batch: ClaimedBatch, anyFence: Bool = false) -> (job: Int, batch: Int)? {
        guard let found = position(batch.id) else { return nil }
        let row = jobs[found.job].batches[found.batch]
        return row.state == .claimed && (anyFence || row.fence == batch.fence.value) ? found : nil
    }

    func isRunningUnderEpoch(_ found: (job: Int, batch: Int)) -> Bool {
        let job = jobs[found.job].row
        return job.state == .running && job.epoch == jobs[found.job].batches[found.batch].epoch
    }

    /// The seqs in a batch's range that still belong to it and have no outcome.
    func openSeqs(_ job: Int, _ batch: Int32, _ seqs: ClosedRange<Int64>) -> [Int64] {
        let items = jobs[job].items
        return seqs.filter { seq in
            guard items.indices.contains(Int(seq)) else { return false }
            let item = items[Int(seq)]
            return item.batch == batch && item.state == .pending
        }
    }

    func count(_ job: Int, shard: Int64, succeeded: Int64 = 0, failed: Int64 = 0, cancelled: Int64 = 0) {
        guard succeeded + failed + cancelled > 0 else { return }
        jobs[job].counters[shard, default: Counter()].succeeded += succeeded
        jobs[job].counters[shard, default: Counter()].failed += failed
        jobs[job].counters[shard, default: Counter()].cancelled += cancelled
    }

    func write(_ job: Int, _ seq: Int64, _ state: ItemState, _ error: ItemErrorCode?, by writer: Writer?) {
        jobs[job].items[Int(seq)].state = state
        jobs[job].items[Int(seq)].error = error
        changes.append(.outcome(job: jobs[job].row.job, seq: seq, state, by: writer))
    }

    /// The end of every write of a holder: what is open goes down, and a batch without open items is closed.
    func settle(_ found: (job: Int, batch: Int), by count: Int64) -> Int64 {
        jobs[found.job].batches[found.batch].open -= count
        let open = jobs[found.job].batches[found.batch].open
        if open == 0 { jobs[found.job].batches[found.batch].state = .closed }
        return open
    }
}
