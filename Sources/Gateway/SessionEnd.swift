// Why a connection of a device ended: one word each, for the log and the counter.

enum SessionEnd: String, Sendable {
    // The device's doing.
    case disconnect
    case peerClosed = "peer_closed"
    case connectionFailed = "connection_failed"

    // Ended by the gateway.
    case connectTimeout = "connect_timeout"
    case refused
    case keepAlive = "keep_alive"
    case malformed = "malformed_packet"
    case tooLarge = "packet_too_large"
    case notConnect = "first_packet_not_connect"
    case secondConnect = "second_connect"
    case unexpectedPacket = "unexpected_packet"
    case qualityOfService = "qos_2"
    case unknownTopic = "unknown_topic"
    case tokenExpired = "token_expired"
    case superseded = "superseded"
    case supersededElsewhere = "superseded_elsewhere"
    case deviceDisabled = "device_disabled"
    case deviceDeleted = "device_deleted"
    case outputFull = "send_buffer_full"
    case notReading = "not_reading"
    case storeFailed = "store_failed"
    case draining = "draining"

    var isByDevice: Bool {
        switch self {
        case .disconnect, .peerClosed, .connectionFailed: true
        case .connectTimeout, .refused, .keepAlive, .malformed, .tooLarge, .notConnect, .secondConnect,
            .unexpectedPacket, .qualityOfService, .unknownTopic, .tokenExpired, .superseded, .supersededElsewhere,
            .deviceDisabled, .deviceDeleted, .outputFull, .notReading, .storeFailed, .draining:
            false
        }
    }
}
