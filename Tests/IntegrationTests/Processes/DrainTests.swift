// Goal: workers can be replaced at any time: SIGTERM lets calls in flight finish within a set time, hands the rest over at
// once and exits with 0; a second signal ends the process at once; neither loses, repeats nor delays work (I2, I4, I5).
// Method: real processes and simulated devices, whose account of calls is held against the rows.

import Foundation
import JSON
import JobModel
import JobStore
import ServiceKit
import TestKit
import Testing

@Suite struct DrainTests {
    @Test func callsInFlightFinish() async throws {
        try await withWorld { world in
            let cluster = try await FleetCluster(world, devices: 50, latency: "3s")
            let worker = try await cluster.worker()
            try await cluster.putCalls("slow")
            try await cluster.inFlight(50)
            let start = world.clock.now
            worker.signal(SIGTERM)
            #expect(try await worker.exitCode() == 0, "\(worker.log)")
            #expect(world.clock.now - start < Limits.drainDuration, "it waited for more than the calls")
            let job = try await cluster.wait(for: "slow") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 50, succeeded: 50))
            let calls = try await cluster.callsSeen()
            #expect(calls["received"] == 50 && calls["devicesOnce"] == 50, "\(calls.text)")
        }
    }

    /// The calls go on at the gateway; who takes them over asks for the outcomes.
    @Test(arguments: [true, false])
    func whatDoesNotFinishIsHandedOver(isSecondSignal: Bool) async throws {
        try await withWorld { world in
            let cluster = try await FleetCluster(world, devices: 50, latency: "14s")
            let worker = try await cluster.worker(["--drain-seconds", isSecondSignal ? "60" : "1"])
            try await cluster.putCalls("slow")
            try await cluster.inFlight(50)
            let other = try await cluster.worker()
            let start = world.clock.now
            worker.signal(SIGTERM)
            if isSecondSignal {
                try await worker.event("worker_drains")
                worker.signal(SIGTERM)
            }
            #expect(try await worker.exitCode() == (isSecondSignal ? 130 : 0), "\(worker.log)")
            #expect(world.clock.now - start < .seconds(10), "it ended before the devices answered")
            let job = try await cluster.wait(for: "slow") { $0.state == .completed }
            #expect(job.statistics == JobStatistics(devices: 50, succeeded: 50))
            #expect(other.count("dispatches_found") > 0)
            // What was handed over did not have to be found by the sweep.
            if !isSecondSignal { #expect(cluster.coordinator.count("lease_expired") == 0) }
            let calls = try await cluster.callsSeen()
            #expect(calls["received"] == 50 && calls["devicesOnce"] == 50, "\(calls.text)")
        }
    }

    @Test func allWorkersAreReplacedUnderRunningJobs() async throws {
        try await withWorld { world in
            let devices = 300
            let replacements = 6
            let cluster = try await FleetCluster(world, devices: devices, latency: "100ms..900ms")
            try await cluster.addTwins(Self.twins)
            var workers = [try await cluster.worker(), try await cluster.worker()]
            for round in 0..<replacements {
                try await cluster.put("twins-\(round)", .updateTwin(["tags": ["round": .integer(Int64(round))]]))
                try await cluster.putCalls("calls-\(round)", condition: "tags.ring >= 0")
                try await cluster.wait(for: "calls-\(round)") { $0.statistics.devices > 0 }
                workers.append(try await cluster.worker())
                let old = workers.removeFirst()
                old.signal(SIGTERM)
                #expect(try await old.exitCode() == 0, "\(old.log)")
                #expect(old.count("worker_drained") == 1)
            }
            let all = Int64(Self.twins + devices)
            for round in 0..<replacements {
                let twins = try await cluster.wait(for: "twins-\(round)") { $0.state == .completed }
                #expect(twins.statistics == JobStatistics(devices: all, succeeded: all))
                let calls = try await cluster.wait(for: "calls-\(round)") { $0.state == .completed }
                #expect(calls.statistics == JobStatistics(devices: Int64(devices), succeeded: Int64(devices)))
            }
            // No lease had to run out: whatever a worker held came back at its end.
            #expect(cluster.coordinator.count("lease_expired") == 0, "\(cluster.coordinator.log)")
            let idle = try await cluster.query(Self.longestPause)
            #expect(idle < Int(Limits.leaseDuration.milliseconds), "nothing ended for \(idle) ms while work was open")
            // Each job's patch once.
            #expect(
                try await cluster.query(
                    "SELECT count(*) AS n FROM twins WHERE etag = \(1 + replacements) AND device_id LIKE 'd-%'")
                    == Self.twins)
            for drift in try await cluster.store.recount(nil) { #expect(drift.findings.isEmpty, "\(drift)") }
            let calls = try await cluster.callsSeen()
            let expected = JSONValue.integer(Int64(devices * replacements))
            #expect(calls["received"] == expected && calls["answered"] == expected, "\(calls.text)")
            #expect(calls["repeatedRids"] == 0)
            for worker in workers {
                worker.signal(SIGTERM)
                #expect(try await worker.exitCode() == 0, "\(worker.log)")
            }
        }
    }

    private static let twins = 8000

    /// Milliseconds between two outcomes of one job that follow each other, at most.
    private static let longestPause = """
        SELECT coalesce(max(extract(epoch FROM pause) * 1000), 0)::int AS n
        FROM (SELECT updated_at - lag(updated_at) OVER (PARTITION BY job ORDER BY updated_at) AS pause
              FROM work_items) p
        """
}

extension FleetCluster {
    fileprivate func inFlight(_ calls: Int) async throws {
        try await eventually("\(calls) calls in flight") {
            try await query("SELECT coalesce(sum(cardinality(seqs)), 0)::int AS n FROM dispatches") == calls
        }
    }
}
