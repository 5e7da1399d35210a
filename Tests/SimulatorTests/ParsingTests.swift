// Goal: what stands on the command line means what it says, and nothing else is taken; the draws are deterministic and have
// the wanted shares.
// Method: tables of texts, and many devices.

import Testing

@testable import Simulator

@Suite struct ParsingTests {
    @Test(arguments: [
        ("0", Latency.none), ("0ms", .none), ("20ms", .fixed(.milliseconds(20))), ("1.5s", .fixed(.milliseconds(1500))),
        ("10ms..80ms", .uniform(.milliseconds(10) ... .milliseconds(80))),
        ("10..80ms", .uniform(.milliseconds(10) ... .milliseconds(80))),
        ("0..2s", .uniform(.zero ... .seconds(2))), ("5ms..5ms", .fixed(.milliseconds(5))),
        ("exp:50ms", .exponential(mean: .milliseconds(50))),
    ])
    func latencies(text: String, expected: Latency) { #expect(Latency(text) == expected) }

    @Test(arguments: [
        "", "20", "-5ms", "80ms..10ms", "10ms..", "..10ms", "10ms...80ms", "exp:", "exp:0ms", "exp:50", "2h", "1ms..2h",
        "ms",
    ])
    func noLatencies(text: String) { #expect(Latency(text) == nil) }

    @Test func drawsFollowTheDistribution() {
        let random = DeviceRandom(seed: 7)
        func draws(_ latency: Latency) -> [Double] {
            (0..<4000).map { latency.draw(random.unit(.latency, device: $0)) / Duration.milliseconds(1) }
        }
        #expect(draws(.none).allSatisfy { $0 == 0 })
        #expect(draws(.fixed(.milliseconds(3))).allSatisfy { $0 == 3 })
        let uniform = draws(.uniform(.milliseconds(10) ... .milliseconds(80)))
        #expect(uniform.allSatisfy { (10...80).contains($0) })
        #expect((42...48).contains(uniform.reduce(0, +) / 4000))
        let exponential = draws(.exponential(mean: .milliseconds(50)))
        #expect((46...54).contains(exponential.reduce(0, +) / 4000))
        #expect(exponential.allSatisfy { $0 >= 0 && $0 <= 1000 })
        // The worst possible draw is finite.
        #expect(Latency.exponential(mean: .milliseconds(50)).draw(1.0.nextDown) <= .seconds(1))
    }

    @Test(arguments: [("0", 0.0), ("1", 1), ("0.25", 0.25), ("25%", 0.25), ("100%", 1), (".5", 0.5)])
    func shares(text: String, expected: Double) { #expect(Share.parse(text) == expected) }

    @Test(arguments: ["", "%", "-0.1", "1.1", "101%", "nan", "inf", "1e-3", "0.5.5", "half"])
    func noShares(text: String) { #expect(Share.parse(text) == nil) }

    @Test func methods() throws {
        #expect(try MethodHandler("reboot=200").reply == .answer(status: 200, body: nil))
        #expect(
            try MethodHandler("a=-1:{\"x\": [1, \"=:\"]}").reply
                == .answer(status: -1, body: Array(#"{"x":[1,"=:"]}"#.utf8)))
        #expect(try MethodHandler("quiet=none").reply == .none)
        for text in ["", "reboot", "=200", "reboot=", "reboot=ok", "reboot=200:{", "reboot=200:", "reboot=3000000000"] {
            #expect(throws: MethodHandler.Failure.self, "\(text)") { try MethodHandler(text) }
        }
        let handlers = MethodHandlers([try MethodHandler("a=1"), try MethodHandler("*=404"), try MethodHandler("a=2")])
        #expect(handlers.reply(to: "a") == .answer(status: 2, body: nil))
        #expect(handlers.reply(to: "b") == .answer(status: 404, body: nil))
        #expect(MethodHandlers().reply(to: "b") == .answer(status: 200, body: nil))
    }

    @Test func traitsDependOnSeedAndNumberOnly() {
        let shares = DeviceTraits.Shares(offline: 0.1, silent: 0.3, flapping: 0.5)
        func fleet(_ seed: UInt64) -> [DeviceTraits] {
            (0..<5000).map { DeviceTraits(shares, DeviceRandom(seed: seed), device: $0) }
        }
        let devices = fleet(1)
        #expect(devices == fleet(1))
        #expect(devices != fleet(2))
        #expect((420...580).contains(devices.count { $0.isOffline }))
        #expect((1380...1620).contains(devices.count { $0.isSilent }))
        #expect((2350...2650).contains(devices.count { $0.isFlapping }))
        // Independent of each other.
        #expect((100...200).contains(devices.count { $0.isOffline && $0.isSilent }))
        let all = DeviceTraits(DeviceTraits.Shares(offline: 1), DeviceRandom(seed: 1), device: 3)
        #expect(all.isOffline && !all.isSilent && !all.isFlapping)
    }
}
