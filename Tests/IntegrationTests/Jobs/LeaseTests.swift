// Goal: only the current fence writes (I3), work of a dead worker runs elsewhere, and losing Redis costs only time (I6).
// Method: real stores; a "dead" worker is one that claims and falls silent, a lost Redis is FLUSHDB.

import Coordinator
import JSON
import JobModel
import JobStore
import LeaseStore
import Postgres
import Redis
import ServiceKit
import TestKit
import Testing
import TwinModel
import Worker

@Suite struct LeaseTests {
    let patch = JobStore.BatchPatch(TwinUpdate(stored: ["tags": ["a": 1]]))

    @Test func anOlderFenceWritesNothing() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(10) { _ in [:] }
            try await world.startCoordinator()
            _ = try await world.put("fence", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "fence") { $0.statistics.devices == 10 }
            let id = try #require(try await world.store.readyBatches(after: nil, limit: 1).first)
            let old = try #require(try await world.store.claim([id], worker: WorkerID("old")).first)
            #expect(try await world.store.claim([id], worker: WorkerID("thief")).isEmpty)
            #expect(try await world.store.giveBack([(id, old.fence)]) == [id])
            let new = try #require(try await world.store.claim([id], worker: WorkerID("new")).first)
            #expect(new.fence > old.fence)
            let seqs = old.firstSeq...old.lastSeq
            #expect(try await world.store.patch(old, seqs: seqs, with: patch, shard: 0) == .leaseLost)
            #expect(try await world.query("SELECT count(*) AS n FROM twins WHERE tags ? 'a'") == 0)
            #expect(try await world.store.giveBack([(id, old.fence)]).isEmpty)
            #expect(
                try await world.store.patch(new, seqs: seqs, with: patch, shard: 0)
                    == .recorded(succeeded: 10, failed: 0, open: 0, changed: []))
            // The same write once more: the batch is closed, and no twin is patched a second time.
            #expect(try await world.store.patch(new, seqs: seqs, with: patch, shard: 0) == .leaseLost)
            #expect(try await world.query("SELECT count(*) AS n FROM twins WHERE etag = 2") == 10)
        }
    }

    @Test func workOfASilentWorkerRunsElsewhere() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(10) { _ in [:] }
            try await world.startCoordinator()
            _ = try await world.put("silent", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "silent") { $0.statistics.devices == 10 }
            let dead = WorkerID("dead")
            let taken = try await world.takeWhenOffered(dead)
            let old = try #require(try await world.store.claim(taken, worker: dead).first)
            let died = world.clock.now
            try await world.startWorker()
            let done = try await world.wait(for: "silent", until: \.state.isEnded)
            let takeover = world.clock.now - died
            #expect(takeover < .seconds(30), "took over after \(takeover)")
            #expect(done.statistics.succeeded == 10)
            let late = try await world.store.patch(old, seqs: old.firstSeq...old.lastSeq, with: patch, shard: 0)
            #expect(late == .leaseLost)
            #expect(try await world.query("SELECT count(*) AS n FROM twins WHERE etag = 2") == 10)
        }
    }

    @Test func aFlushedRedisLosesNothing() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(15_000) { _ in [:] }
            try await world.startCoordinator()
            _ = try await world.put("flush", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "flush") { $0.statistics.devices >= 1000 }
            try await world.flushRedis()
            try await world.startWorker()
            _ = try await world.wait(for: "flush") { $0.statistics.succeeded > 0 }
            try await world.flushRedis()
            let done = try await world.wait(for: "flush", until: \.state.isEnded)
            #expect(done.statistics == JobStatistics(devices: 15_000, succeeded: 15_000))
            #expect(try await world.query("SELECT count(*) AS n FROM twins WHERE etag = 2") == 15_000)
        }
    }

    @Test func jobsTakeTurns() async throws {
        try await JobWorld.run { world in
            let worker = WorkerID("w")
            try await world.leases.offer((0..<6).map { BatchID(job: 1, batch: $0) })
            try await world.leases.offer((0..<2).map { BatchID(job: 2, batch: $0) })
            try await world.leases.offer([BatchID(job: 7, batch: 0)])
            let taken = try await world.leases.take(worker: worker, count: 5, passing: []).batches
            #expect(taken.map(\.job) == [1, 2, 7, 1, 2])
            // Job 1 fills its share: it is passed over while another has work, and served when none has.
            try await world.leases.offer([BatchID(job: 9, batch: 0)])
            #expect(
                try await world.leases.take(worker: worker, count: 3, passing: [1]).batches.map(\.job) == [9, 1, 1])
            // Offering what is leased or offered changes nothing.
            #expect(try await world.leases.offer([BatchID(job: 1, batch: 0), BatchID(job: 1, batch: 5)]) == 0)
            #expect(try await world.leases.forget(job: 1) == 2)
            #expect(try await world.leases.take(worker: worker, count: 3, passing: []).batches.isEmpty)
            let renewed = try await world.leases.renew(worker: worker, batches: [taken[0], BatchID(job: 3, batch: 3)])
            #expect(renewed.lost == [BatchID(job: 3, batch: 3)])
            #expect(try await world.leases.renew(worker: WorkerID("x"), batches: [taken[0]]).lost == [taken[0]])
            try await world.leases.release(worker: worker, batches: [taken[0]])
            #expect(try await world.leases.unleased(taken) == [taken[0]])
        }
    }

    /// Content that is lost twice gets two names, or nobody would learn of the second loss.
    @Test func everyLossOfRedisHasAName() async throws {
        try await JobWorld.run { world in
            var sweeper = Sweeper(
                store: world.store, leases: world.leases, clock: world.clock, random: SystemRandom(),
                log: .silent, metrics: Metrics())
            var names: Set<String> = []
            for _ in 0..<3 {
                try await sweeper.sweep()
                names.insert(try await world.leases.identify(candidate: "test").name)
                try await world.flushRedis()
            }
            #expect(names.count == 3 && !names.contains("test"))
        }
    }

    /// A lease that ends later than one that begins now is cut, so that a dead worker's batch waits for no clock.
    @Test func clockSetBack() async throws {
        try await JobWorld.run { world in
            let batches = (0..<2).map { BatchID(job: 1, batch: $0) }
            try await world.leases.offer(batches)
            #expect(try await world.leases.take(worker: WorkerID("w"), count: 2, passing: []).batches == batches)
            func ends() async throws -> [Double] {
                try await world.redis.pipeline(
                    batches.map { ["ZSCORE", "{muster}:leases", .text($0.leaseMember)] }
                ).compactMap { $0.text.flatMap(Double.init) }
            }
            let before = try #require(try await ends().min())
            // What an hour back of Redis' clock would be.
            _ = try await world.redis.pipeline(
                batches.map { ["ZINCRBY", "{muster}:leases", "3600000", .text($0.leaseMember)] })
            #expect(try await world.leases.unleased([batches[0]]).isEmpty)
            #expect(try await world.leases.offer([batches[1]]) == 0)
            let after = try await ends()
            #expect(after.count == 2 && after.allSatisfy { $0 < before + 120_000 }, "\(before), \(after)")
        }
    }

    /// A worker that reaches Redis and not PostgreSQL must not keep from others, for a lease's time, what it takes.
    @Test func aWorkerWithoutPostgresHandsOnWhatItTakes() async throws {
        try await JobWorld.run { world in
            let address = "\(try #require(world.stores).postgresConnectionString) dbname=missing"
            let (log, metrics) = (TestLog(), Metrics())
            let pool = PostgresPool(
                PostgresConfiguration(connectionString: address), clock: world.clock, random: SystemRandom(),
                log: .silent, metrics: metrics)
            let worker = Worker(
                id: WorkerID("cut-off"), configuration: .init(), store: JobStore(pool: pool), leases: world.leases,
                routes: world.routes, clock: world.clock, random: SystemRandom(), log: log.log, metrics: metrics)
            let batch = BatchID(job: 1, batch: 0)
            try await world.leases.offer([batch])
            let run = Task { await worker.run() }
            try await eventually("a failed claim", within: JobWorld.patience) {
                log.events.contains { $0.name == "lane_failed" }
            }
            run.cancel()
            await run.value
            #expect(try await world.leases.take(worker: WorkerID("next"), count: 1, passing: []).batches == [batch])
            await pool.close()
        }
    }

    @Test func drainedWorkerHandsBackAndAnotherGoesOn() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(12_000) { _ in [:] }
            try await world.startCoordinator()
            let first = try await world.startWorker()
            _ = try await world.put("drain", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "drain") { $0.statistics.succeeded > 0 }
            await world.stop(first)
            #expect(try await world.query("SELECT count(*) AS n FROM work_batches WHERE state = 'claimed'") == 0)
            try await world.startWorker()
            let done = try await world.wait(for: "drain", until: \.state.isEnded)
            #expect(done.statistics.succeeded == 12_000)
            #expect(try await world.query("SELECT count(*) AS n FROM twins WHERE etag = 2") == 12_000)
        }
    }
}
