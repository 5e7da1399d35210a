// Columns for people: padded with spaces, never cut, numbers to the right.

package struct TextTable: Sendable {
    package enum Alignment: Sendable {
        case left
        case right
    }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    package init(_ columns: [(String, Alignment)]) {
        self.columns = columns.map { (title: $0.0, alignment: $0.1) }
    }

    package var isEmpty: Bool { rows.isEmpty }

    package mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
        rows.append(cells.map(Printable.text))
    }

    /// Widths that grow from table to table, for rows that come in pages.
    package struct Layout: Sendable {
        fileprivate var widths: [Int]?

        package init() {}
    }

    /// The title line and the rows, each with its line end.
    package var text: String {
        var layout = Layout()
        return text(&layout)
    }

    /// The rows; the title line too, when the layout has not been used yet.
    package func text(_ layout: inout Layout) -> String {
        let isFirst = layout.widths == nil
        var widths = layout.widths ?? columns.map(\.title.count)
        precondition(widths.count == columns.count, "a layout of \(widths.count) columns for \(columns.count)")
        for row in rows { for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) } }
        layout.widths = widths
        return ((isFirst ? [columns.map(\.title)] : []) + rows).map { line($0, widths) }.joined()
    }

    private func line(_ row: [String], _ widths: [Int]) -> String {
        var line = ""
        for (index, cell) in row.enumerated() {
            let padding = String(repeating: " ", count: widths[index] - cell.count)
            if index > 0 { line += "  " }
            switch columns[index].alignment {
            case .right: line += padding + cell
            case .left: line += index == row.count - 1 ? cell : cell + padding
            }
        }
        return line + "\n"
    }
}

package enum Printable {
    /// Text from elsewhere on one line: control characters, which could move the cursor of a terminal, become `?`.
    package static func text(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? "?" : $0 }))
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
    }
}
