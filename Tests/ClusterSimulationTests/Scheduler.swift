// Virtual time: a heap of events and a clock that jumps from one to the next. One seed decides everything, so a run can
// be repeated to the last event. Times are microseconds.

/// SplitMix64 as a value: cheap enough for every delay of every message.
struct SeedRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func chance(_ probability: Double) -> Bool { Double(next() >> 11) * 0x1p-53 < probability }
    /// Uniform between two times.
    mutating func time(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }
    mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }
}

extension Int64 {
    static func milliseconds(_ count: Int64) -> Int64 { count * 1000 }
    static func seconds(_ count: Int64) -> Int64 { count * 1_000_000 }
}

/// What happens when: the process that it happens to, and in which of its lives.
struct Event {
    let time: Int64
    let order: Int
    let process: Process?
    let life: Int
    let action: () -> Void

    func isBefore(_ other: Event) -> Bool { time != other.time ? time < other.time : order < other.order }
}

/// A binary heap of events.
struct EventHeap {
    private var events: [Event] = []
    private var order = 0

    var isEmpty: Bool { events.isEmpty }
    var nextTime: Int64? { events.first?.time }

    mutating func push(at time: Int64, for process: Process?, life: Int, _ action: @escaping () -> Void) {
        order += 1
        events.append(Event(time: time, order: order, process: process, life: life, action: action))
        var child = events.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard events[child].isBefore(events[parent]) else { return }
            events.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> Event? {
        guard let first = events.first, let last = events.popLast() else { return nil }
        guard !events.isEmpty else { return first }
        events[0] = last
        var parent = 0
        while true {
            var child = parent * 2 + 1
            guard child < events.count else { return first }
            if child + 1 < events.count, events[child + 1].isBefore(events[child]) { child += 1 }
            guard events[child].isBefore(events[parent]) else { return first }
            events.swapAt(child, parent)
            parent = child
        }
    }

    mutating func removeAll() { events = [] }
}
