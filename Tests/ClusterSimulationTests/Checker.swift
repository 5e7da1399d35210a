// The invariants, held against the model after every commit. The checker keeps books of its own about who holds what, so
// that it does not believe the rules that it checks.

import ClusterModel
import JobModel

final class Checker {
    private unowned let world: World
    /// The highest fence of each batch: who writes under another is a zombie.
    private var fences: [BatchID: Int64] = [:]
    /// Which worker holds each batch, and since when.
    private(set) var holders: [BatchID: String] = [:]
    /// Final outcomes, by job and seq.
    private var outcomes: [[ItemState?]] = []
    private var owners: [[Int32]] = []
    private(set) var violation: String?
    /// Writes that were counted, for the report of a run.
    private(set) var commits = 0
    private var endedJobs: Set<Int64> = []

    init(_ world: World) { self.world = world }

    func fail(_ invariant: String, _ message: String) {
        guard violation == nil else { return }
        violation = "\(invariant): \(message)"
        world.note("VIOLATION of \(invariant): \(message)")
    }

    // MARK: After a commit

    func committed() {
        let postgres = world.postgres
        guard !postgres.changes.isEmpty else { return }
        commits += 1
        let changes = postgres.changes
        postgres.changes = []
        for index in postgres.jobs.indices { grow(index, postgres.jobs[index].items) }
        for change in changes {
            world.note("    \(change)")
            check(change)
        }
        for job in postgres.jobs {
            if let finding = postgres.recount(job).first { fail("I1", "job \(job.row.job): \(finding)") }
        }
    }

    private func grow(_ job: Int, _ items: [PostgresModel.ItemRow]) {
        while outcomes.count <= job {
            outcomes.append([])
            owners.append([])
        }
        while outcomes[job].count < items.count {
            owners[job].append(items[outcomes[job].count].batch)
            outcomes[job].append(nil)
        }
    }

    private func check(_ change: PostgresModel.Change) {
        switch change {
        case .fence(let batch, let fence, let worker):
            if fence <= fences[batch] ?? 0 { fail("I3", "batch \(batch) changed hands under fence \(fence) again") }
            fences[batch] = fence
            holders[batch] = worker
        case .outcome(let job, let seq, let state, let writer):
            let (index, position) = (Int(job) - 1, Int(seq))
            if let old = outcomes[index][position] { fail("I2", "item \(job):\(seq) was \(old) and became \(state)") }
            if endedJobs.contains(job) { fail("I2", "item \(job):\(seq) became \(state) after the job's end") }
            let row = world.postgres.jobs[index].row
            if row.type == .updateTwin, state == .succeeded, row.cancelledAt ?? .max < world.postgresClock {
                fail("I7", "the twin of item \(job):\(seq) was patched after the job was cancelled")
            }
            outcomes[index][position] = state
            guard let writer else { return }
            if writer.fence != fences[writer.batch] {
                fail("I3", "item \(job):\(seq) was written by \(writer), the fence is \(fences[writer.batch] ?? 0)")
            }
            if owners[index][position] != writer.batch.batch {
                fail("I3", "item \(job):\(seq) was written by batch \(writer.batch), which does not own it")
            }
        case .moved(let job, let seq, let batch):
            owners[Int(job) - 1][Int(seq)] = batch
        case .ended(let job):
            endedJobs.insert(job)
            let index = Int(job) - 1
            if outcomes.indices.contains(index), outcomes[index].contains(where: { $0 == nil }) {
                fail("I2", "job \(job) ended with open items")
            }
        }
    }

    // MARK: After a look at Redis

    func looked(at redis: RedisModel) {
        for (sleeper, tokens) in redis.content.wakeTokens where tokens > redis.tokenLimit {
            fail("I9", "\(tokens) tokens wait for \(sleeper)")
        }
    }

    // MARK: At the end

    /// What must be true when all has ended.
    func finished() {
        let postgres = world.postgres
        for job in postgres.jobs {
            let row = job.row
            guard row.state.isEnded else { continue }
            let devices = job.items.map(\.deviceID)
            if row.isExpanded, devices != row.selected {
                fail("I10", "job \(row.job) has the devices \(devices), its condition selects \(row.selected)")
            }
            for (seq, item) in job.items.enumerated() where row.type == .updateTwin {
                let patches = postgres.twins[item.deviceID]?.patches[row.job] ?? 0
                let expected = item.state == .succeeded ? 1 : 0
                if patches != expected {
                    fail("I4", "item \(row.job):\(seq) is \(item.state), its twin was patched \(patches) times")
                }
            }
        }
    }
}
