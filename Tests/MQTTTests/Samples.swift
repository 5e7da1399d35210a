// Packets with their bytes, composed by hand from the standard, and a decoder that reads them in any cut.

import MQTT
import Testing

/// Bytes from hexadecimal digits; spaces and line ends between them mean nothing.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    precondition(digits.count.isMultiple(of: 2))
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// What a stream decodes to: its packets, and the error or the bytes at its end.
struct Outcome: Equatable {
    var packets: [MQTTPacket] = []
    var error: MQTTError?
    var leftOver = 0

    /// The stream in the given pieces.
    init(_ pieces: some Sequence<some Collection<UInt8>>, packetLimit: Int = MQTTLimits.packetBytes) {
        var decoder = MQTTDecoder(packetLimit: packetLimit)
        do throws(MQTTError) {
            for piece in pieces {
                decoder.append(Array(piece))
                while let packet = try decoder.next() { packets.append(packet) }
            }
        } catch {
            self.error = error
        }
        leftOver = decoder.bufferedCount
        let inPlace = Outcome(inPlace: pieces, packetLimit: packetLimit)
        if inPlace != self { Issue.record("read where they came the packets are others: \(inPlace)") }
    }

    /// The same, with the packets read from the pieces themselves as far as they are whole.
    private init(inPlace pieces: some Sequence<some Collection<UInt8>>, packetLimit: Int) {
        var decoder = MQTTDecoder(packetLimit: packetLimit)
        do throws(MQTTError) {
            for piece in pieces {
                let bytes = Array(piece)
                var offset = 0
                while let packet = try decoder.next(in: bytes.span, at: &offset) { packets.append(packet) }
            }
        } catch {
            self.error = error
        }
        leftOver = decoder.bufferedCount
    }

    init(whole bytes: [UInt8], packetLimit: Int = MQTTLimits.packetBytes) {
        self.init([bytes], packetLimit: packetLimit)
    }
}

enum Samples {
    static let connect = hex(
        """
        10 50 00 04 4D 51 54 54 04 C0 00 3C 00 02 64 31
        00 24 6C 6F 63 61 6C 68 6F 73 74 2F 64 31 2F 3F 61 70 69 2D 76 65 72 73 69 6F 6E 3D 32 30 31 39 2D 31 30 2D 30 31
        00 1A 53 68 61 72 65 64 41 63 63 65 73 73 53 69 67 6E 61 74 75 72 65 20 73 72 3D 78
        """)
    static let will = hex("10 1A 00 04 4D 51 54 54 04 2E 00 00 00 02 64 31 00 03 61 2F 62 00 05 68 65 6C 6C 6F")
    static let twinReplyBody = Array(#"{"desired":{"$version":1},"reported":{"$version":1}}"#.utf8)

    /// Appendix C.4 of the reference, and what it leaves out.
    static let all: [(name: String, bytes: [UInt8], packet: MQTTPacket)] = [
        (
            "CONNECT", connect,
            .connect(
                MQTTConnect(
                    clientID: "d1", keepAlive: 60, userName: "localhost/d1/?api-version=2019-10-01",
                    password: Array("SharedAccessSignature sr=x".utf8)))
        ),
        (
            "CONNECT with a will", will,
            .connect(
                MQTTConnect(
                    clientID: "d1", isCleanSession: true,
                    will: MQTTWill(topic: "a/b", payload: Array("hello".utf8), qos: 1, isRetained: true)))
        ),
        ("CONNACK", hex("20 02 00 00"), .connack(sessionPresent: false, code: 0)),
        ("CONNACK of a stored session", hex("20 02 01 00"), .connack(sessionPresent: true, code: 0)),
        ("CONNACK refused", hex("20 02 00 05"), .connack(sessionPresent: false, code: 5)),
        (
            "SUBSCRIBE", hex("82 17 00 02 00 12 24 69 6F 74 68 75 62 2F 74 77 69 6E 2F 72 65 73 2F 23 01"),
            .subscribe(packetID: 2, [MQTTSubscription(filter: "$iothub/twin/res/#", qos: 1)])
        ),
        ("SUBACK", hex("90 03 00 02 01"), .suback(packetID: 2, codes: [1])),
        ("SUBACK refused", hex("90 04 00 02 80 00"), .suback(packetID: 2, codes: [0x80, 0])),
        (
            "UNSUBSCRIBE", hex("A2 08 00 03 00 01 61 00 01 62"),
            .unsubscribe(packetID: 3, filters: ["a", "b"])
        ),
        ("UNSUBACK", hex("B0 02 00 03"), .unsuback(packetID: 3)),
        (
            "twin GET",
            hex(
                "32 1D 00 18 24 69 6F 74 68 75 62 2F 74 77 69 6E 2F 47 45 54 2F 3F 24 72 69 64 3D 37 00 05 20"),
            .publish(MQTTPublish(topic: "$iothub/twin/GET/?$rid=7", payload: [0x20], qos: 1, packetID: 5))
        ),
        ("PUBACK", hex("40 02 00 05"), .puback(packetID: 5)),
        (
            "twin reply",
            hex(
                "30 52 00 1C 24 69 6F 74 68 75 62 2F 74 77 69 6E 2F 72 65 73 2F 32 30 30 2F 3F 24 72 69 64 3D 37")
                + twinReplyBody,
            .publish(MQTTPublish(topic: "$iothub/twin/res/200/?$rid=7", payload: twinReplyBody))
        ),
        (
            "method request",
            hex(
                """
                30 29 00 23 24 69 6F 74 68 75 62 2F 6D 65 74 68 6F 64 73 2F 50 4F 53 54 2F 72 65 62 6F 6F 74 2F 3F 24
                72 69 64 3D 31 6E 75 6C 6C
                """),
            .publish(MQTTPublish(topic: "$iothub/methods/POST/reboot/?$rid=1", payload: Array("null".utf8)))
        ),
        (
            "method answer",
            hex(
                """
                32 2E 00 1F 24 69 6F 74 68 75 62 2F 6D 65 74 68 6F 64 73 2F 72 65 73 2F 32 30 30 2F 3F 24 72 69 64 3D
                31 00 06 7B 22 6F 6B 22 3A 74 72 75 65 7D
                """),
            .publish(
                MQTTPublish(
                    topic: "$iothub/methods/res/200/?$rid=1", payload: Array(#"{"ok":true}"#.utf8), qos: 1, packetID: 6)
            )
        ),
        (
            "retained duplicate", hex("3B 07 00 01 61 00 09 68 69"),
            .publish(
                MQTTPublish(
                    topic: "a", payload: Array("hi".utf8), qos: 1, packetID: 9, isRetained: true, isDuplicate: true))
        ),
        (
            "QoS 2 message", hex("34 05 00 01 61 00 09"),
            .publish(MQTTPublish(topic: "a", qos: 2, packetID: 9))
        ),
        ("PINGREQ", hex("C0 00"), .pingreq),
        ("PINGRESP", hex("D0 00"), .pingresp),
        ("DISCONNECT", hex("E0 00"), .disconnect),
    ]

    static let stream: [UInt8] = all.flatMap(\.bytes)
}
