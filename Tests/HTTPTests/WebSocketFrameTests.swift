// Goal: frames are read as RFC 6455 says, strictly, and with the same result however the bytes were cut.
// Method: the examples of section 5.7, a violation for each rule, every cut of a long stream, seeded random bytes.

import ServiceKit
import Testing

@testable import HTTP

@Suite struct WebSocketFrameTests {
    private let hello: [UInt8] = Array("Hello".utf8)

    @Test func examplesOfTheStandard() {
        // Section 5.7, with the opcode of binary where it has text.
        let masked: [UInt8] = [0x82, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        #expect(DecodedStream(masked).data == hello)
        #expect(ClientFrame.binary(hello).bytes == masked)
        let pong: [UInt8] = [0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        #expect(DecodedStream(pong).others == [.pong])
        let ping: [UInt8] = [0x89, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        #expect(DecodedStream(ping).others == [.ping(hello)])
        #expect(WebSocketFrame.bytes(.ping, hello) == [0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
        let fragments = ClientFrame.binary(Array("Hel".utf8), isFinal: false).bytes
        #expect(DecodedStream(fragments + ClientFrame.continuation(Array("lo".utf8)).bytes).data == hello)
        let long = [UInt8](repeating: 7, count: 256)
        #expect(WebSocketFrame.bytes(.binary, long) == [0x82, 0x7E, 0x01, 0x00] + long)
        let longer = [UInt8](repeating: 7, count: 65536)
        #expect(WebSocketFrame.bytes(.binary, longer) == [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0] + longer)
    }

    @Test(arguments: [0, 1, 125, 126, 127, 65535, 65536, WebSocketLimits.frameBytes])
    func lengthsAreReadAndWritten(_ count: Int) throws {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let stream = DecodedStream(ClientFrame.binary(payload).bytes)
        #expect(stream.data == payload)
        #expect(stream.fault == nil)
        let frames = try #require(serverFrames(WebSocketFrame.bytes(.binary, payload)))
        #expect(frames.count == 1 && frames[0].opcode == 2 && frames[0].payload == payload)
    }

    struct Violation: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let code: UInt16

        init(_ name: String, _ bytes: [UInt8], _ code: UInt16 = 1002) {
            (self.name, self.bytes, self.code) = (name, bytes, code)
        }

        var testDescription: String { name }
    }

    static let violations: [Violation] = [
        Violation("text", ClientFrame(first: 0x81, payload: [65]).bytes, 1003),
        Violation("text in a message", ClientFrame.binary([1], isFinal: false).bytes + ClientFrame(first: 0x81).bytes),
        Violation("not masked", [0x82, 0x05]),
        Violation("reserved bit 1", ClientFrame(first: 0xC2).bytes),
        Violation("reserved bit 2", ClientFrame(first: 0xA2).bytes),
        Violation("reserved bit 3", ClientFrame(first: 0x92).bytes),
        Violation("opcode 3", ClientFrame(first: 0x83).bytes),
        Violation("opcode 11", ClientFrame(first: 0x8B).bytes),
        Violation("opcode 15", ClientFrame(first: 0x8F).bytes),
        Violation("continuation of nothing", ClientFrame.continuation([1]).bytes),
        Violation(
            "continuation after the end",
            [ClientFrame.binary([1], isFinal: false), .continuation([2]), .continuation([3])].flatMap(\.bytes)),
        Violation(
            "message within a message",
            ClientFrame.binary([1], isFinal: false).bytes + ClientFrame.binary([2]).bytes),
        Violation("fragmented ping", ClientFrame(first: 0x09).bytes),
        Violation("long ping", ClientFrame.ping([UInt8](repeating: 0, count: 126)).bytes),
        Violation("16-bit length for 125", ClientFrame(first: 0x82, lengthForm: 2).bytes),
        Violation(
            "64-bit length for 65535",
            ClientFrame(first: 0x82, payload: [UInt8](repeating: 0, count: 65535), lengthForm: 8).bytes),
        Violation("64-bit length with the highest bit", [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        Violation("too long", [0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 1], 1009),
        Violation("as long as can be", [0x82, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255], 1009),
        Violation("half a close code", ClientFrame(first: 0x88, payload: [3]).bytes),
        Violation("close code 1005", ClientFrame.close(1005).bytes),
        Violation("close code 999", ClientFrame.close(999).bytes),
        Violation("close code 2000", ClientFrame.close(2000).bytes),
        Violation("close code 5000", ClientFrame.close(5000).bytes),
        Violation("reason that is not UTF-8", ClientFrame.close(1000, [0xC3]).bytes, 1007),
    ]

    @Test(arguments: violations)
    func violationsEndTheStream(_ violation: Violation) {
        let good = ClientFrame.binary(hello).bytes
        let stream = DecodedStream([good, violation.bytes, good])
        #expect(stream.data.starts(with: hello))
        #expect(stream.fault?.code == violation.code)
        #expect((stream.fault?.text.utf8.count ?? 0) <= 123)
        #expect(stream.others.isEmpty)
        // Nothing after the fault is read.
        #expect(stream.data.count < 2 * hello.count)
    }

    /// Everything that is allowed, in one stream.
    private let sample: [UInt8] = [
        ClientFrame.binary(Array("one".utf8)), .binary([]), .ping([]), .binary([1, 2, 3], isFinal: false),
        .ping(Array("in between".utf8)), .continuation([], isFinal: false), .continuation([4, 5], isFinal: false),
        ClientFrame(first: 0x8A, payload: [9]), .continuation([6], isFinal: true),
        .binary([UInt8](repeating: 0x5A, count: 300)), .close(1000, Array("fin é".utf8)), .binary([7]),
    ].flatMap(\.bytes)

    @Test func anyCutGivesTheSame() {
        let whole = DecodedStream(sample)
        #expect(whole.data == Array("one".utf8) + [1, 2, 3, 4, 5, 6] + [UInt8](repeating: 0x5A, count: 300))
        #expect(whole.others == [.ping([]), .ping(Array("in between".utf8)), .pong, .close(code: 1000)])
        #expect(whole.fault == nil)
        #expect(DecodedStream(sample.map { [$0] }) == whole)
        for cut in 1..<sample.count {
            #expect(DecodedStream([Array(sample[..<cut]), Array(sample[cut...])]) == whole)
        }
    }

    @Test func violationsAreFoundWhateverTheCut() {
        for violation in Self.violations {
            #expect(DecodedStream(violation.bytes.map { [$0] }) == DecodedStream(violation.bytes))
        }
    }

    @Test func randomBytesGiveTheSameInAnyPieces() {
        let random = SeededRandom(seed: 20_261_121)
        for round in 0..<3000 {
            // Most of the rounds begin with something valid and then change a few bytes of it.
            var bytes = sample
            if round % 4 == 0 {
                bytes = (0..<200).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            } else {
                for _ in 0..<(round % 4) {
                    bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            var pieces: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = min(rest.count, Int(random.next() % 40))
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            #expect(DecodedStream(pieces) == DecodedStream(bytes))
        }
    }

    @Test func closeIsAnsweredWithItsCode() {
        #expect(DecodedStream(ClientFrame.close(nil).bytes).others == [.close(code: nil)])
        #expect(DecodedStream(ClientFrame.close(4999).bytes).others == [.close(code: 4999)])
        #expect(WebSocketFrame.close(nil) == [0x88, 0])
        #expect(WebSocketFrame.close(1002, "no") == [0x88, 4, 0x03, 0xEA, 0x6E, 0x6F])
    }
}
