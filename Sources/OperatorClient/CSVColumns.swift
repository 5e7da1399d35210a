// The header of a CSV file: which column goes where in a bulk entry, and how its cells become JSON.
//
// An unquoted cell that reads as a JSON number, `true` or `false` is one; every other cell is a text, and an empty
// unquoted one leaves its member out. A type after the name (`tags.building:string`) settles it for the whole column.

import JSON

struct CSVColumns {
    private enum Kind: String, CaseIterable {
        case boolean
        case json
        case number
        case string
    }

    private enum Place {
        case deviceID
        case member([String], Kind?)
    }

    private let places: [(name: String, place: Place)]

    init(_ cells: [CSVReader.Cell], line: Int) throws(ImportFormatError) {
        var places: [(name: String, place: Place)] = []
        for cell in cells {
            let name = cell.text.trimmingSpaces
            guard let place = Self.place(name) else {
                throw ImportFormatError(
                    line: line,
                    "column \(places.count + 1) is '\(name.prefix(100))'; known are deviceId, status, statusReason, "
                        + "primaryKey, secondaryKey, tags.<name> and desired.<name>, each optionally with a type such as "
                        + ":string")
            }
            guard !places.contains(where: { $0.name == name }) else {
                throw ImportFormatError(line: line, "the column '\(name.prefix(100))' stands twice")
            }
            places.append((name, place))
        }
        let count = places.count { if case .deviceID = $0.place { true } else { false } }
        guard count == 1 else {
            throw ImportFormatError(line: line, "the first line must name the columns, one of them deviceId")
        }
        self.places = places
    }

    private static func place(_ name: String) -> Place? {
        var name = name
        var kind: Kind?
        if let colon = name.lastIndex(of: ":"), let found = Kind(rawValue: String(name[name.index(after: colon)...])) {
            kind = found
            name = String(name[..<colon])
        }
        let path = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard !path.contains("") else { return nil }
        return switch (path[0], path.count) {
        case ("deviceId", 1), ("id", 1): .deviceID
        case ("status", 1), ("statusReason", 1): .member(path, .string)
        case ("primaryKey", 1), ("secondaryKey", 1): .member(["authentication", "symmetricKey"] + path, .string)
        case ("tags", 2...): .member(path, kind)
        case ("desired", 2...): .member(["properties"] + path, kind)
        case ("properties", 3...) where path[1] == "desired": .member(path, kind)
        default: nil
        }
    }

    func record(_ cells: [CSVReader.Cell], line: Int) -> Result<DeviceRecord, RecordError> {
        guard cells.count == places.count else {
            return .failure(.init(line: line, "\(cells.count) cells where the header names \(places.count) columns"))
        }
        var deviceID = ""
        var entry: JSONValue = [:]
        for (cell, column) in zip(cells, places) {
            switch column.place {
            case .deviceID:
                deviceID = cell.text
            case .member(let path, let kind):
                if cell.text.isEmpty, !cell.isQuoted { continue }
                guard let value = Self.value(cell, kind) else {
                    return .failure(
                        .init(
                            line: line, deviceID,
                            "\(column.name) is '\(cell.text.prefix(100))', which is no \(kind?.rawValue ?? "value")"))
                }
                guard entry.insert(value, at: path[...]) else {
                    return .failure(
                        .init(line: line, deviceID, "\(column.name) lies inside a column that holds a value of its own")
                    )
                }
            }
        }
        guard !deviceID.isEmpty else { return .failure(.init(line: line, "deviceId is empty")) }
        var object = JSONObject([("id", .string(deviceID))])
        for member in entry.objectValue?.members ?? [] { object[member.name] = member.value }
        return .success(DeviceRecord(line: line, deviceID: deviceID, entry: object))
    }

    private static func value(_ cell: CSVReader.Cell, _ kind: Kind?) -> JSONValue? {
        switch kind {
        case .string: return .string(cell.text)
        case .json: return parse(cell.text)
        case .number:
            guard let value = parse(cell.text), value.doubleValue != nil else { return nil }
            return value
        case .boolean:
            guard let value = parse(cell.text), value.boolValue != nil else { return nil }
            return value
        case nil:
            guard !cell.isQuoted, let first = cell.text.utf8.first else { return .string(cell.text) }
            switch first {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "t"), UInt8(ascii: "f"):
                return parse(cell.text) ?? .string(cell.text)
            default:
                return .string(cell.text)
            }
        }
    }

    private static func parse(_ text: String) -> JSONValue? {
        do {
            return try JSONValue(parsing: text, limits: JSONLimits(refusesInexactIntegers: true))
        } catch {
            return nil
        }
    }
}

/// An `ImportFailure` that can be thrown.
struct RecordError: Error {
    let failure: ImportFailure

    init(line: Int, _ message: String) {
        failure = ImportFailure(line: line, message)
    }

    init(line: Int, _ deviceID: String, _ message: String) {
        failure = ImportFailure(line: line, deviceID: deviceID.isEmpty ? nil : deviceID, message)
    }
}

extension JSONValue {
    /// Puts a value into nested objects; false when something on the way is no object.
    fileprivate mutating func insert(_ value: JSONValue, at path: ArraySlice<String>) -> Bool {
        guard case .object(var object) = self, let name = path.first else { return false }
        if path.count == 1 {
            guard object[name] == nil else { return false }
            object[name] = value
        } else {
            var inner = object[name] ?? [:]
            guard inner.insert(value, at: path.dropFirst()) else { return false }
            object[name] = inner
        }
        self = .object(object)
        return true
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\u{FEFF}" }
        return String(drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }
}
