// Goal: each breach of MQTT 3.1.1 gives the error that names it, and the decoder is dead after it.
// Method: a table of bytes with their error, each whole and byte by byte, and behind a good packet.

import MQTT
import Testing

@Suite struct StrictnessTests {
    static let breaches: [(String, MQTTError)] = [
        // The fixed header.
        ("00 00", .reservedType), ("F0 00", .reservedType), ("FF", .reservedType),
        ("11 00", .headerFlags), ("21", .headerFlags), ("42 02 00 05", .headerFlags), ("80", .headerFlags),
        ("83", .headerFlags), ("92", .headerFlags), ("A0", .headerFlags), ("B2", .headerFlags), ("C1", .headerFlags),
        ("D8", .headerFlags), ("E1 00", .headerFlags), ("60", .headerFlags), ("52", .headerFlags),
        ("50 02 00 01", .exactlyOnce), ("62 02 00 01", .exactlyOnce), ("70 02 00 01", .exactlyOnce),
        ("36 05 00 01 61 00 01", .qualityOfService), ("38 03 00 01 61", .duplicateFlag),
        ("30 80 80 80 80 01", .lengthBytes), ("C0 80 80 80 80", .lengthBytes), ("10 FF FF FF FF", .lengthBytes),
        ("C0 01 00", .wrongLength), ("D0 01", .wrongLength), ("E0 02", .wrongLength), ("40 03 00 05 00", .wrongLength),
        ("40 01 05", .wrongLength), ("20 03", .wrongLength), ("B0 00", .wrongLength),
        ("30 FF FF 7F", .packetTooLarge),
        // Packet ids.
        ("40 02 00 00", .packetID), ("B0 02 00 00", .packetID), ("32 05 00 01 61 00 00", .packetID),
        ("82 06 00 00 00 01 61 00", .packetID), ("A2 05 00 00 00 01 61", .packetID), ("90 03 00 00 00", .packetID),
        // Texts and topics.
        ("30 03 00 01 FF", .badText), ("30 04 00 02 C0 80", .badText), ("30 05 00 03 ED A0 80", .badText),
        ("30 05 00 03 61 00 62", .nullCharacter), ("82 06 00 01 00 01 00 00", .nullCharacter),
        ("30 02 00 00", .emptyTopic), ("82 05 00 01 00 00 00", .emptyTopic), ("A2 04 00 01 00 00", .emptyTopic),
        ("30 05 00 03 61 2F 23", .topicWildcard), ("30 05 00 03 61 2F 2B", .topicWildcard),
        ("30 00", .tooShort), ("30 01 00", .tooShort), ("30 03 00 02 61", .tooShort), ("32 04 00 01 61 00", .tooShort),
        // Lists.
        ("82 02 00 01", .noFilters), ("A2 02 00 01", .noFilters), ("90 02 00 01", .noFilters),
        ("82 00", .tooShort), ("A2 01 00", .tooShort), ("82 05 00 01 00 01 61", .tooShort),
        ("82 06 00 01 00 01 61 03", .filterOptions), ("82 06 00 01 00 01 61 80", .filterOptions),
        ("82 07 00 01 00 01 61 01 00", .tooShort), ("90 03 00 01 03", .resultCode), ("90 03 00 01 81", .resultCode),
        // CONNACK.
        ("20 02 02 00", .connackFlags), ("20 02 01 05", .connackFlags),
        // CONNECT: name, level and flags, keep-alive, client id, …
        ("10 00", .tooShort), ("10 06 00 04 4D 51 54 54", .tooShort), ("10 07 00 04 4D 51 54 54 04", .tooShort),
        ("10 0A 00 04 4D 51 54 54 04 02 00 3C", .tooShort),
        ("10 0C 00 04 4D 51 54 54 04 03 00 3C 00 00", .connectFlag),
        ("10 0E 00 04 4D 51 54 54 04 42 00 3C 00 00 00 00", .passwordAlone),
        ("10 0C 00 04 4D 51 54 54 04 22 00 3C 00 00", .willFlags),
        ("10 0C 00 04 4D 51 54 54 04 0A 00 3C 00 00", .willFlags),
        ("10 12 00 04 4D 51 54 54 04 1E 00 3C 00 00 00 01 61 00 01 62", .willFlags),
        ("10 10 00 04 4D 51 54 54 04 06 00 3C 00 00 00 00 00 00", .emptyTopic),
        ("10 11 00 04 4D 51 54 54 04 06 00 3C 00 00 00 01 23 00 00", .topicWildcard),
        ("10 0D 00 04 4D 51 54 54 04 02 00 3C 00 00 00", .trailingBytes),
        ("10 0C 00 04 4D 51 54 54 04 02 00 3C 00 05", .tooShort),
        ("10 0D 00 04 4D 51 54 54 04 02 00 3C 00 01 FF", .badText),
        ("10 0C 00 04 4D 51 54 54 04 80 00 3C 00 00", .tooShort),
        ("10 0E 00 04 4D 51 54 54 04 C0 00 3C 00 00 00 00", .tooShort),
        ("10 07 00 04 4D 51 54 FF 04", .badText),
    ]

    @Test(arguments: breaches) func refuses(_ text: String, _ error: MQTTError) {
        let bytes = hex(text)
        #expect(Outcome(whole: bytes).error == error)
        #expect(Outcome(bytes.map { [$0] }).error == error)
        let behind = Outcome(whole: hex("C0 00") + bytes)
        #expect(behind.packets == [.pingreq] && behind.error == error && behind.leftOver == 0)
    }

    @Test func deadAfterAnError() {
        var decoder = MQTTDecoder()
        decoder.append(hex("C0 01 00 C0 00"))
        #expect(throws: MQTTError.wrongLength) { try decoder.next() }
        decoder.append(hex("C0 00"))
        #expect(throws: MQTTError.wrongLength) { try decoder.next() }
        #expect(decoder.bufferedCount == 0)
    }

    @Test(
        "A CONNECT of another protocol is delivered, so that it can be answered",
        arguments: [
            ("10 0D 00 06 4D 51 49 73 64 70 03 02 00 3C 00", "MQIsdp", UInt8(3)),
            ("10 0D 00 04 4D 51 54 54 05 02 00 3C 00 00 00", "MQTT", 5),
            ("10 07 00 04 4D 51 54 54 84", "MQTT", 0x84),
            ("10 07 00 04 6D 71 74 74 04", "mqtt", 4),
            ("10 03 00 00 04", "", 4),
        ]) func otherProtocols(_ text: String, _ name: String, _ level: UInt8)
    {
        let outcome = Outcome(whole: hex(text))
        guard outcome.error == nil, case .connect(let connect)? = outcome.packets.first else {
            Issue.record("\(outcome)")
            return
        }
        #expect(connect.protocolName == name && connect.protocolLevel == level && connect.clientID.isEmpty)
        #expect(!connect.isSupported)
    }

    @Test func emptyClientIDAndPassword() {
        let connect = MQTTPacket.connect(MQTTConnect(clientID: "", isCleanSession: true, userName: "", password: []))
        #expect(Outcome(whole: connect.encoded).packets == [connect])
    }

    @Test("Ids may hold + and #: below devices/ the hub's own comparison decides")
    func wildcardsInIDs() {
        let publish = MQTTPacket.publish(MQTTPublish(topic: "devices/a+b#/messages/events/"))
        #expect(Outcome(whole: publish.encoded).packets == [publish])
    }

    @Test func filtersOfOnePacketAreCounted() {
        for (count, error) in [(128, nil), (129, MQTTError.tooManyFilters)] {
            let filters = Array(repeating: "a", count: count)
            let subscribe = MQTTPacket.subscribe(packetID: 1, filters.map { MQTTSubscription(filter: $0, qos: 2) })
            #expect(Outcome(whole: subscribe.encoded).error == error)
            #expect(Outcome(whole: MQTTPacket.unsubscribe(packetID: 1, filters: filters).encoded).error == error)
        }
    }

    @Test func codes() {
        #expect(MQTTError.reservedType.code == .malformed)
        #expect(MQTTError.exactlyOnce.code == .unsupported)
        #expect(MQTTError.packetTooLarge.code == .tooLarge)
    }
}
