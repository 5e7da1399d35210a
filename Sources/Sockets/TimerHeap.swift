// A binary heap of deadlines. An entry cannot be removed; its owner ignores it when it comes, which keeps entries small
// and setting a deadline cheap.

internal import ServiceKit

struct TimerHeap<Owner> {
    private var entries: [(deadline: Instant, owner: Owner)] = []

    var first: Instant? { entries.first?.deadline }
    var count: Int { entries.count }

    mutating func insert(_ owner: Owner, at deadline: Instant) {
        entries.append((deadline, owner))
        var index = entries.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard entries[index].deadline < entries[parent].deadline else { break }
            entries.swapAt(index, parent)
            index = parent
        }
    }

    /// Removes and returns the earliest entry if its deadline is not after `now`.
    mutating func popDue(_ now: Instant) -> (deadline: Instant, owner: Owner)? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        let last = entries.removeLast()
        guard !entries.isEmpty else { return first }
        entries[0] = last
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < entries.count && entries[child].deadline < entries[smallest].deadline {
                smallest = child
            }
            guard smallest != index else { return first }
            entries.swapAt(index, smallest)
            index = smallest
        }
    }
}
