// Goal: the simulation's checks can fail. Method: each rule that is broken on purpose must be caught by some seed.

import ClusterModel
import Testing

@Suite struct MutationTests {
    /// A broken rule that hides from this many worlds is not checked.
    static let seeds: UInt64 = 5000

    @Test("a broken rule is caught", arguments: BrokenRule.allCases)
    func caught(rule: BrokenRule) {
        for seed in 1...Self.seeds {
            let report = World(seed: seed, broken: rule).run()
            if let violation = report.violation {
                return print("\(rule) is caught by seed \(seed): \(violation.prefix(120))")
            }
            // Invariant I8 is held by comparing two runs.
            if World(seed: seed, broken: rule, skewed: false).run().digest != report.digest {
                return print("\(rule) is caught by seed \(seed): the clocks of the processes matter")
            }
        }
        Issue.record("\(rule) hides from \(Self.seeds) seeds")
    }
}
