// Received bytes that are not parsed yet, cut into lines and pieces. The same bytes give the same result however they
// were split on their way: a line's errors are found byte by byte, in order.

struct ReceiveBuffer {
    private var bytes: [UInt8] = []
    /// Bytes before this are parsed.
    private var position = 0
    /// Bytes before this are known to hold no end of a line.
    private var scanned = 0

    var count: Int { bytes.count - position }
    var isEmpty: Bool { position == bytes.count }

    mutating func append(_ more: UnsafeBufferPointer<UInt8>) {
        compact()
        bytes.append(contentsOf: more)
    }

    /// What a line that is not to be had means.
    enum LineFault: Error {
        /// A line feed without, or a carriage return not followed by, its partner.
        case bareEnd
        case tooLong
    }

    /// The next line without its end (CR LF), or nil when it is not complete. The line may have `limit` bytes.
    mutating func nextLine(limit: Int) throws(LineFault) -> ArraySlice<UInt8>? {
        let (start, from) = (position, scanned)
        var fault: LineFault?
        let end = bytes.withUnsafeBufferPointer { bytes -> Int? in
            for index in from..<bytes.count {
                let isAfterReturn = index > start && bytes[index - 1] == carriageReturn
                if bytes[index] == lineFeed {
                    guard isAfterReturn else {
                        fault = .bareEnd
                        return nil
                    }
                    return index
                }
                if isAfterReturn { fault = .bareEnd } else if index - start > limit { fault = .tooLong }
                if fault != nil { return nil }
            }
            return nil
        }
        if let fault { throw fault }
        guard let end else {
            scanned = bytes.count
            return nil
        }
        position = end + 1
        scanned = position
        return bytes[start..<(end - 1)]
    }

    /// Exactly `count` bytes, or nil when they are not there yet.
    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard self.count >= count else { return nil }
        return takeUpTo(count)
    }

    mutating func takeUpTo(_ limit: Int) -> ArraySlice<UInt8> {
        let start = position
        position += min(limit, count)
        scanned = position
        return bytes[start..<position]
    }

    /// Gives the memory back once everything is parsed.
    mutating func releaseIfEmpty() {
        guard isEmpty else { return }
        bytes = []
        position = 0
        scanned = 0
    }

    private mutating func compact() {
        guard position > 0, position >= bytes.count / 2 else { return }
        bytes.removeFirst(position)
        scanned -= position
        position = 0
    }
}

let carriageReturn: UInt8 = 0x0D
let lineFeed: UInt8 = 0x0A
