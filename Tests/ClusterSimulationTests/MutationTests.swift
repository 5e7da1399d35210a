// Goal: the simulation's checks can fail. Method: each rule that is broken on purpose must be caught by some seed, and by
// the check of the invariant that it breaks.

import ClusterModel
import Foundation
import Testing

@Suite struct MutationTests {
    /// A broken rule that hides from this many worlds is not checked.
    static let seeds: UInt64 = 5000

    @Test("a broken rule is caught by its invariant's check", arguments: BrokenRule.allCases)
    func caught(rule: BrokenRule) {
        for seed in 1...Self.seeds {
            guard let finding = Self.finding(of: rule, seed: seed), finding.hasPrefix("\(rule.invariant):") else {
                continue
            }
            return print("\(rule) is caught by seed \(seed): \(finding.prefix(120))")
        }
        Issue.record("\(rule) hides from \(Self.seeds) seeds")
    }

    /// Invariant I8 is held by comparing two runs, the others by what the checker says within one.
    private static func finding(of rule: BrokenRule, seed: UInt64) -> String? {
        let report = World(seed: seed, broken: rule).run()
        guard rule.invariant == "I8" else { return report.violation }
        let equal = World(seed: seed, broken: rule, skewed: false).run()
        return equal.digest == report.digest ? nil : "I8: the clocks of the processes matter"
    }

    @Test("Tests/README.md names each broken rule beside its invariant")
    func documented() throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let rows = try String(contentsOf: tests.appending(path: "README.md"), encoding: .utf8).split(separator: "\n")
        for rule in BrokenRule.allCases {
            let isNamed = rows.contains { $0.hasPrefix("| \(rule.invariant) |") && $0.contains("`\(rule)`") }
            #expect(isNamed, "\(rule) of \(rule.invariant)")
        }
    }
}
