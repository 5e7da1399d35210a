// Reads the fields of one complete packet. It looks at the bytes where they are, lives no longer than that look, and
// copies only what becomes a value.

struct MQTTReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position: Int
    private let end: Int

    /// The packet's body is `range`.
    init(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    var isAtEnd: Bool { position == end }

    mutating func byte() throws(MQTTError) -> UInt8 {
        guard position < end else { throw .tooShort }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func number() throws(MQTTError) -> UInt16 {
        guard end - position >= 2 else { throw .tooShort }
        defer { position += 2 }
        return UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
    }

    mutating func packetID() throws(MQTTError) -> UInt16 {
        let id = try number()
        guard id != 0 else { throw .packetID }
        return id
    }

    /// Bytes with their length before them.
    mutating func data() throws(MQTTError) -> [UInt8] { Array(try field()) }

    mutating func text() throws(MQTTError) -> String {
        let field = try field()
        guard let text = String(validating: field, as: UTF8.self) else { throw .badText }
        guard !field.contains(0) else { throw .nullCharacter }
        return text
    }

    mutating func filter() throws(MQTTError) -> String {
        let filter = try text()
        guard !filter.isEmpty else { throw .emptyTopic }
        return filter
    }

    /// The topic of a message. Topics below `devices/` hold an id in which `+` and `#` are letters like any other, so
    /// there the hub's own comparison decides.
    mutating func topic() throws(MQTTError) -> String {
        let field = try field()
        guard let topic = String(validating: field, as: UTF8.self) else { throw .badText }
        // One look without a way out of it, which the compiler makes a few vector instructions.
        var (hasNull, hasWildcard) = (false, false)
        for byte in UnsafeBufferPointer(rebasing: field) {
            hasNull = hasNull || byte == 0
            hasWildcard = hasWildcard || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "#")
        }
        guard !hasNull else { throw .nullCharacter }
        guard !field.isEmpty else { throw .emptyTopic }
        guard !hasWildcard || topic.utf8.starts(with: TopicPrefix.devices.utf8) else { throw .topicWildcard }
        return topic
    }

    /// All that is left.
    mutating func rest() -> [UInt8] {
        defer { position = end }
        return Array(bytes[position..<end])
    }

    private mutating func field() throws(MQTTError) -> Slice<UnsafeBufferPointer<UInt8>> {
        let count = Int(try number())
        guard end - position >= count else { throw .tooShort }
        defer { position += count }
        return bytes[position..<(position + count)]
    }
}
