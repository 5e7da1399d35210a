// From bytes of an import file to devices, for both formats. Pure: bytes go in as they come, records and failures come
// out in order, and one bad record never hides the next.

import JSON

package struct DeviceRecordParser: Sendable {
    package enum Item: Sendable, Equatable {
        case record(DeviceRecord)
        case failure(ImportFailure)
    }

    private enum Reader: Sendable {
        case csv(CSVReader, CSVColumns?)
        case ndjson(LineReader)
    }

    private var reader: Reader
    /// The line of each id: the service refuses a request that names a device twice, and a file that does is wrong.
    private var lines: [String: Int] = [:]
    /// How much of a byte order mark has been skipped; its whole length once anything else was seen.
    private var markCount = 0
    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]

    package init(format: ImportFormat) {
        switch format {
        case .csv: reader = .csv(CSVReader(), nil)
        case .ndjson: reader = .ndjson(LineReader())
        }
    }

    /// Gives the records that end within these bytes.
    package mutating func append(_ bytes: [UInt8]) throws(ImportFormatError) -> [Item] {
        var bytes = bytes[...]
        while markCount < Self.mark.count, let first = bytes.first {
            if first == Self.mark[markCount] {
                bytes = bytes.dropFirst()
                markCount += 1
            } else {
                markCount = Self.mark.count
            }
        }
        var items: [Item] = []
        switch reader {
        case .csv(var csv, var columns):
            // One owner while it is changed, else every byte would copy the state.
            reader = .ndjson(LineReader())
            defer { reader = .csv(csv, columns) }
            for byte in bytes {
                guard let record = csv.take(byte) else { continue }
                if let item = try item(record, &columns) { items.append(item) }
            }
        case .ndjson(var lines):
            reader = .ndjson(LineReader())
            defer { reader = .ndjson(lines) }
            for byte in bytes {
                guard let line = lines.take(byte) else { continue }
                if let item = item(line) { items.append(item) }
            }
        }
        return items
    }

    /// The last record, when no line end follows it.
    package mutating func finish() throws(ImportFormatError) -> [Item] {
        switch reader {
        case .csv(var csv, var columns):
            var last: Item?
            if let record = csv.finish() { last = try item(record, &columns) }
            guard columns != nil else {
                throw ImportFormatError(
                    line: 1, "the input is empty; its first line must name the columns, one of them deviceId")
            }
            return last.map { [$0] } ?? []
        case .ndjson(var lines):
            return lines.finish().flatMap { item($0) }.map { [$0] } ?? []
        }
    }

    private mutating func item(_ record: CSVReader.Record, _ columns: inout CSVColumns?) throws(ImportFormatError)
        -> Item?
    {
        switch record {
        case .failure(let failure):
            guard columns != nil else { throw ImportFormatError(line: failure.line, failure.message) }
            return .failure(failure)
        case .cells(let cells, let line):
            guard let known = columns else {
                columns = try CSVColumns(cells, line: line)
                return nil
            }
            return unique(known.record(cells, line: line))
        }
    }

    private mutating func item(_ line: LineReader.Line) -> Item? {
        guard !line.isTooLong else {
            return .failure(
                ImportFailure(line: line.number, "the line is longer than \(ImportLimits.recordBytes) bytes"))
        }
        guard line.bytes.contains(where: { ![0x20, 0x09, 0x0D].contains($0) }) else { return nil }
        return unique(Self.record(line))
    }

    private static func record(_ line: LineReader.Line) -> Result<DeviceRecord, RecordError> {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: line.bytes, limits: JSONLimits(refusesInexactIntegers: true))
        } catch {
            return .failure(.init(line: line.number, "no JSON: \(error)"))
        }
        guard var entry = value.objectValue else {
            return .failure(.init(line: line.number, "\(value.kind) where an object should stand"))
        }
        // `deviceId` is what every other document calls it.
        if entry["id"] == nil, let id = entry["deviceId"] {
            entry["deviceId"] = nil
            entry["id"] = id
        }
        guard let id = entry["id"]?.stringValue, !id.isEmpty else {
            return .failure(.init(line: line.number, "id is missing, or is no text"))
        }
        return .success(DeviceRecord(line: line.number, deviceID: id, entry: entry))
    }

    private mutating func unique(_ result: Result<DeviceRecord, RecordError>) -> Item {
        switch result {
        case .failure(let error):
            return .failure(error.failure)
        case .success(let record):
            if let first = lines[record.deviceID] {
                return .failure(
                    ImportFailure(
                        line: record.line, deviceID: record.deviceID, "this device stands on line \(first) already"))
            }
            lines[record.deviceID] = record.line
            return .record(record)
        }
    }
}

/// Lines as bytes come in; a line that is too long is skipped to its end.
struct LineReader: Sendable {
    struct Line {
        var number: Int
        var bytes: [UInt8]
        var isTooLong: Bool
    }

    private var bytes: [UInt8] = []
    private var isTooLong = false
    private var number = 1

    mutating func take(_ byte: UInt8) -> Line? {
        if byte == 0x0A { return end() }
        if bytes.count < ImportLimits.recordBytes { bytes.append(byte) } else { isTooLong = true }
        return nil
    }

    mutating func finish() -> Line? { bytes.isEmpty ? nil : end() }

    private mutating func end() -> Line {
        let line = Line(number: number, bytes: bytes, isTooLong: isTooLong)
        bytes.removeAll(keepingCapacity: true)
        (isTooLong, number) = (false, number + 1)
        return line
    }
}
