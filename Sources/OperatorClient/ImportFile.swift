// The input of an import: a file or standard input, read on an executor of its own, because reading blocks.

private import Foundation
private import ServiceKit

package actor ImportFile {
    package struct Failure: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    private let executor = QueueExecutor(label: "muster.import")
    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let name: String
    private let descriptor: Int32
    private var format: ImportFormat?
    private var parser: DeviceRecordParser?
    private var isAtEnd = false

    /// `-` is standard input. Without a format the first byte decides.
    package init(path: String, format: ImportFormat?) throws(Failure) {
        name = path == "-" ? "standard input" : path
        descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        self.format = format
        guard descriptor >= 0 else { throw Failure(description: "\(path): \(String(cString: strerror(errno)))") }
    }

    deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

    /// About how many devices a regular file holds, from its line ends, for the progress bar; nil for anything else.
    package func estimate() -> Int? {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else {
            return nil
        }
        var buffer = [UInt8](repeating: 0, count: ImportLimits.readBytes)
        var (offset, lines) = (off_t(0), 0)
        var (last, first) = (UInt8(ascii: "\n"), UInt8(0))
        while true {
            let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, offset) }
            guard count > 0 else { break }
            if offset == 0 { first = buffer[0] }
            lines += buffer[..<count].count { $0 == UInt8(ascii: "\n") }
            last = buffer[count - 1]
            offset += off_t(count)
        }
        if last != UInt8(ascii: "\n") { lines += 1 }
        let hasHeader = (format ?? ImportFormat.guess([first])) == .csv
        return max(0, lines - (hasHeader ? 1 : 0))
    }

    /// The next records; nil at the end.
    package func next() throws -> [DeviceRecordParser.Item]? {
        guard !isAtEnd else { return nil }
        var buffer = [UInt8](repeating: 0, count: ImportLimits.readBytes)
        var count = 0
        repeat {
            count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        } while count < 0 && errno == EINTR
        guard count >= 0 else { throw Failure(description: "\(name): \(String(cString: strerror(errno)))") }
        let bytes = Array(buffer[..<count])
        if parser == nil, let format = format ?? ImportFormat.guess(bytes) {
            parser = DeviceRecordParser(format: format)
        }
        guard count > 0 else {
            isAtEnd = true
            guard var parser else { throw Failure(description: "\(name) is empty") }
            return try parser.finish()
        }
        return try parser?.append(bytes) ?? []
    }
}
