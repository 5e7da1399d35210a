// Goal: a worker never works on a batch beyond the trust of its lease (invariant I8), and never keeps one it lost (I3).
// Method: the lease table, event by event, on an invented clock.

import JobModel
import LeaseStore
import ServiceKit
import Testing
import Worker

@Suite struct LeaseTableTests {
    let batch = BatchID(job: 1, batch: 2)
    let other = BatchID(job: 1, batch: 3)
    let redis = RedisIncarnation(name: "a", runID: "1")
    let start = Instant(nanoseconds: 0)

    func table() -> LeaseTable {
        var table = LeaseTable()
        table.took([batch, other], from: redis, sent: start)
        table.claimed(batch, fence: Fence(5))
        return table
    }

    @Test func trustEndsBeforeTheLease() {
        let table = table()
        #expect(table.mayWork(on: batch, now: start + Limits.leaseTrust - .nanoseconds(1)))
        #expect(!table.mayWork(on: batch, now: start + Limits.leaseTrust))
        #expect(Limits.leaseTrust < Limits.leaseDuration)
        #expect(!table.mayWork(on: BatchID(job: 9, batch: 9), now: start))
    }

    @Test func renewalCountsFromWhenItWasSent() {
        var table = table()
        let sent = start + .seconds(2)
        #expect(table.renewed([batch], lost: [other], incarnation: redis, sent: sent) == .renewed(lost: [other]))
        #expect(table.mayWork(on: batch, now: sent + Limits.leaseTrust - .nanoseconds(1)))
        #expect(!table.mayWork(on: batch, now: sent + Limits.leaseTrust))
        #expect(!table.mayWork(on: other, now: sent))
        #expect(table.batches == [batch])
    }

    @Test func anotherRedisAsksForTheFences() {
        var table = table()
        let seen = RedisIncarnation(name: "b", runID: "1")
        let sent = start + .seconds(2)
        #expect(table.renewed([], lost: [batch, other], incarnation: seen, sent: sent) == .redisChanged(seen))
        // Nothing is lost yet: PostgreSQL has to say whose the fence is.
        #expect(table.mayWork(on: batch, now: sent))
        table.recreated([batch], of: [batch, other], incarnation: seen, sent: sent)
        #expect(table.batches == [batch])
        #expect(table.mayWork(on: batch, now: sent + .seconds(3)))
        #expect(table.renewed([batch], lost: [], incarnation: seen, sent: sent) == .renewed(lost: []))
    }

    @Test func onlyClaimedBatchesHaveFences() {
        let claimed = table().claimed
        #expect(claimed.map(\.id) == [batch])
        #expect(claimed.map(\.fence) == [Fence(5)])
    }
}
