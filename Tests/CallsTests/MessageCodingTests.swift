// Messages between workers and gateways survive their trip as bytes, and garbage is nil.

import JSON
import RouteStore
import ServiceKit
import Testing

@Suite struct MessageCodingTests {
    @Test func partsAndInquiries() throws {
        let part = CallPart(
            job: 1, batch: -2, fence: 3, number: 4, sendBefore: 5, responseMilliseconds: 6, replyTo: "w",
            method: "lock\"Door", payload: #"{"a":[1,"é"]}"#, items: [.init(seq: 7, attempt: 0, deviceID: "d é")])
        guard case .calls(let back) = try #require(GatewayMessage(GatewayMessage.calls(part).bytes)) else {
            throw Unexpected()
        }
        #expect(back == part)
        let inquiry = Inquiry(
            job: 1, batch: 2, fence: 3, replyTo: "w", items: [.init(seq: 1, attempt: 2, rememberedUntil: 3)])
        guard case .inquiry(let same) = try #require(GatewayMessage(GatewayMessage.inquiry(inquiry).bytes)) else {
            throw Unexpected()
        }
        #expect(same == inquiry)
        let items = [Settlement.Item(seq: 2, attempt: 0), Settlement.Item(seq: 3, attempt: 1)]
        let closed = Settlement(job: 4, items: [], closed: .init(batch: 5, fence: 6))
        guard case .settlement(let last) = try #require(GatewayMessage(GatewayMessage.settlement(closed).bytes)) else {
            throw Unexpected()
        }
        #expect(last == closed)
        let settlement = Settlement(job: 1, items: items)
        guard case .settlement(let equal) = try #require(GatewayMessage(GatewayMessage.settlement(settlement).bytes))
        else {
            throw Unexpected()
        }
        #expect(equal == settlement)
    }

    @Test func desiredAndClose() throws {
        let message = GatewayMessage.desired(DesiredPart(patch: ["a": nil], devices: [("d", 4)]))
        guard case .desired(let part) = try #require(GatewayMessage(message.bytes)) else { throw Unexpected() }
        #expect(part.patch == ["a": nil] && part.devices.map(\.deviceID) == ["d"] && part.devices[0].version == 4)
        // As the script writes it.
        guard case .close(let routes) = try #require(GatewayMessage(Array("x1 1:d3 ".utf8))) else { throw Unexpected() }
        #expect(routes == [SessionRoute(deviceID: "d", session: 3, flags: [])])
        guard
            case .registryChanged(let devices) = try #require(
                GatewayMessage(GatewayMessage.registryChanged(["a", "b"]).bytes))
        else { throw Unexpected() }
        #expect(devices == ["a", "b"])
    }

    @Test func everyOutcome() {
        let outcomes: [CallOutcome] = [
            .answered(status: -1, payload: "null"), .timedOut, .dropped, .invalidAnswer, .forgotten, .inFlight,
            .notConnected, .tooLate, .tooManyInFlight, .neverSent,
        ]
        let part = AnswerPart(
            job: 1, batch: 2, fence: 3, number: 4, gateway: "g~1", items: outcomes.map { .init(seq: 9, outcome: $0) })
        #expect(AnswerPart(part.bytes) == part)
    }

    @Test func theFormThatIsDocumented() throws {
        let part = CallPart(
            job: 1, batch: 2, fence: 1, number: 1, sendBefore: 1_767_225_600_000, responseMilliseconds: 30_000,
            replyTo: "worker~1", method: "lockDoor", payload: "null",
            items: [.init(seq: 7, attempt: 0, deviceID: "sim-17")])
        let text = "c1 2 1 1 1767225600000 30000 8:worker~18:lockDoor4:null1 7 0 6:sim-17"
        #expect(GatewayMessage.calls(part).bytes == Array(text.utf8))
        let settlement = Settlement(job: .min, items: [.init(seq: .max, attempt: 0)])
        guard case .settlement(let back) = try #require(GatewayMessage(GatewayMessage.settlement(settlement).bytes))
        else { throw Unexpected() }
        #expect(back == settlement)
    }

    @Test(arguments: [
        "", "{}", "[]", "c", "z", "s1 ", "s1 1 1 ", "s1 -1 0 ", "s1 0 2 ", "s1 0 1 5 ", "s1 0 0 x",
        "s9223372036854775808 0 0 ",
        "s-9223372036854775809 0 0 ", "s1 99999999999 1 1 0 ", "s1  0 0 ", "s+1 0 0 ", "s- 0 0 ", "x1 1:d", "x1 2:d3 ",
        "x1 -1:d3 ",
        "r1 99:d", "r1 9223372036854775807:d", "a1 2 3 4 1:g1 7 z", "a1 2 3 4 1:g1 7 a200 ", "d1:x0 ", "d2:[]0 ",
        "c1 2 3 4 9223372036854775807 6 1:w1:m1:p0 ", "c1 2 3 4 5 -1 1:w1:m1:p0 ",
        "q1 2 3 1:w1 1 0 9223372036854775807 ",
    ])
    func garbageIsNil(text: String) {
        #expect(GatewayMessage(Array(text.utf8)) == nil)
        #expect(AnswerPart(Array(text.utf8)) == nil)
    }

    @Test func textThatIsNoUTF8IsNil() {
        #expect(GatewayMessage(Array("r1 2:".utf8) + [0xC3, 0x28]) == nil)
    }

    /// Cut anywhere, or with any byte changed, a message is read as what it says or not at all; never a trap.
    @Test func mutationsNeverTrap() {
        let seed: UInt64 = 20_261_121
        let random = SeededRandom(seed: seed)
        let answers = AnswerPart(
            job: 1, batch: 2, fence: 3, number: 4, gateway: "g~1",
            items: [
                .init(seq: 1, outcome: .answered(status: 200, payload: #"{"é":1}"#)), .init(seq: 2, outcome: .dropped),
            ]
        ).bytes
        let calls = GatewayMessage.calls(
            CallPart(
                job: 1, batch: 2, fence: 3, number: 4, sendBefore: 5, responseMilliseconds: 6, replyTo: "w",
                method: "m", payload: "{}", items: [.init(seq: 7, attempt: 0, deviceID: "d")])
        ).bytes
        for cut in 0..<answers.count { #expect(AnswerPart(Array(answers[..<cut])) == nil) }
        for cut in 0..<calls.count { #expect(GatewayMessage(Array(calls[..<cut])) == nil) }
        var read = 0
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? answers : calls
            for _ in 0...random.next() % 3 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next() % 128)
            }
            if round % 2 == 0 {
                // What is read is written again as something that is read the same.
                if let part = AnswerPart(bytes) {
                    read += 1
                    #expect(AnswerPart(part.bytes) == part, "seed \(seed)")
                }
            } else if let message = GatewayMessage(bytes) {
                read += 1
                #expect(GatewayMessage(message.bytes)?.bytes == message.bytes, "seed \(seed)")
            }
        }
        #expect(read > 0)
    }

    private struct Unexpected: Error {}
}
