// Goal: whatever fails, in whatever order, the invariants of the design hold, and everything ends once the faults stop.
// Method: thousands of small clusters in virtual time, each out of one seed (Tests/README.md, "Simulation"). A seed that
// fails prints what happened and how to run it again.

import ClusterModel
import Foundation
import Synchronization
import Testing

@Suite struct SimulationTests {
    /// Seeds in a run of the tests; more by MUSTER_SIMULATION_SEEDS, one by MUSTER_SIMULATION_SEED.
    static let seeds: UInt64 = environment("MUSTER_SIMULATION_SEEDS") ?? 10_000

    static func environment(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap(UInt64.init)
    }

    @Test("every seed keeps the invariants and ends")
    func seeds() async {
        if let seed = Self.environment("MUSTER_SIMULATION_SEED") { return replay(seed) }
        let began = Date()
        let first = Self.environment("MUSTER_SIMULATION_FIRST_SEED") ?? 1
        let runs = await simulate(first..<first + Self.seeds)
        let events = runs.reduce(0) { $0 + $1.report.events }
        print(
            "simulated \(runs.count) clusters, \(events) events, in \(Int(Date().timeIntervalSince(began) * 1000)) ms")
        let failed = runs.filter { $0.report.violation != nil }.sorted { $0.seed < $1.seed }
        #expect(failed.isEmpty, "\(failed.count) seeds failed: \(failed.prefix(20).map(\.seed))")
        if let first = failed.first { replay(first.seed) }
    }

    private struct Run: Sendable {
        let seed: UInt64
        let report: Summary
    }

    private struct Summary: Sendable {
        let violation: String?
        let events: Int
    }

    /// Two lanes: more would take the machine from the other tests.
    private func simulate(_ seeds: Range<UInt64>) async -> [Run] {
        await withTaskGroup(of: [Run].self) { group in
            for lane in 0..<2 as Range<UInt64> {
                group.addTask {
                    stride(from: seeds.lowerBound + lane, to: seeds.upperBound, by: 2).map { seed in
                        let report = World(seed: seed).run()
                        return Run(
                            seed: seed, report: Summary(violation: report.violation, events: report.events))
                    }
                }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
    }

    private func replay(_ seed: UInt64) {
        let report = World(seed: seed, isTraced: true).run()
        print(
            report.trace.suffix(Self.environment("MUSTER_SIMULATION_TRACE").map { Int($0) } ?? 400).joined(
                separator: "\n"))
        print("To run it again: MUSTER_SIMULATION_SEED=\(seed) swift test --filter ClusterSimulationTests")
        #expect(report.violation == nil, "seed \(seed)")
    }

    @Test("a seed replays to the last event")
    func replays() {
        for seed in 1...40 as ClosedRange<UInt64> {
            let (first, second) = (World(seed: seed).run(), World(seed: seed, isTraced: true).run())
            #expect(first.digest == second.digest && first.events == second.events, "seed \(seed)")
        }
    }

    /// Invariant I8: the processes' clocks may show anything.
    @Test("clocks of processes that are apart change nothing")
    func skew() {
        for seed in 1...200 as ClosedRange<UInt64> {
            let (apart, equal) = (World(seed: seed).run(), World(seed: seed, skewed: false).run())
            #expect(apart.digest == equal.digest && apart.events == equal.events, "seed \(seed)")
        }
    }
}
