// The invariants, held against the model after every commit. The checker keeps books of its own about who holds what, so
// that it does not believe the rules that it checks.

import Calls
import ClusterModel
import JobModel
import RouteStore
import Worker

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
    /// Calls that reached their devices.
    private var calls: [Call: Int64] = [:]

    private var (roundSecond, rounds): (Int64, Int) = (0, 0)

    private struct Call: Hashable {
        let job: Int64
        let seq: Int64
    }

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

    // MARK: Drains

    func drained(_ worker: String) {
        guard world.isGentle else { return }
        for (batch, holder) in holders where holder == worker && isClaimed(batch) {
            fail("I6", "\(worker) has drained and holds batch \(batch)")
        }
    }

    /// By a job that goes on: of a job that is being ended the leader takes the batches.
    private func isClaimed(_ id: BatchID) -> Bool {
        let job = world.postgres.jobs[Int(id.job) - 1]
        return job.row.state == .running
            && job.batches.contains { $0.batch == id.batch && $0.state == .claimed }
    }

    // MARK: Calls

    /// A gateway wrote a call to a device's session.
    func sent(_ invocation: InvocationID, to device: String) {
        world.note("    call of item \(invocation.job):\(invocation.seq) is written to \(device)")
        let row = world.postgres.jobs[Int(invocation.job) - 1].row
        // Not where Redis' clock was set back: a gateway that is stopped for as long wakes up as if no time had passed.
        if let cancelled = row.cancelledAt, world.postgresClock > cancelled + 2000, !world.hasJumpedBack {
            fail(
                "I7",
                "item \(invocation.job):\(invocation.seq) was called \(world.postgresClock - cancelled) ms after a cancel"
            )
        }
    }

    func received(_ invocation: InvocationID, by device: String) {
        world.note("    \(device) receives the call of item \(invocation.job):\(invocation.seq)")
        let key = Call(job: invocation.job, seq: invocation.seq)
        if calls.updateValue(invocation.attempt, forKey: key) != nil {
            fail(
                "I5", "item \(invocation.job):\(invocation.seq) was called twice, now as attempt \(invocation.attempt)")
        }
    }

    func looked(at slots: CallSlots, of worker: Process) {
        if slots.inFlight > world.callLimit + Limits.batchItems {
            fail("I9", "\(worker.name) has \(slots.inFlight) calls in flight")
        }
    }

    func looked(at ledger: InvocationLedger, of gateway: SimulatedGateway) {
        if ledger.count > gateway.limits.invocations {
            fail("I9", "\(gateway.name) remembers \(ledger.count) invocations")
        }
    }

    /// A leader that looks again and again at what has not changed is a queue without a limit, too.
    func round(of coordinator: Process) {
        let second = world.now / 1_000_000
        if second != roundSecond { (roundSecond, rounds) = (second, 0) }
        rounds += 1
        if rounds > 40 { fail("I9", "\(coordinator.name) makes more than 40 rounds a second") }
    }

    // MARK: After a look at Redis

    func looked(at redis: RedisModel) {
        for (sleeper, tokens) in redis.content.wakeTokens where tokens > redis.tokenLimit {
            fail("I9", "\(tokens) tokens wait for \(sleeper)")
        }
        for (owner, messages) in redis.content.inboxes where messages.count > redis.inboxLimit {
            // Orders to close come without a limit of their own: one for each session that lost.
            let counted = messages.count { if case .close = $0 { false } else { true } }
            if counted > redis.inboxLimit { fail("I9", "\(counted) messages wait for \(owner)") }
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
            for (seq, item) in job.items.enumerated() where row.type == .deviceMethod {
                let wasCalled = calls[Call(job: row.job, seq: Int64(seq))] != nil
                let isDenied = item.state == .cancelled || item.error == .jobRunPreconditionFailed
                if world.isGentle, item.error == .outcomeUnknown {
                    fail("I5", "nothing has failed, and the outcome of item \(row.job):\(seq) is unknown")
                }
                if item.state == .succeeded && !wasCalled || isDenied && wasCalled {
                    fail("I5", "item \(row.job):\(seq) is \(item.state), and was \(wasCalled ? "" : "not ")called")
                }
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
