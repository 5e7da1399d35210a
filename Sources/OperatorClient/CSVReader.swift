// RFC 4180 as bytes come in: records of cells, quotes that may hold commas, line ends and doubled quotes. A cell knows
// whether it was quoted, because `43` is a number and `"43"` a text.

struct CSVReader {
    struct Cell: Equatable {
        var text: String
        var isQuoted: Bool
    }

    enum Record: Equatable {
        case cells([Cell], line: Int)
        /// The rest of the record is skipped.
        case failure(ImportFailure)
    }

    private enum State {
        case start
        case plain
        case quoted
        /// After a quote inside a quoted cell: the first of two, or the end of the cell.
        case quoteInQuoted
        /// After a mistake, until the line ends.
        case skipping
    }

    private var state = State.start
    private var cell: [UInt8] = []
    private var isQuoted = false
    private var cells: [Cell] = []
    private var bytes = 0
    private var line = 1
    private var recordLine = 1
    private var failure: ImportFailure?
    private var lastWasReturn = false

    /// Takes one byte; a record when it ends one. Empty lines give nothing.
    mutating func take(_ byte: UInt8) -> Record? {
        defer { lastWasReturn = byte == 0x0D }
        // The second half of CR LF; the record ended at the first.
        if byte == 0x0A, lastWasReturn, state == .start, cells.isEmpty { return nil }
        bytes += 1
        if bytes > ImportLimits.recordBytes, state != .skipping {
            fail("the record is longer than \(ImportLimits.recordBytes) bytes; is a closing quote missing?")
        }
        let isLineEnd = byte == 0x0A || byte == 0x0D
        // Inside quotes a line end is data, and CR LF is one line.
        if isLineEnd, !(byte == 0x0A && lastWasReturn) { line += 1 }
        switch state {
        case .skipping:
            return isLineEnd ? end() : nil
        case .quoted:
            if byte == UInt8(ascii: "\"") { state = .quoteInQuoted } else { cell.append(byte) }
            return nil
        case .quoteInQuoted:
            if byte == UInt8(ascii: "\"") {
                cell.append(byte)
                state = .quoted
                return nil
            }
        case .start:
            if byte == UInt8(ascii: "\"") {
                isQuoted = true
                state = .quoted
                return nil
            }
        case .plain:
            break
        }
        if isLineEnd { return end() }
        switch (byte, state) {
        case (UInt8(ascii: ","), _): endCell()
        case (UInt8(ascii: "\""), _):
            fail("a quote stands inside an unquoted cell; quote the whole cell and double its quotes")
        case (_, .quoteInQuoted): fail("text follows a closing quote")
        default:
            cell.append(byte)
            state = .plain
        }
        return nil
    }

    /// The last record, when no line end follows it.
    mutating func finish() -> Record? {
        if state == .quoted { fail("a quote is never closed") }
        guard state != .start || !cells.isEmpty else { return nil }
        return end()
    }

    private mutating func fail(_ text: String) {
        failure = ImportFailure(line: recordLine, text)
        state = .skipping
    }

    private mutating func endCell() {
        guard let text = String(validating: cell, as: UTF8.self) else { return fail("the text is not UTF-8") }
        cells.append(Cell(text: text, isQuoted: isQuoted))
        cell.removeAll(keepingCapacity: true)
        isQuoted = false
        state = .start
        if cells.count > ImportLimits.columns { fail("more than \(ImportLimits.columns) columns") }
    }

    private mutating func end() -> Record? {
        let isEmptyLine = state == .start && cells.isEmpty
        if state != .skipping, !isEmptyLine { endCell() }
        defer {
            cells = []
            cell.removeAll(keepingCapacity: true)
            (isQuoted, bytes, failure, state, recordLine) = (false, 0, nil, .start, line)
        }
        if let failure { return .failure(failure) }
        return isEmptyLine ? nil : .cells(cells, line: recordLine)
    }
}
