// Takes apart what a WebSocket client sends (RFC 6455, section 5): a pure value that is fed bytes and yields payload.
//
// Strict: every frame masked, lengths in their shortest form, no extension, no text. Payload is handed on as it comes,
// not frame by frame, because MQTT packets have their own borders (wire contract C.5); so no message is ever collected,
// and only a control frame's payload is held. The same bytes give the same result however they were cut.

struct WebSocketDecoder {
    enum Event: Equatable {
        /// The next bytes of the stream.
        case data([UInt8])
        case ping([UInt8])
        case pong
        /// Nothing that follows counts. Nil when the client gave no code.
        case close(code: UInt16?)
    }

    private enum Mode {
        case opcode
        case length
        case extendedLength(missing: Int)
        case mask(missing: Int)
        case payload
        case finished
    }

    private var mode = Mode.opcode
    /// A data message has begun and its last frame has not.
    private var isInMessage = false
    private var opcode = WebSocketOpcode.binary
    private var isFinal = false
    /// Of the frame's payload; then what is missing of it.
    private var count: UInt64 = 0
    private var lengthForm = 0
    private var mask = SIMD4<UInt8>()
    /// Of the mask, for the next byte.
    private var maskIndex = 0
    private var control: [UInt8] = []

    /// The next event of `bytes` from `offset` on, which moves behind what was read; nil when all is read. After an error
    /// or `close` nothing more is read.
    mutating func next(_ bytes: Span<UInt8>, from offset: inout Int) throws(WebSocketFault) -> Event? {
        while offset < bytes.count {
            if case .finished = mode { return nil }
            if case .payload = mode {
                if let event = try takePayload(bytes, &offset) { return event }
                continue
            }
            let byte = bytes[offset]
            offset += 1
            do throws(WebSocketFault) {
                try takeHeader(byte)
            } catch {
                mode = .finished
                throw error
            }
            if case .payload = mode, count == 0, let event = try endFrame() { return event }
        }
        return nil
    }

    // MARK: Header

    private mutating func takeHeader(_ byte: UInt8) throws(WebSocketFault) {
        switch mode {
        case .opcode:
            try begin(byte)
        case .length:
            guard byte & 0x80 != 0 else { throw .protocolError("a client's frame must be masked") }
            try takeLength(byte & 0x7F)
        case .extendedLength(let missing):
            count = count << 8 | UInt64(byte)
            if missing > 1 { mode = .extendedLength(missing: missing - 1) } else { try judgeLength() }
        case .mask(let missing):
            mask[4 - missing] = byte
            mode = missing > 1 ? .mask(missing: missing - 1) : .payload
        case .payload, .finished:
            break
        }
    }

    private mutating func begin(_ byte: UInt8) throws(WebSocketFault) {
        guard byte & 0x70 == 0 else { throw .protocolError("a reserved bit is set") }
        guard let opcode = WebSocketOpcode(rawValue: byte & 0x0F) else { throw .protocolError("an unknown opcode") }
        isFinal = byte & 0x80 != 0
        switch opcode {
        case .continuation:
            guard isInMessage else { throw .protocolError("nothing is there to be continued") }
        case .text, .binary:
            guard !isInMessage else { throw .protocolError("a message begins within another") }
            guard opcode == .binary else {
                throw WebSocketFault(code: WebSocketCloseCode.unsupportedData, text: "only binary frames are accepted")
            }
        case .close, .ping, .pong:
            guard isFinal else { throw .protocolError("a control frame is fragmented") }
        }
        self.opcode = opcode
        if !opcode.isControl { isInMessage = !isFinal }
        mode = .length
    }

    private mutating func takeLength(_ length: UInt8) throws(WebSocketFault) {
        guard !opcode.isControl || Int(length) <= WebSocketLimits.controlBytes else {
            throw .protocolError("a control frame has more than \(WebSocketLimits.controlBytes) bytes")
        }
        (lengthForm, count) =
            switch length {
            case 126: (2, 0)
            case 127: (8, 0)
            default: (0, UInt64(length))
            }
        if lengthForm > 0 { mode = .extendedLength(missing: lengthForm) } else { try judgeLength() }
    }

    private mutating func judgeLength() throws(WebSocketFault) {
        let least: UInt64 = lengthForm == 8 ? 0x1_0000 : lengthForm == 2 ? 126 : 0
        guard count >= least, count < 1 << 63 else { throw .protocolError("a length is not in its shortest form") }
        guard count <= UInt64(WebSocketLimits.frameBytes) else {
            let text = "a frame has more than \(WebSocketLimits.frameBytes) bytes"
            throw WebSocketFault(code: WebSocketCloseCode.tooBig, text: text)
        }
        maskIndex = 0
        mode = .mask(missing: 4)
    }

    // MARK: Payload

    private mutating func takePayload(_ bytes: Span<UInt8>, _ offset: inout Int) throws(WebSocketFault) -> Event? {
        let piece = min(Int(count), bytes.count - offset)
        let (start, mask, maskIndex) = (offset, self.mask, self.maskIndex)
        let plain = [UInt8](unsafeUninitializedCapacity: piece) { buffer, initialized in
            for index in 0..<piece {
                buffer[index] = bytes[start + index] ^ mask[(maskIndex + index) & 3]
            }
            initialized = piece
        }
        offset += piece
        count -= UInt64(piece)
        self.maskIndex = (maskIndex + piece) & 3
        if opcode.isControl {
            control += plain
            return count == 0 ? try endFrame() : nil
        }
        if count == 0 { mode = .opcode }
        return .data(plain)
    }

    private mutating func endFrame() throws(WebSocketFault) -> Event? {
        mode = .opcode
        let payload = control
        control = []
        switch opcode {
        case .continuation, .text, .binary: return nil
        case .ping: return .ping(payload)
        case .pong: return .pong
        case .close:
            mode = .finished
            return .close(code: try Self.closeCode(payload))
        }
    }

    private static func closeCode(_ payload: [UInt8]) throws(WebSocketFault) -> UInt16? {
        guard !payload.isEmpty else { return nil }
        guard payload.count >= 2 else { throw .protocolError("a close code is cut off") }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        guard WebSocketCloseCode.mayBeSent(code) else { throw .protocolError("a close code that may not be sent") }
        guard String(validating: payload[2...], as: UTF8.self) != nil else {
            throw WebSocketFault(code: WebSocketCloseCode.invalidText, text: "the reason of a close is not UTF-8")
        }
        return code
    }
}
