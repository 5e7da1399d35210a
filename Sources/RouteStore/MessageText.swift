// The form of messages on the wire: fields one behind the other, without names and without escapes, so that writing and
// reading one costs little more than copying it. A number is its decimal digits and a space; a text is the number of its
// UTF-8 bytes, a colon, and the bytes: `c1 2 1 1 1767225600000 30000 8:worker~18:lockDoor4:null1 7 0 6:sim-17`.

struct MessageWriter {
    private(set) var bytes: [UInt8]

    /// `kind`: one letter. `capacity`: a guess of all bytes.
    init(_ kind: Unicode.Scalar, capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
        bytes.append(UInt8(ascii: kind))
    }

    mutating func write(_ number: Int64) { write(number, mark: UInt8(ascii: " ")) }

    mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            write(Int64(utf8.count), mark: UInt8(ascii: ":"))
            bytes.append(contentsOf: utf8)
        }
    }

    mutating func write(letter: Unicode.Scalar) { bytes.append(UInt8(ascii: letter)) }

    private mutating func write(_ number: Int64, mark: UInt8) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = number.magnitude
        let start = bytes.count
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
        bytes.append(mark)
    }
}

/// Messages come from our own processes, but through a store that others can write to: whatever the bytes are, each
/// function returns nil for what does not stand there.
struct MessageReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    /// Reads all of a message; nil when `body` gives nil or leaves something.
    static func read<Value>(_ bytes: [UInt8], _ body: (inout MessageReader) -> Value?) -> Value? {
        guard bytes.count <= RouteLimits.messageBytes else { return nil }
        return bytes.withUnsafeBufferPointer { bytes in
            var reader = MessageReader(bytes: bytes)
            guard let value = body(&reader), reader.position == bytes.count else { return nil }
            return value
        }
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func letter() -> Unicode.Scalar? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        return Unicode.Scalar(bytes[position])
    }

    mutating func number() -> Int64? { number(mark: UInt8(ascii: " ")) }

    mutating func number(in range: ClosedRange<Int64>) -> Int64? {
        guard let number = number(), range.contains(number) else { return nil }
        return number
    }

    mutating func text() -> String? {
        guard let count = number(mark: UInt8(ascii: ":")), (0...Int64(bytes.count - position)).contains(count) else {
            return nil
        }
        defer { position += Int(count) }
        return String(validating: bytes[position..<position + Int(count)], as: UTF8.self)
    }

    /// So many elements, each made of at least one byte.
    mutating func list<Element>(_ element: (inout MessageReader) -> Element?) -> [Element]? {
        guard let count = number(), (0...Int64(bytes.count - position)).contains(count) else { return nil }
        var elements: [Element] = []
        for _ in 0..<count {
            guard let next = element(&self) else { return nil }
            // Not before one was read: the number may promise more than there is.
            if elements.isEmpty { elements.reserveCapacity(Int(count)) }
            elements.append(next)
        }
        return elements
    }

    private mutating func number(mark: UInt8) -> Int64? {
        let isNegative = position < bytes.count && bytes[position] == UInt8(ascii: "-")
        if isNegative { position += 1 }
        let start = position
        var value: Int64 = 0
        while position < bytes.count {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            // Downwards, because the smallest number has no positive counterpart.
            let (shifted, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            let (next, isOver) = shifted.subtractingReportingOverflow(Int64(digit))
            guard !isTooLarge, !isOver else { return nil }
            value = next
            position += 1
        }
        guard position > start, position < bytes.count, bytes[position] == mark else { return nil }
        position += 1
        guard !isNegative else { return value }
        return value == .min ? nil : -value
    }
}
