// Goal: packets become exactly the bytes of the standard and come back from them, however a stream is cut; whatever the
// bytes, the decoder neither traps nor changes its mind with the cut.
// Method: the byte examples of the reference, every cut of a stream of them, and random mutations from a printed seed.

import MQTT
import ServiceKit
import Testing

@Suite struct CodecTests {
    @Test(arguments: Samples.all) func encodes(_ name: String, _ bytes: [UInt8], _ packet: MQTTPacket) {
        #expect(packet.encoded == bytes)
        var after: [UInt8] = [1, 2]
        packet.encode(into: &after)
        #expect(after == [1, 2] + bytes)
    }

    @Test(arguments: Samples.all) func decodes(_ name: String, _ bytes: [UInt8], _ packet: MQTTPacket) {
        #expect(Outcome(whole: bytes).packets == [packet])
        #expect(Outcome(bytes.map { [$0] }).packets == [packet], "byte by byte")
        for count in 0..<bytes.count {
            let part = Outcome(whole: Array(bytes[..<count]))
            #expect(part.packets.isEmpty && part.error == nil && part.leftOver == count)
        }
    }

    @Test("Several packets in one buffer, cut at every point")
    func cuts() {
        let expected = Samples.all.map(\.packet)
        let stream = Samples.stream
        for cut in 0...stream.count {
            let outcome = Outcome([stream[..<cut], stream[cut...]])
            #expect(outcome.packets == expected && outcome.error == nil && outcome.leftOver == 0, "cut at \(cut)")
        }
        for size in 1...40 {
            let pieces = stride(from: 0, to: stream.count, by: size).map {
                stream[$0..<min($0 + size, stream.count)]
            }
            #expect(Outcome(pieces).packets == expected, "pieces of \(size)")
        }
    }

    @Test func spansAreAppendedLikeArrays() throws {
        var decoder = MQTTDecoder()
        let stream = Samples.stream
        decoder.append(stream.span)
        var packets: [MQTTPacket] = []
        while let packet = try decoder.next() { packets.append(packet) }
        #expect(packets == Samples.all.map(\.packet))
    }

    @Test(arguments: [
        (0, 2), (122, 2), (123, 3), (16_378, 3), (16_379, 4), (262_144, 4),
    ]) func lengthsOfEverySize(_ payload: Int, _ header: Int) {
        let packet = MQTTPacket.publish(MQTTPublish(topic: "a/b", payload: Array(repeating: 7, count: payload)))
        #expect(packet.encoded.count == header + 5 + payload)
        #expect(Outcome(whole: packet.encoded).packets == [packet])
        #expect(Outcome([packet.encoded[..<3], packet.encoded[3...]]).packets == [packet])
    }

    @Test(arguments: [0, 7, 1_234_567, UInt64.max], [0, 3, 200, 20_000])
    func aTopicThatEndsInANumber(number: UInt64, payload: Int) {
        let payload = [UInt8](repeating: 7, count: payload)
        let packet = MQTTPacket.publish(MQTTPublish(topic: "méthode/?$rid=\(number)", payload: payload))
        #expect(MQTTPublish.encoded(topic: "méthode/?$rid=", number: number, payload: payload) == packet.encoded)
    }

    @Test("A length may be written with more bytes than it needs")
    func paddedLengths() {
        #expect(Outcome(whole: hex("C0 80 80 80 00")).packets == [.pingreq])
        #expect(Outcome(whole: hex("40 82 00 00 05")).packets == [.puback(packetID: 5)])
    }

    @Test("The limit counts the whole packet, and holds before its body has come")
    func limit() {
        let packet = MQTTPacket.publish(MQTTPublish(topic: "a", payload: Array(repeating: 1, count: 20)))
        let bytes = packet.encoded
        #expect(Outcome(whole: bytes, packetLimit: bytes.count).packets == [packet])
        #expect(Outcome(whole: bytes, packetLimit: bytes.count - 1).error == .packetTooLarge)
        #expect(Outcome(whole: Array(bytes[..<2]), packetLimit: bytes.count - 1).error == .packetTooLarge)
        #expect(Outcome(whole: hex("30 FF FF FF 7F")).error == .packetTooLarge)
        let largest = MQTTPublish(
            topic: String(repeating: "t", count: 65_535), payload: Array(repeating: 1, count: MQTTLimits.payloadBytes),
            qos: 1, packetID: 1)
        #expect(Outcome(whole: MQTTPacket.publish(largest).encoded).packets == [.publish(largest)])
    }

    @Test func saysWhatItHolds() throws {
        var decoder = MQTTDecoder()
        #expect(!decoder.hasPartialPacket && decoder.bufferedCount == 0)
        decoder.append(hex("C0 00 40 02"))
        #expect(decoder.bufferedCount == 4)
        #expect(try decoder.next() == .pingreq)
        #expect(try decoder.next() == nil)
        #expect(decoder.hasPartialPacket && decoder.bufferedCount == 2)
        decoder.append(hex("00 05"))
        #expect(try decoder.next() == .puback(packetID: 5))
        #expect(try decoder.next() == nil)
        #expect(!decoder.hasPartialPacket && decoder.bufferedCount == 0)
    }

    @Test("Many small packets behind a large one: what was decoded does not stay")
    func compaction() throws {
        let large = MQTTPacket.publish(MQTTPublish(topic: "a", payload: Array(repeating: 1, count: 100_000)))
        var decoder = MQTTDecoder()
        decoder.append(large.encoded)
        for count in 1...1000 {
            decoder.append(Samples.connect)
            decoder.append([0xC0])
            if count == 1 { #expect(try decoder.next() == large) }
            #expect(try decoder.next() == Samples.all[0].packet)
            #expect(try decoder.next() == nil)
            #expect(decoder.bufferedCount == 1)
            decoder.append([0x00])
            #expect(try decoder.next() == .pingreq)
        }
        #expect(!decoder.hasPartialPacket)
    }

    @Test("100,000 mutations: no trap, the same result however cut, and what decodes encodes back to itself")
    func mutations() {
        let seed: UInt64 = 20_270_311
        let random = SeededRandom(seed: seed)
        func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        var (packets, errors) = (0, 0)
        for _ in 0..<100_000 {
            var bytes: [UInt8] = []
            for _ in 0...below(3) { bytes += Samples.all[below(Samples.all.count)].bytes }
            for _ in 0...below(3) {
                let place = below(bytes.count)
                switch below(4) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes[place] ^= 1 << below(8)
                case 2: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
                default: if bytes.count > 1 { bytes.remove(at: place) }
                }
            }
            let whole = Outcome(whole: bytes)
            let (first, second) = (below(bytes.count + 1), below(bytes.count + 1))
            let (low, high) = (min(first, second), max(first, second))
            guard Outcome([bytes[..<low], bytes[low..<high], bytes[high...]]) == whole else {
                Issue.record("seed \(seed): cuts at \(low) and \(high) change the result of \(bytes)")
                return
            }
            packets += whole.packets.count
            errors += whole.error == nil ? 0 : 1
            for packet in whole.packets where !packet.isOfAnotherVersion {
                guard Outcome(whole: packet.encoded).packets == [packet] else {
                    Issue.record("seed \(seed): \(packet) does not come back from its bytes")
                    return
                }
            }
        }
        #expect(packets > 10_000 && errors > 10_000)
    }
}

extension MQTTPacket {
    /// A CONNECT that is not read further than its level.
    fileprivate var isOfAnotherVersion: Bool {
        if case .connect(let connect) = self { !connect.isSupported } else { false }
    }
}
