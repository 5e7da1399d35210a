// Bytes that wait for the socket to take them. Holds no memory while empty: ten thousand idle sessions own nothing.

struct OutputBuffer {
    private var bytes: [UInt8] = []
    /// Bytes before this have been taken.
    private var head = 0

    var count: Int { bytes.count - head }
    var isEmpty: Bool { head == bytes.count }

    mutating func append(_ more: [UInt8]) {
        if isEmpty {
            // Shares the storage of the caller's array instead of copying it.
            bytes = more
            head = 0
        } else {
            compact()
            bytes.append(contentsOf: more)
        }
    }

    mutating func append(_ more: UnsafeRawBufferPointer) {
        compact()
        bytes.append(contentsOf: more)
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[head...])) }
    }

    mutating func consume(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "\(count) of \(self.count) bytes consumed")
        head += count
        if isEmpty { removeAll() }
    }

    mutating func removeAll() {
        bytes = []
        head = 0
    }

    /// Moves what is left to the front once the larger part is gone: each byte moves once on average.
    private mutating func compact() {
        guard head > 0, head >= bytes.count / 2 else { return }
        bytes.removeFirst(head)
        head = 0
    }
}
