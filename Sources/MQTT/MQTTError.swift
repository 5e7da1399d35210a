// What makes a stream unreadable. The texts hold nothing that the client sent, so they may be logged as they are.

package struct MQTTError: Error, Sendable, Equatable {
    package enum Code: Sendable {
        /// The bytes break MQTT 3.1.1.
        case malformed
        /// Legal, but above one of `MQTTLimits`.
        case tooLarge
        /// Legal, but a part of MQTT that the hub does not speak.
        case unsupported
    }

    package let code: Code
    package let message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    private static func malformed(_ message: String) -> MQTTError { MQTTError(code: .malformed, message: message) }

    package static let reservedType = malformed("packet types 0 and 15 are reserved")
    package static let headerFlags = malformed("the flags of the fixed header do not fit the packet's type")
    package static let lengthBytes = malformed("the remaining length has more than four bytes")
    package static let wrongLength = malformed("the remaining length does not fit the packet's type")
    package static let tooShort = malformed("a field reaches beyond the end of its packet")
    package static let trailingBytes = malformed("the packet has bytes after its last field")
    package static let packetID = malformed("packet id 0 is reserved")
    package static let badText = malformed("a text is not valid UTF-8")
    package static let nullCharacter = malformed("a text holds the character U+0000")
    package static let emptyTopic = malformed("a topic or filter is empty")
    package static let topicWildcard = malformed("the topic of a message holds a wildcard")
    package static let qualityOfService = malformed("QoS 3 does not exist")
    package static let duplicateFlag = malformed("a QoS 0 message is marked as a duplicate")
    package static let noFilters = malformed("a SUBSCRIBE, SUBACK or UNSUBSCRIBE is empty")
    package static let filterOptions = malformed("the byte after a filter is no QoS")
    package static let resultCode = malformed("a SUBACK holds an unknown code")
    package static let connackFlags = malformed("the flags of a CONNACK are wrong")
    package static let connectFlag = malformed("the reserved flag of a CONNECT is set")
    package static let passwordAlone = malformed("a CONNECT has a password but no user name")
    package static let willFlags = malformed("a CONNECT without a will has flags of one, or its QoS is 3")
    package static let exactlyOnce = MQTTError(code: .unsupported, message: "QoS 2 is not supported")
    package static let packetTooLarge = MQTTError(code: .tooLarge, message: "the packet exceeds the limit of its size")
    package static let tooManyFilters = MQTTError(
        code: .tooLarge, message: "a packet has more than \(MQTTLimits.filtersPerPacket) filters")
}
