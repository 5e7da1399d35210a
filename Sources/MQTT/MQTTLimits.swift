// Every limit of the MQTT codec and the hub's topics with the reason for its number (invariant I9). A client that
// exceeds one is disconnected: MQTT 3.1.1 has no packet that could tell it why.

package enum MQTTLimits {
    /// The largest text or binary field: its length has two bytes.
    static let fieldBytes = 65_535
    /// The largest payload: 256 KB is the hub's limit for a message of a device; method answers and twins have less.
    package static let payloadBytes = 256 * 1024
    /// The largest packet with its fixed header: the largest payload, the longest topic, and room for the header (5),
    /// the topic's length (2) and the packet id (2).
    package static let packetBytes = payloadBytes + fieldBytes + 9
    /// Filters of one SUBSCRIBE or UNSUBSCRIBE. The hub knows four, SDKs send one at a time; 256 KB of empty
    /// filters would cost megabytes.
    package static let filtersPerPacket = 128
    /// A request id is echoed in a topic that is longer than the one it came in, so it must stay well below a field;
    /// SDKs send a UUID or a number.
    package static let requestIDBytes = 1024
    /// Longest text of a number in a topic: the 20 characters of the smallest 64-bit integer, with some zeros.
    static let numberBytes = 32
}
