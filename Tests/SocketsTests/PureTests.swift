// Goal: the pure parts of the socket layer. Method: against obvious models, with random operations from a seed.

import ServiceKit
import Testing

@testable import Sockets

@Suite struct PureTests {
    @Test(arguments: [SystemRandom().next(), 1])
    func outputBufferIsAQueueOfBytes(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        var buffer = OutputBuffer()
        var model: [UInt8] = []
        for round in 0..<5000 {
            let count = Int(random.next() % 40)
            if random.next() % 2 == 0 {
                let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                if round % 3 == 0 {
                    bytes.withUnsafeBytes { buffer.append($0) }
                } else {
                    buffer.append(bytes)
                }
                model += bytes
            } else {
                let taken = min(count, model.count)
                buffer.consume(taken)
                model.removeFirst(taken)
            }
            guard buffer.withBytes({ Array($0) }) == model, buffer.count == model.count else {
                Issue.record("seed \(seed), round \(round)")
                return
            }
        }
    }

    @Test(arguments: [SystemRandom().next(), 1])
    func timersComeInOrder(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        var heap = TimerHeap<Int>()
        var model: [Int64] = []
        for round in 0..<2000 {
            if random.next() % 3 != 0 {
                let deadline = Int64(random.next() % 1000)
                heap.insert(round, at: Instant(nanoseconds: deadline))
                model.append(deadline)
            } else {
                let now = Int64(random.next() % 1000)
                model.sort()
                let expected = model.first.flatMap { $0 <= now ? $0 : nil }
                let popped = heap.popDue(Instant(nanoseconds: now))
                if expected != nil { model.removeFirst() }
                guard popped?.deadline.nanoseconds == expected, heap.count == model.count else {
                    Issue.record("seed \(seed), round \(round)")
                    return
                }
            }
        }
    }

    @Test func slotsHaveALimitAndWakeTheWaiter() {
        let slots = ConnectionSlots(limit: 2)
        let isFree = ConnectionSlots(limit: 1)
        let taken = (0..<3).map { _ in slots.take(orWait: { _ = isFree.take(orWait: {}) }) }
        #expect(taken == [true, true, false])
        #expect(slots.count == 2)
        #expect(isFree.count == 0)
        slots.release()
        #expect(isFree.count == 1)
        slots.release()
        #expect(isFree.count == 1, "told once")
        #expect(slots.count == 0)
    }

    @Test func addressesHaveTheirText() async throws {
        #expect(SocketAddress.host("::1", port: 80).description == "[::1]:80")
        #expect(SocketAddress.host("a", port: 80).description == "a:80")
        #expect(SocketAddress.unix(path: "/x").port == nil)
        let texts = [
            try await ResolvedAddress.resolve(.host("127.0.0.1", port: 80)),
            try await ResolvedAddress.resolve(.host("::1", port: 443)),
            try await ResolvedAddress.resolve(.unix(path: "/x")),
        ].map { $0.map(\.description) }
        #expect(texts == [["127.0.0.1:80"], ["[::1]:443"], ["unix"]])
        await #expect(throws: SocketError.self) { try await ResolvedAddress.resolve(.host("a", port: 70_000)) }
        let long = String(repeating: "a", count: 108)
        await #expect(throws: SocketError.self) { try await ResolvedAddress.resolve(.unix(path: long)) }
    }
}
