// The field lines of a head or of trailers (RFC 9112, section 5), strictly: no folding, no white space before the
// colon, no control characters, a bounded number and size.

struct HeaderBlock {
    private(set) var headers = HTTPHeaders()
    private var bytesLeft: Int
    private var fieldsLeft: Int

    init(bytes: Int, fields: Int) {
        bytesLeft = bytes
        fieldsLeft = fields
    }

    /// True at the empty line that ends the block, false when more bytes are needed.
    mutating func parse(_ buffer: inout ReceiveBuffer) throws(HTTPProtocolError) -> Bool {
        while true {
            let line: ArraySlice<UInt8>?
            do {
                line = try buffer.nextLine(limit: bytesLeft)
            } catch {
                switch error {
                case .bareEnd: throw .bad("a header line must end with CR LF")
                case .tooLong: throw HTTPProtocolError(status: 431, text: "the headers are too large")
                }
            }
            guard let line else { return false }
            guard !line.isEmpty else { return true }
            bytesLeft -= line.count
            guard fieldsLeft > 0 else { throw HTTPProtocolError(status: 431, text: "there are too many headers") }
            fieldsLeft -= 1
            try add(line)
        }
    }

    private mutating func add(_ line: ArraySlice<UInt8>) throws(HTTPProtocolError) {
        guard let first = line.first, !isBlank(first) else { throw .bad("a header must not be folded") }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw .bad("a header line has no colon") }
        let name = line[..<colon]
        guard isToken(name) else { throw .bad("a header's name has a forbidden character") }
        var value = line[(colon + 1)...]
        while let byte = value.first, isBlank(byte) { value.removeFirst() }
        while let byte = value.last, isBlank(byte) { value.removeLast() }
        guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }) else {
            throw .bad("a header's value has a forbidden character")
        }
        headers.add(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }
}

func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

/// RFC 9110's token: what methods and header names are made of.
func isToken(_ bytes: some Collection<UInt8>) -> Bool {
    !bytes.isEmpty && bytes.allSatisfy { tokenCharacters[Int($0)] }
}

private let tokenCharacters: [Bool] = {
    let allowed = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    var table = [Bool](repeating: false, count: 256)
    for byte in allowed.utf8 { table[Int(byte)] = true }
    return table
}()
