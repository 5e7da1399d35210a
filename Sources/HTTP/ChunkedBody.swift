// The decoder of a chunked body (RFC 9112, section 7.1). Extensions and trailers are checked, bounded and dropped.

struct ChunkedBody {
    private enum Mode {
        case size
        case data(remaining: Int)
        case dataEnd
        case trailers(HeaderBlock)
    }

    private(set) var bytes: [UInt8] = []
    private var mode = Mode.size
    private var overheadLeft: Int
    private let bodyLimit: Int
    private let lineLimit: Int

    init(bodyLimit: Int, lineLimit: Int, overheadLimit: Int) {
        self.bodyLimit = bodyLimit
        self.lineLimit = lineLimit
        overheadLeft = overheadLimit
    }

    /// True when the body is complete, false when more bytes are needed.
    mutating func parse(_ buffer: inout ReceiveBuffer) throws(HTTPProtocolError) -> Bool {
        while true {
            switch mode {
            case .size:
                guard let line = try Self.line(&buffer, limit: lineLimit) else { return false }
                let size = try parseSize(line)
                guard size > 0 else {
                    mode = .trailers(HeaderBlock(bytes: max(0, overheadLeft), fields: 32))
                    continue
                }
                guard size <= bodyLimit - bytes.count else {
                    throw HTTPProtocolError(status: 413, text: "the body has more than \(bodyLimit) bytes")
                }
                mode = .data(remaining: size)
            case .data(let remaining):
                let piece = buffer.takeUpTo(remaining)
                bytes.append(contentsOf: piece)
                guard piece.count == remaining else {
                    mode = .data(remaining: remaining - piece.count)
                    return false
                }
                mode = .dataEnd
            case .dataEnd:
                guard let line = try Self.line(&buffer, limit: 0) else { return false }
                guard line.isEmpty else { throw .bad("a chunk is longer than its size says") }
                mode = .size
            case .trailers(var block):
                let isComplete = try block.parse(&buffer)
                mode = .trailers(block)
                return isComplete
            }
        }
    }

    private static func line(
        _ buffer: inout ReceiveBuffer, limit: Int
    ) throws(HTTPProtocolError) -> ArraySlice<UInt8>? {
        do {
            return try buffer.nextLine(limit: limit)
        } catch {
            throw .bad(error == .bareEnd ? "a chunk's line must end with CR LF" : "a chunk's line is too long")
        }
    }

    private mutating func parseSize(_ line: ArraySlice<UInt8>) throws(HTTPProtocolError) -> Int {
        let digits = line.prefix { $0 != UInt8(ascii: ";") }
        // 15 digits stay below 2^63; leading zeros beyond that are an attempt at something.
        guard (1...15).contains(digits.count) else { throw .bad("a chunk's size is not 1 to 15 hexadecimal digits") }
        var size = 0
        for digit in digits {
            guard let value = hexDigit(digit) else { throw .bad("a chunk's size is not hexadecimal") }
            size = size << 4 | Int(value)
        }
        let extensions = line[digits.endIndex...]
        guard extensions.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }) else {
            throw .bad("a chunk's extension has a forbidden character")
        }
        overheadLeft -= extensions.count
        guard overheadLeft >= 0 else { throw .bad("the chunks' extensions are too long") }
        return size
    }
}
