// A report for people, aligned, and for programs, as JSON.

internal import CommandLineKit
package import JSON

extension BenchReport {
    /// The head, the figures, and what each process used.
    package var text: String {
        var text = ""
        let width = head.map(\.name.count).reduce(0, max)
        for (name, value) in head {
            text += name + String(repeating: " ", count: width - name.count + 2) + value + "\n"
        }
        return text + "\n" + figures + "\n" + processes
    }

    private var figures: String {
        var table = TextTable([
            (name, .left), ("median", .right), ("least", .right), ("most", .right), ("unit", .left),
            ("limit of this run", .left), ("median", .right), ("ratio", .right), ("wanted", .left),
            ("CPU µs an item", .right), ("limit", .right), ("ratio", .right),
        ])
        for row in rows {
            table.add([
                row.name, Self.number(row.series.median), Self.number(row.series.least), Self.number(row.series.most),
                row.unit, row.limit?.name ?? "", row.limit.map { Self.number($0.series.median) } ?? "",
                row.ratio.map { Self.fixed($0, 2) } ?? "", Self.wanted(row), row.cpu.map(Self.number) ?? "",
                row.limit?.cpu.map(Self.number) ?? "",
                row.cpuRatio.map { Self.fixed($0, 2) } ?? "",
            ])
        }
        let notes = rows.compactMap { row in row.note.map { "\(row.name): \($0)\n" } }
        return table.text + notes.joined()
    }

    private var processes: String {
        var table = TextTable([
            (name, .left), ("process", .left), ("CPU", .right), ("unit", .left), ("peak MB", .right),
        ])
        for row in rows {
            for process in row.processes {
                table.add([
                    row.name, process.name, Self.fixed(process.cpu, 4), process.unit,
                    Self.fixed(Double(process.peakBytes) / 1e6, 1),
                ])
            }
        }
        return table.isEmpty ? "" : table.text
    }

    private static func wanted(_ row: BenchRow) -> String {
        row.wanted.map { wanted in
            let text =
                switch wanted {
                case .ratio(let share): "ratio \(fixed(share, 2))"
                case .ratioAtMost(let share): "ratio at most \(fixed(share, 2))"
                case .atLeast(let value): "at least \(number(value))"
                case .atMost(let value): "at most \(number(value))"
                }
            return text + (row.isMet(wanted) ? " (met)" : " (missed)")
        }.joined(separator: ", ")
    }

    /// Whole above a hundred, else with three digits that count.
    static func number(_ value: Double) -> String {
        if value.magnitude >= 100 || value == 0 { return fixed(value, 0) }
        return fixed(value, value.magnitude >= 10 ? 1 : value.magnitude >= 1 ? 2 : 4)
    }

    static func fixed(_ value: Double, _ digits: Int) -> String {
        let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
        let scaled = Int64((value.magnitude * scale).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + String(scaled) }
        let text = String(repeating: "0", count: max(0, digits + 1 - String(scaled).count)) + String(scaled)
        return sign + text.dropLast(digits) + "." + text.suffix(digits)
    }

    package var json: JSONValue {
        [
            "benchmark": .string(name),
            "head": .object(JSONObject(head.map { ($0.name, .string($0.value)) })),
            "rows": .array(rows.map(Self.json)),
        ]
    }

    private static func json(_ row: BenchRow) -> JSONValue {
        var object: JSONObject = ["name": .string(row.name), "unit": .string(row.unit)]
        for (name, value) in json(row.series) { object[name] = value }
        if let limit = row.limit {
            let cpu = limit.cpu.map { [("cpuMicroseconds", JSONValue.number($0))] } ?? []
            object["limit"] = .object(JSONObject([("name", .string(limit.name))] + json(limit.series) + cpu))
        }
        if let cpu = row.cpu { object["cpuMicroseconds"] = .number(cpu) }
        if let ratio = row.cpuRatio { object["cpuRatio"] = .number(ratio) }
        if let ratio = row.ratio { object["ratio"] = .number(ratio) }
        for wanted in row.wanted {
            switch wanted {
            case .ratio(let share): object["wantedRatio"] = .number(share)
            case .ratioAtMost(let share): object["wantedRatioAtMost"] = .number(share)
            case .atLeast(let value): object["wantedAtLeast"] = .number(value)
            case .atMost(let value): object["wantedAtMost"] = .number(value)
            }
        }
        if !row.wanted.isEmpty { object["isMet"] = .bool(row.wanted.allSatisfy(row.isMet)) }
        if let note = row.note { object["note"] = .string(note) }
        object["processes"] = .array(
            row.processes.map {
                [
                    "name": .string($0.name), "cpu": .number($0.cpu), "cpuUnit": .string($0.unit),
                    "peakBytes": .integer(Int64($0.peakBytes)),
                ]
            })
        return .object(object)
    }

    private static func json(_ series: Series) -> [(String, JSONValue)] {
        [
            ("median", .number(series.median)), ("least", .number(series.least)), ("most", .number(series.most)),
            ("values", .array(series.values.map { .number($0) })),
        ]
    }
}
