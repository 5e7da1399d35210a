// The words of WebSocket framing (RFC 6455, sections 5.2 and 7.4), what a server sends, and the limits.

enum WebSocketOpcode: UInt8 {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    var isControl: Bool { rawValue >= WebSocketOpcode.close.rawValue }
}

enum WebSocketCloseCode {
    static let normal: UInt16 = 1000
    static let goingAway: UInt16 = 1001
    static let protocolError: UInt16 = 1002
    static let unsupportedData: UInt16 = 1003
    static let invalidText: UInt16 = 1007
    static let tooBig: UInt16 = 1009

    /// False for codes that stand for "none came" and the like, and for those that nobody has defined.
    static func mayBeSent(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

enum WebSocketLimits {
    /// 1009. A client puts one MQTT packet (at most 256 KiB and a topic) or a few into a frame. Nothing is held of a
    /// frame, so this only turns away what is no MQTT.
    static let frameBytes = 1024 * 1024
    /// 1002. Set by RFC 6455, section 5.5.
    static let controlBytes = 125
    /// What may wait for the client unless the stream's handler says otherwise: as for any connection.
    static let outputBytes = 256 * 1024
}

/// What a client did that ends the connection, with the code and the reason that it is told.
struct WebSocketFault: Error, Equatable {
    let code: UInt16
    /// At most 123 bytes. Holds nothing that the client sent.
    let text: String

    static func protocolError(_ text: String) -> WebSocketFault {
        WebSocketFault(code: WebSocketCloseCode.protocolError, text: text)
    }
}

enum WebSocketFrame {
    /// One whole unmasked frame, as servers send them.
    static func bytes(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> [UInt8] {
        let count = payload.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(10 + count)
        bytes.append(0x80 | opcode.rawValue)
        if count < 126 {
            bytes.append(UInt8(count))
        } else {
            let isShort = count <= 0xFFFF
            bytes.append(isShort ? 126 : 127)
            for shift in stride(from: isShort ? 8 : 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: count >> shift))
            }
        }
        bytes += payload
        return bytes
    }

    /// A close frame without a code answers one without a code.
    static func close(_ code: UInt16?, _ text: String = "") -> [UInt8] {
        guard let code else { return bytes(.close, []) }
        return bytes(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + text.utf8)
    }
}
