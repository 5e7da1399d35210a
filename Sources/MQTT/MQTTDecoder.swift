// The incremental decoder: fed with the bytes of a connection as they come, it yields whole packets in order.
//
// Strict: what MQTT 3.1.1 forbids is an error, and after an error nothing more is read, since what follows could be
// anything. The packets and the error do not depend on how the bytes were cut: a packet is judged by its first byte,
// then by its length, then by its body when all of it is there.
//
// There is one of these for every connected device and most are idle: with nothing to decode it holds no memory. Bytes
// that were decoded are left where they are until the rest has arrived or little else is left to move.

package struct MQTTDecoder: Sendable {
    private var bytes: [UInt8] = []
    /// Bytes before this are decoded.
    private var position = 0
    private var failure: MQTTError?
    /// Bytes that a packet may have with its fixed header. May be small until the client has shown who it is.
    package var packetLimit: Int

    package init(packetLimit: Int = MQTTLimits.packetBytes) {
        self.packetLimit = packetLimit
    }

    package mutating func append(_ more: Span<UInt8>) {
        guard failure == nil else { return }
        more.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }

    package mutating func append(_ more: [UInt8]) {
        guard failure == nil else { return }
        bytes.append(contentsOf: more)
    }

    /// Bytes that are held because their packet is not complete, or not asked for yet.
    package var bufferedCount: Int { bytes.count - position }

    /// After `next()` gave nil: whether a packet has begun.
    package var hasPartialPacket: Bool { bufferedCount > 0 }

    /// The same from `offset` on.
    package mutating func append(_ more: Span<UInt8>, from offset: Int) {
        guard failure == nil, offset < more.count else { return }
        more.withUnsafeBufferPointer { bytes.append(contentsOf: $0[offset...]) }
    }

    /// The next packet of bytes that have just come, read where they are: most come as whole packets. `offset` is where
    /// the next one begins; nil: the bytes are used up, and what is no whole packet is kept. Who stops before that must
    /// append the rest.
    package mutating func next(in input: Span<UInt8>, at offset: inout Int) throws(MQTTError) -> MQTTPacket? {
        if failure == nil, bytes.isEmpty, offset < input.count {
            do {
                var place = offset
                let limit = packetLimit
                let packet = try input.withUnsafeBufferPointer { bytes throws(MQTTError) in
                    try Self.packet(in: bytes, at: &place, limit: limit)
                }
                offset = place
                if let packet { return packet }
            } catch {
                failure = error
                throw error
            }
        }
        append(input, from: offset)
        offset = input.count
        return try next()
    }

    /// The next packet, or nil when it is not complete. After an error the same error comes for ever.
    package mutating func next() throws(MQTTError) -> MQTTPacket? {
        if let failure { throw failure }
        guard position < bytes.count else { return nil }
        do {
            let limit = packetLimit
            var place = position
            let packet = try bytes.withUnsafeBufferPointer { bytes throws(MQTTError) in
                try Self.packet(in: bytes, at: &place, limit: limit)
            }
            guard let packet else {
                compact()
                return nil
            }
            position = place
            if position == bytes.count { release() }
            return packet
        } catch {
            failure = error
            release()
            throw error
        }
    }

    private mutating func release() {
        bytes = []
        position = 0
    }

    /// Moves what is left to the front when that costs no more than what was decoded, and gives the memory of a large
    /// packet back.
    private mutating func compact() {
        guard position > 0, bufferedCount <= position else { return }
        if bytes.capacity > 4096, bufferedCount < bytes.capacity / 4 {
            bytes = Array(bytes[position...])
        } else {
            bytes.removeSubrange(..<position)
        }
        position = 0
    }

    // MARK: Fixed header

    private typealias Bytes = UnsafeBufferPointer<UInt8>

    private struct Frame {
        let type: MQTTPacketType
        let flags: UInt8
        let body: Range<Int>
    }

    /// The packet at `place`, which is moved behind it; nil when it is not complete.
    private static func packet(
        in bytes: Bytes, at place: inout Int, limit: Int
    ) throws(MQTTError) -> MQTTPacket? {
        guard let frame = try frame(in: bytes, at: place, limit: limit) else { return nil }
        let packet = try packet(of: frame, in: bytes)
        place = frame.body.upperBound
        return packet
    }

    /// The next packet's header, or nil when the packet is not complete.
    private static func frame(in bytes: Bytes, at position: Int, limit: Int) throws(MQTTError) -> Frame? {
        guard position < bytes.count else { return nil }
        let first = bytes[position]
        guard let type = MQTTPacketType(rawValue: first >> 4) else { throw .reservedType }
        let flags = first & 0x0F
        if let required = type.requiredFlags, flags != required { throw .headerFlags }
        switch type {
        case .pubrec, .pubrel, .pubcomp: throw .exactlyOnce
        case .publish: try check(publishFlags: flags)
        default: break
        }
        guard let (start, length) = try remainingLength(in: bytes, behind: position) else { return nil }
        guard start - position + length <= limit else { throw .packetTooLarge }
        if let fixed = type.fixedLength, length != fixed { throw .wrongLength }
        guard bytes.count - start >= length else { return nil }
        return Frame(type: type, flags: flags, body: start..<(start + length))
    }

    private static func check(publishFlags flags: UInt8) throws(MQTTError) {
        let qos = flags >> 1 & 0b11
        if qos == 3 { throw .qualityOfService }
        if qos == 0, flags & 0b1000 != 0 { throw .duplicateFlag }
    }

    /// Where the body starts and how long it is.
    private static func remainingLength(
        in bytes: Bytes, behind position: Int
    ) throws(MQTTError) -> (start: Int, length: Int)? {
        var length = 0
        for index in 0..<4 {
            let place = position + 1 + index
            guard place < bytes.count else { return nil }
            length |= Int(bytes[place] & 0x7F) << (7 * index)
            if bytes[place] & 0x80 == 0 { return (place + 1, length) }
        }
        throw .lengthBytes
    }

    // MARK: Bodies

    private static func packet(of frame: Frame, in bytes: Bytes) throws(MQTTError) -> MQTTPacket {
        var reader = MQTTReader(bytes, frame.body)
        let packet: MQTTPacket
        switch frame.type {
        case .connect: packet = .connect(try connect(&reader))
        case .connack: packet = try connack(&reader)
        case .publish: packet = .publish(try publish(&reader, frame.flags))
        case .puback: packet = .puback(packetID: try reader.packetID())
        case .subscribe: packet = try subscribe(&reader)
        case .suback: packet = try suback(&reader)
        case .unsubscribe: packet = try unsubscribe(&reader)
        case .unsuback: packet = .unsuback(packetID: try reader.packetID())
        case .pingreq: packet = .pingreq
        case .pingresp: packet = .pingresp
        case .disconnect: packet = .disconnect
        case .pubrec, .pubrel, .pubcomp: throw .exactlyOnce
        }
        guard reader.isAtEnd else { throw .trailingBytes }
        return packet
    }

    private static func connect(_ reader: inout MQTTReader) throws(MQTTError) -> MQTTConnect {
        var connect = MQTTConnect(protocolName: try reader.text(), protocolLevel: try reader.byte())
        guard connect.isSupported else {
            // Another version's fields may be others; the answer needs none of them.
            _ = reader.rest()
            return connect
        }
        let flags = MQTTConnectFlags(rawValue: try reader.byte())
        if flags.contains(.reserved) { throw .connectFlag }
        if flags.contains(.password), !flags.contains(.userName) { throw .passwordAlone }
        let willFlags: MQTTConnectFlags = [.willQuality, .willRetain]
        if !flags.contains(.will), !flags.isDisjoint(with: willFlags) { throw .willFlags }
        if flags.willQoS == 3 { throw .willFlags }
        connect.isCleanSession = flags.contains(.cleanSession)
        connect.keepAlive = try reader.number()
        connect.clientID = try reader.text()
        if flags.contains(.will) {
            connect.will = MQTTWill(
                topic: try reader.topic(), payload: try reader.data(), qos: flags.willQoS,
                isRetained: flags.contains(.willRetain))
        }
        if flags.contains(.userName) { connect.userName = try reader.text() }
        if flags.contains(.password) { connect.password = try reader.data() }
        return connect
    }

    private static func connack(_ reader: inout MQTTReader) throws(MQTTError) -> MQTTPacket {
        let (flags, code) = (try reader.byte(), try reader.byte())
        guard flags == 0 || (flags == 1 && code == 0) else { throw .connackFlags }
        return .connack(sessionPresent: flags == 1, code: code)
    }

    private static func publish(_ reader: inout MQTTReader, _ flags: UInt8) throws(MQTTError) -> MQTTPublish {
        let qos = flags >> 1 & 0b11
        let topic = try reader.topic()
        let packetID = qos > 0 ? try reader.packetID() : 0
        return MQTTPublish(
            topic: topic, payload: reader.rest(), qos: qos, packetID: packetID, isRetained: flags & 0b0001 != 0,
            isDuplicate: flags & 0b1000 != 0)
    }

    private static func subscribe(_ reader: inout MQTTReader) throws(MQTTError) -> MQTTPacket {
        let packetID = try reader.packetID()
        var subscriptions: [MQTTSubscription] = []
        while !reader.isAtEnd {
            guard subscriptions.count < MQTTLimits.filtersPerPacket else { throw .tooManyFilters }
            let (filter, qos) = (try reader.filter(), try reader.byte())
            guard qos <= 2 else { throw .filterOptions }
            subscriptions.append(MQTTSubscription(filter: filter, qos: qos))
        }
        guard !subscriptions.isEmpty else { throw .noFilters }
        return .subscribe(packetID: packetID, subscriptions)
    }

    private static func suback(_ reader: inout MQTTReader) throws(MQTTError) -> MQTTPacket {
        let packetID = try reader.packetID()
        let codes = reader.rest()
        guard !codes.isEmpty else { throw .noFilters }
        guard codes.allSatisfy({ $0 <= 2 || $0 == MQTTPacket.refused }) else { throw .resultCode }
        return .suback(packetID: packetID, codes: codes)
    }

    private static func unsubscribe(_ reader: inout MQTTReader) throws(MQTTError) -> MQTTPacket {
        let packetID = try reader.packetID()
        var filters: [String] = []
        while !reader.isAtEnd {
            guard filters.count < MQTTLimits.filtersPerPacket else { throw .tooManyFilters }
            filters.append(try reader.filter())
        }
        guard !filters.isEmpty else { throw .noFilters }
        return .unsubscribe(packetID: packetID, filters: filters)
    }
}
