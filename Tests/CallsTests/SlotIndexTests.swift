// The index against a dictionary that is given the same changes; hashes collide often, so that every chain is walked.

import ServiceKit
import Testing

@testable import Calls

@Suite struct SlotIndexTests {
    @Test(arguments: [UInt64(4), 64, 1 << 32])
    func agreesWithADictionary(hashes: UInt64) {
        let seed: UInt64 = 20_261_121
        let random = SeededRandom(seed: seed)
        var keys: [UInt64] = []
        var index = SlotIndex()
        var known: [UInt64: Int32] = [:]
        func hash(_ key: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: UInt64(SlotIndex.hash(key)) % hashes) }
        func found(_ key: UInt64) -> Int32? { index.slot(hash(key)) { keys[Int($0)] == key } }
        for step in 0..<20_000 {
            let key = random.next() % 300
            // Grows, shrinks, and grows again.
            let wantsMore = step / 5000 % 2 == 0
            switch (known[key], random.next() % 4) {
            case (nil, let dice) where wantsMore || dice == 0:
                keys.append(key)
                index.insert(Int32(keys.count - 1), hash(key))
                known[key] = Int32(keys.count - 1)
            case (let slot?, let dice) where !wantsMore || dice == 0:
                index.remove(slot, hash(key))
                known[key] = nil
            case (let slot?, _):
                keys.append(key)
                index.replace(slot, by: Int32(keys.count - 1), hash(key))
                known[key] = Int32(keys.count - 1)
            case (nil, _):
                break
            }
            #expect(found(key) == known[key], "seed \(seed) step \(step)")
            #expect(index.count == known.count)
        }
        for key in UInt64(0)..<300 { #expect(found(key) == known[key]) }
        var slots: Set<Int32> = []
        index.forEach { slots.insert($0) }
        #expect(slots == Set(known.values))
    }

    @Test func anEmptyOneFindsNothing() {
        var index = SlotIndex()
        #expect(index.slot(1) { _ in true } == nil)
        index.remove(1, 1)
        #expect(index.count == 0)
    }
}
