// Goal: the pure parts of the gateway. Method: values in, values out.

import JSON
import MQTT
import RouteStore
import ServiceKit
import SessionStore
import Synchronization
import TestKit
import Testing
import TwinModel

@testable import Gateway

@Suite struct GatewayPartsTests {
    @Test func wordsOfSubscriptions() {
        let all = SubscriptionSet(words: HubSubscription.allCases.map(\.rawValue))
        #expect(all.words == ["methods", "twinResults", "desired", "deviceBound"])
        #expect(SubscriptionSet(words: ["desired", "from another release"]).words == ["desired"])
        #expect(SubscriptionSet(words: []).flags == [])
        #expect(SubscriptionSet(words: ["methods", "twinResults"]).flags == [.methods])
        #expect(all.flags == [.methods, .desired])
        for one in HubSubscription.allCases { #expect(SubscriptionSet(one).words == [one.rawValue]) }
    }

    @Test(arguments: [
        ("{}", #"{"$version":9223372036854775807}"#),
        (#"{"a":null}"#, #"{"a":null,"$version":9223372036854775807}"#),
        (#"{"a":{"b":[]},"c":"}"}"#, #"{"a":{"b":[]},"c":"}","$version":9223372036854775807}"#),
    ])
    func bodiesOfNotifications(patch: String, body: String) throws {
        let object = try #require(try JSONValue(parsing: patch).objectValue)
        #expect(String(decoding: DesiredNotification(object).body(version: .max), as: UTF8.self) == body)
    }

    @Test func silenceIsOneAndAHalfTimesTheKeepAlive() {
        #expect(GatewayLimits.silence(keepAlive: 60) == .seconds(90))
        #expect(GatewayLimits.silence(keepAlive: 1) == .milliseconds(1500))
        #expect(GatewayLimits.silence(keepAlive: .max) == .milliseconds(98_302_500))
    }

    @Test func answersOfFailedTwinRequests() throws {
        let errors = TwinErrors(clock: SystemClock(), random: SeededRandom(seed: 1))
        func store(_ code: StoreError.Code) -> StoreError {
            StoreError(code: code, effect: .none, operation: "o", message: "secret")
        }
        let cases: [(MQTTPublish, Int, Int64)] = [
            (errors.answer(.noDevice, rid: "r"), 404, 404_001), (errors.answer(.throttled, rid: "r"), 429, 429_001),
            (errors.answer(.mismatch(4), rid: "r"), 412, 412_001), (errors.answer(.absent, rid: "r"), 404, 404_001),
            (errors.answer(.refused(TwinModelError("f", "m")), rid: "r"), 400, 400_004),
            (errors.answer(TwinRefusal(store(.unavailable)), rid: "r"), 503, 503_001),
            (errors.answer(TwinRefusal(store(.timeout)), rid: "r"), 503, 503_001),
            (errors.answer(TwinRefusal(store(.invalidData)), rid: "r"), 400, 400_004),
            (errors.answer(TwinRefusal(store(.fatal)), rid: "r"), 500, 500_001),
        ]
        for (answer, status, code) in cases {
            #expect(HubPublish(topic: answer.topic) == .twinResult(status: status, rid: "r", version: nil))
            let text = String(decoding: answer.payload, as: UTF8.self)
            #expect(try JSONValue(parsing: text)["errorCode"] == .integer(code))
            #expect(!text.contains("secret"))
        }
        let done = errors.answer(.done(5), rid: "r")
        #expect(HubPublish(topic: done.topic) == .twinResult(status: 204, rid: "r", version: 5))
        #expect(done.payload.isEmpty)
    }

    @Test(arguments: [(0, []), (1, [1]), (2, [2]), (5, [2, 2, 1])])
    func pieces(count: Int, sizes: [Int]) {
        let pieces = Array(0..<count).pieces(of: 2)
        #expect(pieces.map(\.count) == sizes && pieces.flatMap { $0 } == Array(0..<count))
    }
}

@Suite struct BatcherTests {
    private final class Gate: Sendable {
        private struct State {
            var isOpen = false
            var waiting: [CheckedContinuation<Void, Never>] = []
        }
        private let state = Mutex(State())

        func pass() async {
            await withCheckedContinuation { continuation in
                let isOpen = state.withLock { state in
                    if !state.isOpen { state.waiting.append(continuation) }
                    return state.isOpen
                }
                if isOpen { continuation.resume() }
            }
        }

        func open() {
            let waiting = state.withLock { state in
                state.isOpen = true
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    /// Goal: what arrives during a batch is the next, within the limit, keys apart where asked. Method: the first batch
    /// waits at a gate.
    @Test(arguments: [(true, [[1], [2, 3, 4], [2, 4]]), (false, [[1], [2, 3, 2], [4, 4]])])
    func batches(isDistinct: Bool, expected: [[Int]]) async throws {
        let gate = Gate()
        let seen = Mutex<[[Int]]>([])
        let batcher = Batcher<Int>(
            lanes: 1, waitingLimit: 5, batchLimit: 3, isDistinct: isDistinct, key: { String($0) },
            body: { batch in
                seen.withLock { $0.append(batch) }
                await gate.pass()
            })
        #expect(batcher.submit(1))
        try await eventually("the first batch runs") { seen.withLock { $0.count } == 1 }
        for request in [2, 3, 2, 4, 4] { #expect(batcher.submit(request)) }
        #expect(!batcher.submit(5), "too many wait")
        #expect(!batcher.isIdle)
        gate.open()
        try await eventually("all have run") { batcher.isIdle }
        #expect(seen.withLock { $0 } == expected)
        #expect(batcher.submit(6), "an idle lane starts again")
        try await eventually("it has run") { seen.withLock { $0.last } == [6] }
    }
}
