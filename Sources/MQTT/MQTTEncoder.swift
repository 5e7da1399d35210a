// Packets to bytes. Every field is ours or was decoded before, so one that does not fit its two bytes of length is a
// mistake of the caller and traps.

extension MQTTPacket {
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(5 + bodyCount)
        encode(into: &bytes)
        return bytes
    }

    package func encode(into bytes: inout [UInt8]) {
        bytes.append(firstByte)
        bytes.append(remainingLength: bodyCount)
        switch self {
        case .connect(let connect): connect.encodeBody(into: &bytes)
        case .connack(let sessionPresent, let code):
            bytes.append(sessionPresent && code == 0 ? 1 : 0)
            bytes.append(code)
        case .publish(let publish):
            bytes.append(field: publish.topic.utf8)
            if publish.qos > 0 { bytes.append(number: publish.packetID) }
            bytes.append(contentsOf: publish.payload)
        case .puback(let packetID), .unsuback(let packetID): bytes.append(number: packetID)
        case .subscribe(let packetID, let subscriptions):
            bytes.append(number: packetID)
            for subscription in subscriptions {
                bytes.append(field: subscription.filter.utf8)
                bytes.append(subscription.qos)
            }
        case .suback(let packetID, let codes):
            bytes.append(number: packetID)
            bytes.append(contentsOf: codes)
        case .unsubscribe(let packetID, let filters):
            bytes.append(number: packetID)
            for filter in filters { bytes.append(field: filter.utf8) }
        case .pingreq, .pingresp, .disconnect: break
        }
    }

    private var firstByte: UInt8 {
        switch self {
        case .connect: MQTTPacketType.connect.firstByte
        case .connack: MQTTPacketType.connack.firstByte
        case .publish(let publish):
            MQTTPacketType.publish.firstByte | publish.qos << 1 | (publish.isRetained ? 0b0001 : 0)
                | (publish.isDuplicate && publish.qos > 0 ? 0b1000 : 0)
        case .puback: MQTTPacketType.puback.firstByte
        case .subscribe: MQTTPacketType.subscribe.firstByte
        case .suback: MQTTPacketType.suback.firstByte
        case .unsubscribe: MQTTPacketType.unsubscribe.firstByte
        case .unsuback: MQTTPacketType.unsuback.firstByte
        case .pingreq: MQTTPacketType.pingreq.firstByte
        case .pingresp: MQTTPacketType.pingresp.firstByte
        case .disconnect: MQTTPacketType.disconnect.firstByte
        }
    }

    /// The remaining length.
    private var bodyCount: Int {
        switch self {
        case .connect(let connect): connect.bodyCount
        case .publish(let publish):
            2 + publish.topic.utf8.count + (publish.qos > 0 ? 2 : 0) + publish.payload.count
        case .connack, .puback, .unsuback: 2
        case .subscribe(_, let subscriptions): subscriptions.reduce(2) { $0 + 3 + $1.filter.utf8.count }
        case .suback(_, let codes): 2 + codes.count
        case .unsubscribe(_, let filters): filters.reduce(2) { $0 + 2 + $1.utf8.count }
        case .pingreq, .pingresp, .disconnect: 0
        }
    }
}

extension MQTTPublish {
    /// The packet of a message at QoS 0 whose topic ends in a number, without a text for each.
    package static func encoded(topic: String, number: UInt64, payload: [UInt8]) -> [UInt8] {
        let digits = String(number).utf8
        let topicCount = topic.utf8.count + digits.count
        precondition(topicCount <= MQTTLimits.fieldBytes, "an MQTT field has at most 65535 bytes")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(7 + topicCount + payload.count)
        bytes.append(MQTTPacketType.publish.firstByte)
        bytes.append(remainingLength: 2 + topicCount + payload.count)
        bytes.append(number: UInt16(topicCount))
        bytes.append(contentsOf: topic.utf8)
        bytes.append(contentsOf: digits)
        bytes.append(contentsOf: payload)
        return bytes
    }
}

extension MQTTConnect {
    fileprivate var flags: MQTTConnectFlags {
        var flags: MQTTConnectFlags = []
        if isCleanSession { flags.insert(.cleanSession) }
        if let will {
            flags.insert(.will)
            flags.formUnion(MQTTConnectFlags(rawValue: will.qos << 3))
            if will.isRetained { flags.insert(.willRetain) }
        }
        if userName != nil { flags.insert(.userName) }
        if password != nil { flags.insert(.password) }
        return flags
    }

    fileprivate var bodyCount: Int {
        var count = 2 + protocolName.utf8.count + 1 + 1 + 2 + 2 + clientID.utf8.count
        if let will { count += 2 + will.topic.utf8.count + 2 + will.payload.count }
        if let userName { count += 2 + userName.utf8.count }
        if let password { count += 2 + password.count }
        return count
    }

    fileprivate func encodeBody(into bytes: inout [UInt8]) {
        bytes.append(field: protocolName.utf8)
        bytes.append(protocolLevel)
        bytes.append(flags.rawValue)
        bytes.append(number: keepAlive)
        bytes.append(field: clientID.utf8)
        if let will {
            bytes.append(field: will.topic.utf8)
            bytes.append(field: will.payload)
        }
        if let userName { bytes.append(field: userName.utf8) }
        if let password { bytes.append(field: password) }
    }
}

extension [UInt8] {
    fileprivate mutating func append(number: UInt16) {
        append(UInt8(truncatingIfNeeded: number >> 8))
        append(UInt8(truncatingIfNeeded: number))
    }

    fileprivate mutating func append(field: some Collection<UInt8>) {
        precondition(field.count <= MQTTLimits.fieldBytes, "an MQTT field has at most 65535 bytes")
        append(number: UInt16(field.count))
        append(contentsOf: field)
    }

    fileprivate mutating func append(remainingLength length: Int) {
        precondition(length < 1 << 28, "an MQTT packet has at most 256 MB")
        var rest = length
        repeat {
            let low = UInt8(rest & 0x7F)
            rest >>= 7
            append(rest > 0 ? low | 0x80 : low)
        } while rest > 0
    }
}
