// The client's side of WebSocket framing, for tests only: masked frames, and a reader of what a server sends.

import ServiceKit

@testable import HTTP

/// One masked frame; every bit of its head can be chosen wrongly.
struct ClientFrame {
    /// FIN, reserved bits and opcode.
    var first: UInt8
    var payload: [UInt8] = []
    var mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
    /// Bytes of the length field beyond the first; nil for the shortest form.
    var lengthForm: Int?

    static func binary(_ payload: [UInt8], isFinal: Bool = true) -> ClientFrame {
        ClientFrame(first: isFinal ? 0x82 : 0x02, payload: payload)
    }

    static func continuation(_ payload: [UInt8], isFinal: Bool = true) -> ClientFrame {
        ClientFrame(first: isFinal ? 0x80 : 0x00, payload: payload)
    }

    static func ping(_ payload: [UInt8]) -> ClientFrame { ClientFrame(first: 0x89, payload: payload) }

    static func close(_ code: UInt16?, _ reason: [UInt8] = []) -> ClientFrame {
        let head = code.map { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } ?? []
        return ClientFrame(first: 0x88, payload: head + reason)
    }

    var bytes: [UInt8] {
        let count = payload.count
        let form = lengthForm ?? (count < 126 ? 0 : count < 0x1_0000 ? 2 : 8)
        var bytes = [first, 0x80 | (form == 0 ? UInt8(count) : form == 2 ? 126 : 127)]
        for index in (0..<form).reversed() { bytes.append(UInt8(truncatingIfNeeded: count >> (index * 8))) }
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }
}

/// What the decoder makes of bytes that come in pieces: payload joined, then how it ended.
struct DecodedStream: Equatable {
    var data: [UInt8] = []
    /// All events but data.
    var others: [WebSocketDecoder.Event] = []
    var fault: WebSocketFault?

    init(_ pieces: [[UInt8]]) {
        var decoder = WebSocketDecoder()
        for piece in pieces {
            var offset = 0
            do throws(WebSocketFault) {
                while let event = try decoder.next(piece.span, from: &offset) {
                    if case .data(let bytes) = event { data += bytes } else { others.append(event) }
                }
            } catch {
                // Not returned at once: a dead decoder has to stay dead.
                if fault == nil { fault = error } else { others.append(.pong) }
            }
        }
    }

    init(_ bytes: [UInt8]) { self.init([bytes]) }
}

/// Frames of a server: opcode and payload; nil when the bytes are no sequence of whole frames.
func serverFrames(_ bytes: [UInt8]) -> [(opcode: UInt8, payload: [UInt8])]? {
    var frames: [(opcode: UInt8, payload: [UInt8])] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        guard rest.count >= 2, let first = rest.popFirst(), let short = rest.popFirst(), first & 0xF0 == 0x80 else {
            return nil
        }
        let form = short == 126 ? 2 : short == 127 ? 8 : 0
        guard short < 128, rest.count >= form else { return nil }
        let count = form == 0 ? Int(short) : rest.prefix(form).reduce(0) { $0 << 8 | Int($1) }
        rest = rest.dropFirst(form)
        guard rest.count >= count else { return nil }
        frames.append((first & 0x0F, Array(rest.prefix(count))))
        rest = rest.dropFirst(count)
    }
    return frames
}
