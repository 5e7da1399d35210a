// What the work on an item may cost the servers, by their own counters. Raising a number here is a decision to be slower;
// lower it when the product has become cheaper.
//
// Each limit is about a fifth above what was measured when it was set. Time is not judged; it is only allowed for, because
// polls, heartbeats and renewals come by the clock, and a slow machine sees more of them during the same work.

struct CostLimit: Sendable {
    /// Per item or per batch.
    let each: Double
    /// And per second that the work took.
    var perSecond = 0.0

    func allows(_ cost: Int, of count: Int, seconds: Double) -> Bool {
        Double(cost) <= each * Double(count) + perSecond * seconds
    }
}

enum CostLimits {
    /// Statements of heartbeats, of the sweep each second, and of the leader's rounds that nobody asked for.
    private static let polledStatements = 8.0
    /// Renewals, wake-ups and polls of the worker, the leader and the test's gateway.
    private static let polledReads = 20.0
    private static let polledNetworkBytes = 3000.0
    private static let polledWALBytes = 4000.0

    enum Expansion {
        /// Measured 11 to 14: there are few chunks, so that the leader's rounds for the job weigh.
        static let statementsPerChunk = CostLimit(each: 17, perSecond: polledStatements)
        /// Measured 300: the item, two index entries, and the batch's share.
        static let walBytesPerItem = CostLimit(each: 360, perSecond: polledWALBytes)
        /// Measured 0.1: Redis holds batches, not items.
        static let redisBytesPerItem = CostLimit(each: 0.13)
    }

    enum TwinPatch {
        /// Measured 2.5: a claim and the fused statement, and the leader's rounds.
        static let statementsPerBatch = CostLimit(each: 2.8, perSecond: polledStatements)
        /// Measured 4.3.
        static let redisReadsPerBatch = CostLimit(each: 4.8, perSecond: polledReads)
        /// Measured 2.4.
        static let redisNetworkBytesPerItem = CostLimit(each: 3, perSecond: polledNetworkBytes)
        /// Measured 762: the new version of the twin and of the item.
        static let walBytesPerItem = CostLimit(each: 900, perSecond: polledWALBytes)
    }

    /// With the test's gateway, whose reads and bytes are in it.
    enum Method {
        /// Measured 4.6: claim, open items, dispatch and one record; the leader is told when the job may be done.
        static let statementsPerBatch = CostLimit(each: 5.6, perSecond: polledStatements)
        /// Measured 9.
        static let redisReadsPerBatch = CostLimit(each: 11, perSecond: polledReads)
        /// Measured 137: the call and its answer, each in and out. 158 when messages were JSON.
        static let redisNetworkBytesPerItem = CostLimit(each: 165, perSecond: polledNetworkBytes)
        /// Measured 176: the new version of the item with the answer. 308 when it had no room beside the first one.
        static let walBytesPerItem = CostLimit(each: 212, perSecond: polledWALBytes)
    }
}
