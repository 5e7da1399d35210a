// Messages between workers and gateways survive their trip as text, and garbage is nil.

import JSON
import RouteStore
import Testing

@Suite struct MessageCodingTests {
    @Test func partsAndInquiries() throws {
        let part = CallPart(
            job: 1, batch: -2, fence: 3, number: 4, sendBefore: 5, responseMilliseconds: 6, replyTo: "w",
            method: "lock\"Door", payload: #"{"a":[1,"é"]}"#, items: [.init(seq: 7, attempt: 0, deviceID: "d é")])
        guard case .calls(let back) = try #require(GatewayMessage(GatewayMessage.calls(part).text)) else {
            throw Unexpected()
        }
        #expect(back == part)
        let inquiry = Inquiry(
            job: 1, batch: 2, fence: 3, replyTo: "w", items: [.init(seq: 1, attempt: 2, rememberedUntil: 3)])
        guard case .inquiry(let same) = try #require(GatewayMessage(GatewayMessage.inquiry(inquiry).text)) else {
            throw Unexpected()
        }
        #expect(same == inquiry)
        let items = [Settlement.Item(seq: 2, attempt: 0), Settlement.Item(seq: 3, attempt: 1)]
        let closed = Settlement(job: 4, items: [], closed: .init(batch: 5, fence: 6))
        guard case .settlement(let last) = try #require(GatewayMessage(GatewayMessage.settlement(closed).text)) else {
            throw Unexpected()
        }
        #expect(last == closed)
        let settlement = Settlement(job: 1, items: items)
        guard case .settlement(let equal) = try #require(GatewayMessage(GatewayMessage.settlement(settlement).text))
        else {
            throw Unexpected()
        }
        #expect(equal == settlement)
    }

    @Test func desiredAndClose() throws {
        let message = GatewayMessage.desired(DesiredPart(patch: ["a": nil], devices: [("d", 4)]))
        guard case .desired(let part) = try #require(GatewayMessage(message.text)) else { throw Unexpected() }
        #expect(part.patch == ["a": nil] && part.devices.map(\.deviceID) == ["d"] && part.devices[0].version == 4)
        // As the script writes it.
        guard case .close(let routes) = try #require(GatewayMessage(#"["x","d",3]"#)) else { throw Unexpected() }
        #expect(routes == [SessionRoute(deviceID: "d", session: 3, flags: [])])
        guard
            case .registryChanged(let devices) = try #require(
                GatewayMessage(GatewayMessage.registryChanged(["a", "b"]).text))
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
        #expect(AnswerPart(part.text) == part)
    }

    @Test(arguments: [
        "", "{}", "[]", #"["c"]"#, #"["c",1,2,3,4,5,6,"w","m","p",[[1]]]"#, #"["z"]"#, #"["s",1]"#, #"["s",1,[[1]]]"#,
        #"["x","d"]"#, #"["c",1,2,3,4,9223372036854775807,6,"w","m","p",[]]"#, #"["c",1,2,3,4,5,-1,"w","m","p",[]]"#,
        #"["q",1,2,3,"w",[[1,0,9223372036854775807]]]"#,
    ])
    func garbageIsNil(text: String) {
        #expect(GatewayMessage(text) == nil)
        #expect(AnswerPart(text) == nil)
    }

    private struct Unexpected: Error {}
}
