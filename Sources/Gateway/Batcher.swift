// Collects requests and runs them in batches: one starts as soon as its lane is idle, and whatever arrives meanwhile is
// the next batch. So a single request waits for nobody, and a storm fills the batches.
//
// Requests of one key go through one lane in their order.

private import Synchronization

final class Batcher<Request: Sendable>: Sendable {
    typealias Body = @Sendable ([Request]) async -> Void

    private struct Lane {
        var waiting: [Request] = []
        var isRunning = false
    }

    private let lanes: Mutex<[Lane]>
    private let laneCount: Int
    private let waitingLimit: Int
    private let batchLimit: Int
    /// A key stands at most once in a batch; the next of it waits for the next batch.
    private let isDistinct: Bool
    private let key: @Sendable (Request) -> String
    private let body: Body

    init(
        lanes: Int, waitingLimit: Int, batchLimit: Int, isDistinct: Bool,
        key: @escaping @Sendable (Request) -> String, body: @escaping Body
    ) {
        self.lanes = Mutex(Array(repeating: Lane(), count: lanes))
        laneCount = lanes
        self.waitingLimit = waitingLimit / lanes
        self.batchLimit = batchLimit
        self.isDistinct = isDistinct
        self.key = key
        self.body = body
    }

    /// False when too many wait already.
    func submit(_ request: Request) -> Bool {
        let index = Int(UInt(bitPattern: key(request).hashValue) % UInt(laneCount))
        let (isAccepted, mustStart) = lanes.withLock { lanes in
            guard lanes[index].waiting.count < waitingLimit else { return (false, false) }
            lanes[index].waiting.append(request)
            defer { lanes[index].isRunning = true }
            return (true, !lanes[index].isRunning)
        }
        if mustStart {
            Task {
                while let batch = take(index) { await body(batch) }
            }
        }
        return isAccepted
    }

    var isIdle: Bool { lanes.withLock { $0.allSatisfy { !$0.isRunning } } }

    /// The next batch of a lane; nil ends its run.
    private func take(_ index: Int) -> [Request]? {
        lanes.withLock { lanes in
            let waiting = lanes[index].waiting
            guard !waiting.isEmpty else {
                lanes[index].isRunning = false
                return nil
            }
            guard isDistinct else {
                lanes[index].waiting.removeFirst(min(batchLimit, waiting.count))
                return Array(waiting.prefix(batchLimit))
            }
            var (batch, rest, keys): ([Request], [Request], Set<String>) = ([], [], [])
            for request in waiting {
                if batch.count < batchLimit, keys.insert(key(request)).inserted {
                    batch.append(request)
                } else {
                    rest.append(request)
                }
            }
            lanes[index].waiting = rest
            return batch
        }
    }
}

extension Array {
    /// The elements in pieces of at most `count`.
    func pieces(of count: Int) -> [[Element]] {
        stride(from: 0, to: self.count, by: count).map { Array(self[$0..<Swift.min($0 + count, self.count)]) }
    }
}
