// Goal: who watches Muster sees each takeover: a silent worker's batches returned, a leader replaced, an empty Redis filled
// again; each has a metric and a log event. Method: make it happen, and look at both.

import JSON
import JobModel
import JobStore
import LeaseStore
import Redis
import ServiceKit
import TestKit
import Testing

@Suite struct TakeoverSignTests {
    @Test func aSilentWorkersBatchesAreReturned() async throws {
        try await JobWorld.run { world in
            let (metrics, log) = (Metrics(), TestLog())
            try await world.addDevices(40) { _ in [:] }
            try await world.startCoordinator(log: log.log, metrics: metrics)
            _ = try await world.put("one", patch: ["tags": ["a": 1]], condition: "*")
            let taken = try await world.takeWhenOffered(WorkerID("dead"))
            let claimed = try await world.store.claim(taken, worker: WorkerID("dead"))
            try await eventually("the batch is returned", within: JobWorld.patience) {
                metrics.value("muster_leases_expired_total") == Double(claimed.count)
            }
            let event = try #require(log.events.first { $0.name == "lease_expired" })
            let fields = Dictionary(event.fields) { $1 }
            #expect(fields["worker"] == "dead")
            #expect(fields["batch"] == .string(taken[0].description))
            #expect(log.count("lease_expired") == claimed.count)
            try await world.startWorker()
            _ = try await world.wait(for: "one") { $0.statistics.succeeded == 40 }
        }
    }

    @Test func aSilentLeaderIsReplaced() async throws {
        try await JobWorld.run { world in
            let (metrics, log) = (Metrics(), TestLog())
            // It died: nobody renews its term.
            let dead = try #require(try await world.store.acquireLeadership(role: "coordinator", holder: "dead"))
            let start = world.clock.now
            try await world.startCoordinator(log: log.log, metrics: metrics)
            try await eventually("another leads", within: JobWorld.patience) {
                metrics.value("muster_leaderships_taken_total") == 1
            }
            #expect(world.clock.now - start < .seconds(20), "10 s on a machine that does nothing else")
            #expect(metrics.value("muster_leader") == 1)
            let event = try #require(log.events.first { $0.name == "leadership_taken" })
            #expect(Dictionary(event.fields) { $1 }["term"] == .integer(dead.term + 1))
        }
    }

    @Test func anEmptyRedisIsFilledAgain() async throws {
        try await JobWorld.run { world in
            let (metrics, log) = (Metrics(), TestLog())
            try await world.addDevices(160) { _ in [:] }
            try await world.startCoordinator(log: log.log, metrics: metrics)
            // The sweep must have seen the content that is lost, and that before there was anything to offer: a loss within
            // its pass would be mended by that pass.
            try await eventually("a pass of the sweep", within: JobWorld.patience) {
                let name = try await world.redis.command(["EXISTS", "{muster}:incarnation"])
                return name.integer == 1
            }
            _ = try await world.put("all", patch: ["tags": ["a": 1]], condition: "*")
            // An offer that came after the loss would leave nothing to refill.
            try await eventually("all batches are offered", within: JobWorld.patience) {
                log.events.contains { $0.name == "job_expanded" }
            }
            try await world.flushRedis()
            try await eventually("a refill", within: JobWorld.patience) {
                (metrics.value("muster_redis_refills_total") ?? 0) >= 1
            }
            let event = try #require(log.events.first { $0.name == "redis_refilled" })
            #expect(Dictionary(event.fields) { $1 }["batches"] == 8)
            #expect(metrics.value("muster_batches_reoffered_total") == 8)
            try await world.startWorker()
            _ = try await world.wait(for: "all") { $0.statistics.succeeded == 160 }
        }
    }
}
