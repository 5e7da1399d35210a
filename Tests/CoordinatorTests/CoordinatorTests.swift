// Goal: the coordinator's decisions without any store. Method: the pure parts, event by event.

import Coordinator
import JobModel
import JobStore
import LeaseStore
import ServiceKit
import Testing

@Suite struct ChunkPlanTests {
    @Test func chunksGrowToTheMaximum() {
        #expect((0..<5).map { ChunkPlan.chunkSize(chunk: $0) } == [1000, 5000, 25_000, 50_000, 50_000])
        #expect(ChunkPlan.chunkSize(chunk: 1_000_000) == Limits.chunkDevicesMaximum)
    }

    @Test(arguments: [(0, 20), (1, 20), (160, 20), (400, 50), (4000, 500), (10_000, 500)])
    func smallJobsAreCutFiner(_ devices: Int, _ size: Int) {
        #expect(ChunkPlan.batchSize(forDevices: devices) == size)
    }

    /// Every chunk but the last is a whole number of full batches, so that no batch is cut short in the middle.
    @Test(arguments: JobType.allCases) func chunksAreWholeBatches(_ type: JobType) {
        for chunk in 0..<5 {
            let size = ChunkPlan.chunkSize(chunk: chunk)
            #expect(size % ChunkPlan.batchSize(type, chunkSize: size) == 0)
        }
    }

    @Test func largeTwinJobsHaveLargeBatches() {
        let sizes = (0..<5).map { ChunkPlan.batchSize(.updateTwin, chunkSize: ChunkPlan.chunkSize(chunk: $0)) }
        #expect(sizes == [500, 500, 500, 2000, 2000])
        #expect(ChunkPlan.batchSize(.deviceMethod, chunkSize: Limits.chunkDevicesMaximum) == 500)
        #expect(Limits.endChunkBatches > 0)
    }
}

@Suite struct SweepJudgeTests {
    let first = RedisIncarnation(name: "a", runID: "1")
    let start = Instant(nanoseconds: 0)

    @Test func waitsBeforeItReclaims() {
        var judge = SweepJudge()
        #expect(judge.judge(first, now: start) == .init(mayReclaim: false, shouldReoffer: true))
        let early = judge.judge(first, now: start + Limits.sweepGrace - .milliseconds(1))
        #expect(!early.mayReclaim)
        #expect(judge.judge(first, now: start + Limits.sweepGrace).mayReclaim)
    }

    @Test(arguments: [RedisIncarnation(name: "b", runID: "1"), RedisIncarnation(name: "a", runID: "2")])
    func anotherRedisStartsTheWaitAnew(_ other: RedisIncarnation) {
        var judge = SweepJudge()
        _ = judge.judge(first, now: start)
        let later = start + .seconds(60)
        #expect(judge.judge(first, now: later).mayReclaim)
        #expect(judge.judge(other, now: later) == .init(mayReclaim: false, shouldReoffer: true))
        #expect(!judge.judge(other, now: later + .seconds(1)).mayReclaim)
        #expect(judge.judge(other, now: later + Limits.sweepGrace).mayReclaim)
    }

    @Test func offersAgainNowAndThen() {
        var judge = SweepJudge()
        _ = judge.judge(first, now: start)
        #expect(!judge.judge(first, now: start + .seconds(1)).shouldReoffer)
        #expect(judge.judge(first, now: start + Limits.reofferInterval).shouldReoffer)
        #expect(!judge.judge(first, now: start + Limits.reofferInterval + .seconds(1)).shouldReoffer)
    }
}

@Suite struct GatewayJudgeTests {
    private let start = Instant(nanoseconds: 0)

    private func beat(_ name: String, _ seen: Int64) -> GatewayBeatRecord {
        GatewayBeatRecord(gateway: name, incarnation: "1", seen: seen)
    }

    @Test func aGatewayThatDoesNotBeatIsGone() {
        var judge = GatewayJudge()
        for second in 0..<8 {
            let beats = [beat("dead", 1), beat("alive", Int64(second))]
            #expect(judge.silent(beats, now: start + .seconds(second)).isEmpty)
        }
        #expect(judge.silent([beat("dead", 1), beat("alive", 8)], now: start + .seconds(8)) == [beat("dead", 1)])
        // A new life under the old name is another gateway.
        let reborn = GatewayBeatRecord(gateway: "dead", incarnation: "2", seen: 1)
        #expect(judge.silent([reborn], now: start + .seconds(9)).isEmpty)
    }

    @Test(arguments: [3, 60, 100_000])
    func afterAnOutageOfPostgreSQLGatewaysHaveTimeToBeat(seconds: Int) {
        var judge = GatewayJudge()
        for second in 0..<3 { _ = judge.silent([beat("g", 1)], now: start + .seconds(second)) }
        #expect(judge.silent([beat("g", 2)], now: start + .seconds(3)).isEmpty)
        // Nobody could beat, and nobody could look, for a long time; or one look took that long.
        let back = start + .seconds(3 + seconds)
        for second in 0..<5 { #expect(judge.silent([beat("g", 2)], now: back + .seconds(second)).isEmpty) }
        #expect(judge.silent([beat("g", 3)], now: back + .seconds(5)).isEmpty)
    }
}
