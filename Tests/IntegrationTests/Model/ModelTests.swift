// Goal: the model that the simulation runs (ClusterModel) does what the statements do, so that it cannot drift from them.
// Method: random sequences of operations, stale claims and all, on the model and on real PostgreSQL; each answer is
// compared, and all rows of the jobs at the end of each sequence.

import ClusterModel
import JobModel
import JobStore
import ServiceKit
import Testing

@Suite struct ModelTests {
    @Test("the model answers as the statements do")
    func postgres() async throws {
        try await JobWorld.run { world in
            try await ModelPair.prepare(world)
            let seed = SystemRandom().next() % 1_000_000
            let pair = ModelPair(world, seed: seed)
            if let difference = try await Self.difference(pair, sequences: 250) {
                print(pair.log.suffix(60).joined(separator: "\n"))
                Issue.record("seed \(seed): \(difference)")
                return
            }
            // A sequence that reached nothing would compare nothing.
            for (operation, count) in pair.effects where count == 0 {
                Issue.record("seed \(seed): \(operation) never had an effect")
            }
            print("model seed \(seed): \(pair.effects.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })")
        }
    }

    private static func difference(_ pair: ModelPair, sequences: Int) async throws -> String? {
        try await pair.join()
        for sequence in 0..<sequences {
            try await pair.begin()
            if sequence % 4 != 0 { try await pair.expandAll() }
            for _ in 0..<30 { try await pair.step() }
            try await pair.compareRows()
            try await pair.end()
            if let difference = pair.difference { return "sequence \(sequence), \(difference)" }
        }
        return nil
    }

    /// The comparison can fail.
    @Test(
        "a model with a broken rule differs",
        arguments: [
            BrokenRule.patchForgetsToCount, .parkForgetsOpen, .finishWithOpenBatches, .endHidesCalls,
            .patchUnderAnyFence, .resultsUnderAnyFence, .dispatchAfterCancel, .nextStartOfWhatIsDue,
        ])
    func differs(rule: BrokenRule) async throws {
        // The worlds are left as they are: a model that differs may have done other things to them.
        try await JobWorld.run(recounting: false) { world in
            try await ModelPair.prepare(world)
            let pair = ModelPair(world, seed: 1)
            pair.model.broken = [rule]
            #expect(try await Self.difference(pair, sequences: 100) != nil)
        }
    }

    /// Calls that would not be dispatched any more are not claimed; a twin batch is, and one with dispatches.
    @Test func claimsNearTheDeadline() async throws {
        try await JobWorld.run { world in
            try await ModelPair.prepare(world)
            let pair = ModelPair(world, seed: 1)
            try await pair.join()
            try await pair.begin()
            try await pair.expandAll()
            try await pair.setDeadlines(milliseconds: Limits.dispatchTimeLeft.milliseconds - 100)
            let methods = pair.model.jobs.firstIndex { $0.row.type == .deviceMethod }.map { Int64($0 + 1) }
            let job = try #require(methods)
            let claimed = try await world.store.claim([BatchID(job: job, batch: 0)], worker: WorkerID("w"))
            #expect(claimed.isEmpty)
            #expect(pair.model.claimBatches([BatchID(job: job, batch: 0)], worker: WorkerID("w")).isEmpty)
        }
    }
}
