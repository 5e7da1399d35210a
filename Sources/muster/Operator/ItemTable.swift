// Query results as rows: twins and job results by columns that people ask for, projections by the members they have.

import CommandLineKit
import JSON
import OperatorClient

struct ItemTable {
    /// Of the first page of a projection. A member that occurs only on later pages has no column; `--json` shows it.
    private var members: [String]?

    mutating func make(_ page: Pages.Page, _ items: [JSONValue]) -> TextTable {
        switch page.itemType {
        case "Twin":
            return Self.make(page, items)
        case "DeviceJob":
            return Self.table(
                items,
                [
                    ("DEVICE", "deviceId"), ("JOB", "jobId"), ("STATUS", "status"),
                    ("CHANGED (UTC)", "lastUpdatedDateTimeUtc"), ("ERROR", "error"),
                ])
        default:
            let members = self.members ?? Self.members(items)
            self.members = members
            return Self.table(items, members.map { ($0, $0) })
        }
    }

    /// Twins.
    static func make(_ page: Pages.Page, _ items: [JSONValue]) -> TextTable {
        table(
            items,
            [
                ("DEVICE", "deviceId"), ("STATUS", "status"), ("CONNECTION", "connectionState"), ("VERSION", "version"),
                ("TAGS", "tags"), ("DESIRED", "properties"),
            ])
    }

    private static func members(_ items: [JSONValue]) -> [String] {
        var names: [String] = []
        for item in items {
            for name in item.objectValue?.names ?? [] where !names.contains(name) { names.append(name) }
        }
        return names.isEmpty ? ["value"] : names
    }

    private static func table(_ items: [JSONValue], _ columns: [(title: String, member: String)]) -> TextTable {
        let areNumbers = columns.map { column in
            items.allSatisfy { $0[column.member].map { $0.doubleValue != nil } ?? true }
        }
        var table = TextTable(zip(columns, areNumbers).map { ($0.title, $1 ? .right : .left) })
        for item in items { table.add(columns.map { cell(item, $0.member) }) }
        return table
    }

    private static func cell(_ item: JSONValue, _ member: String) -> String {
        guard let value = item[member] else { return "-" }
        switch member {
        case "properties":
            // Of a twin: what was asked of the device. What it reported is in `muster twin show`.
            guard let desired = value["desired"] else { return Cell.text(value) }
            return Cell.text(desired)
        case "lastUpdatedDateTimeUtc": return Cell.time(value)
        case "error": return Cell.text(value["code"])
        default: return Cell.text(value)
        }
    }
}
