// Ids inside the system, as types, so that arguments cannot be swapped.

/// One batch of one job.
package struct BatchID: Sendable, Hashable, CustomStringConvertible {
    package let job: Int64
    package let batch: Int32

    package init(job: Int64, batch: Int32) {
        self.job = job
        self.batch = batch
    }

    package var description: String { "\(job):\(batch)" }

    /// From `job:batch`, the form in Redis.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let job = Int64(parts[0]), let batch = Int32(parts[1]) else { return nil }
        self.init(job: job, batch: batch)
    }
}

/// Raised at every claim of a batch; a write that names an older one changes nothing.
package struct Fence: Sendable, Hashable, Comparable {
    package let value: Int64
    package init(_ value: Int64) { self.value = value }
    /// Of a batch that nobody has claimed before.
    package var isFirst: Bool { value <= 1 }
    package static func < (left: Fence, right: Fence) -> Bool { left.value < right.value }
}

/// One life of a worker process.
package struct WorkerID: Sendable, Hashable, CustomStringConvertible {
    package let text: String
    package init(_ text: String) { self.text = text }
    package var description: String { text }

    /// Which counter row the worker writes: FNV-1a, the same in every process.
    package var counterShard: Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return Int64(hash % UInt64(Limits.counterShards))
    }
}

/// A batch that a worker holds: everything a later write must name.
package struct ClaimedBatch: Sendable, Hashable {
    package let id: BatchID
    package let fence: Fence
    package let slot: Int64
    package let firstSeq: Int64
    package let lastSeq: Int64
    package let open: Int64
    /// To the job's deadline, when the batch was claimed.
    package let timeLeft: Duration

    package init(
        id: BatchID, fence: Fence, slot: Int64, firstSeq: Int64, lastSeq: Int64, open: Int64,
        timeLeft: Duration = .zero
    ) {
        self.id = id
        self.fence = fence
        self.slot = slot
        self.firstSeq = firstSeq
        self.lastSeq = lastSeq
        self.open = open
        self.timeLeft = timeLeft
    }
}
