// The packets of MQTT 3.1.1 that the hub and its devices exchange, as values. QoS 2's own packets are not among them.

package enum MQTTPacket: Sendable, Equatable {
    case connect(MQTTConnect)
    /// 0 accepted, 1 protocol level, 2 client id, 3 unavailable, 4 user name or password, 5 not authorised.
    case connack(sessionPresent: Bool, code: UInt8)
    case publish(MQTTPublish)
    case puback(packetID: UInt16)
    case subscribe(packetID: UInt16, [MQTTSubscription])
    /// One code for each filter, in order: the granted QoS, or `MQTTPacket.refused`.
    case suback(packetID: UInt16, codes: [UInt8])
    case unsubscribe(packetID: UInt16, filters: [String])
    case unsuback(packetID: UInt16)
    case pingreq
    case pingresp
    case disconnect

    /// The code of a SUBACK for a filter that is not granted.
    package static let refused: UInt8 = 0x80
}

package struct MQTTConnect: Sendable, Equatable {
    package static let name = "MQTT"
    package static let level: UInt8 = 4

    package var protocolName: String
    package var protocolLevel: UInt8
    package var clientID: String
    /// Seconds; 0: none.
    package var keepAlive: UInt16
    package var isCleanSession: Bool
    package var will: MQTTWill?
    package var userName: String?
    package var password: [UInt8]?

    package init(
        protocolName: String = MQTTConnect.name, protocolLevel: UInt8 = MQTTConnect.level, clientID: String = "",
        keepAlive: UInt16 = 0, isCleanSession: Bool = false, will: MQTTWill? = nil, userName: String? = nil,
        password: [UInt8]? = nil
    ) {
        self.protocolName = protocolName
        self.protocolLevel = protocolLevel
        self.clientID = clientID
        self.keepAlive = keepAlive
        self.isCleanSession = isCleanSession
        self.will = will
        self.userName = userName
        self.password = password
    }

    /// False: the rest was not read, and the answer is CONNACK 1.
    package var isSupported: Bool {
        protocolLevel == MQTTConnect.level && protocolName.utf8.elementsEqual(MQTTConnect.name.utf8)
    }
}

/// The message that the server publishes for a client that went without DISCONNECT.
package struct MQTTWill: Sendable, Equatable {
    package var topic: String
    package var payload: [UInt8]
    package var qos: UInt8
    package var isRetained: Bool

    package init(topic: String, payload: [UInt8] = [], qos: UInt8 = 0, isRetained: Bool = false) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.isRetained = isRetained
    }
}

package struct MQTTPublish: Sendable, Equatable {
    package var topic: String
    package var payload: [UInt8]
    /// 0 or 1; 2 is decoded so that the server can say why it closes.
    package var qos: UInt8
    /// 0 for QoS 0.
    package var packetID: UInt16
    package var isRetained: Bool
    package var isDuplicate: Bool

    package init(
        topic: String, payload: [UInt8] = [], qos: UInt8 = 0, packetID: UInt16 = 0, isRetained: Bool = false,
        isDuplicate: Bool = false
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.packetID = packetID
        self.isRetained = isRetained
        self.isDuplicate = isDuplicate
    }
}

package struct MQTTSubscription: Sendable, Equatable {
    package var filter: String
    /// The QoS that is asked for, 0 to 2.
    package var qos: UInt8

    package init(filter: String, qos: UInt8 = 0) {
        self.filter = filter
        self.qos = qos
    }
}

/// The types of the fixed header, with the flags that each must have.
enum MQTTPacketType: UInt8 {
    case connect = 1
    case connack, publish, puback, pubrec, pubrel, pubcomp, subscribe, suback, unsubscribe, unsuback, pingreq
    case pingresp, disconnect

    /// Nil: the flags say something.
    var requiredFlags: UInt8? {
        switch self {
        case .publish: nil
        case .pubrel, .subscribe, .unsubscribe: 0b0010
        default: 0
        }
    }

    /// The remaining length of a packet that always has the same.
    var fixedLength: Int? {
        switch self {
        case .connack, .puback, .unsuback: 2
        case .pingreq, .pingresp, .disconnect: 0
        default: nil
        }
    }

    /// The first byte of a packet with the required flags.
    var firstByte: UInt8 { rawValue << 4 | (requiredFlags ?? 0) }
}

/// The flag byte of a CONNECT.
struct MQTTConnectFlags: OptionSet {
    let rawValue: UInt8

    static let reserved = MQTTConnectFlags(rawValue: 1 << 0)
    static let cleanSession = MQTTConnectFlags(rawValue: 1 << 1)
    static let will = MQTTConnectFlags(rawValue: 1 << 2)
    static let willQuality = MQTTConnectFlags(rawValue: 3 << 3)
    static let willRetain = MQTTConnectFlags(rawValue: 1 << 5)
    static let password = MQTTConnectFlags(rawValue: 1 << 6)
    static let userName = MQTTConnectFlags(rawValue: 1 << 7)

    var willQoS: UInt8 { intersection(.willQuality).rawValue >> 3 }
}
