// What a statement returned. `Rows` owns the PGresult and frees it; a `Row` keeps its `Rows` alive.

private import CLibPQ
package import ServiceKit

/// Immutable once made: libpq only reads a finished result, so it may be shared between threads. That is why the
/// pointer may cross isolation domains unchecked.
package final class Rows: @unchecked Sendable, RandomAccessCollection {
    private let result: OpaquePointer
    private let columns: [String: Int32]
    /// The statement's name, for errors.
    let operation: String
    package let count: Int
    /// Rows inserted, updated, deleted, copied or selected.
    package let affected: Int

    /// Takes ownership of `result`.
    init(owning result: OpaquePointer, operation: String) {
        self.result = result
        self.operation = operation
        count = Int(PQntuples(result))
        affected = PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0
        var columns: [String: Int32] = [:]
        for column in 0..<PQnfields(result) {
            if let name = PQfname(result, column) { columns[String(cString: name)] = column }
        }
        self.columns = columns
    }

    deinit { PQclear(result) }

    package var startIndex: Int { 0 }
    package var endIndex: Int { count }
    package subscript(position: Int) -> Row {
        precondition(position >= 0 && position < count, "row \(position) of \(count)")
        return Row(rows: self, index: Int32(position))
    }

    /// The only row; nil when there is none. More than one is a defect of the statement.
    package var only: Row? {
        precondition(count <= 1, "\(operation) returned \(count) rows where at most one was expected")
        return first
    }

    /// `INSERT`, `COMMIT`, `ROLLBACK` …
    var command: String {
        let text = PQcmdStatus(result).map { String(cString: $0) } ?? ""
        return String(text.prefix { $0 != " " })
    }

    fileprivate func value<Value: PostgresDecodable>(_ column: Int32, _ row: Int32, name: String) throws(StoreError)
        -> Value
    {
        let text: UnsafeBufferPointer<UInt8>?
        if PQgetisnull(result, row, column) == 1 {
            text = nil
        } else {
            let length = Int(PQgetlength(result, row, column))
            let start = UnsafeRawPointer(PQgetvalue(result, row, column))?.assumingMemoryBound(to: UInt8.self)
            text = UnsafeBufferPointer(start: start, count: length)
        }
        guard let value = Value.decode(text) else {
            throw defect("column \(name) is \(text == nil ? "NULL" : "no \(Value.self)")")
        }
        return value
    }

    fileprivate func column(_ name: String) throws(StoreError) -> Int32 {
        guard let column = columns[name] else { throw defect("there is no column \(name)") }
        return column
    }

    fileprivate var columnCount: Int { Int(PQnfields(result)) }

    private func defect(_ message: String) -> StoreError {
        StoreError(code: .fatal, effect: .none, operation: operation, message: message)
    }
}

package struct Row: Sendable {
    fileprivate let rows: Rows
    fileprivate let index: Int32

    fileprivate init(rows: Rows, index: Int32) {
        self.rows = rows
        self.index = index
    }

    /// The column's value. NULL in a type that is not Optional, and text that is no such value, are `.fatal`: the
    /// statement and the code disagree.
    package func get<Value: PostgresDecodable>(_ column: String, as type: Value.Type = Value.self)
        throws(StoreError) -> Value
    {
        try rows.value(try rows.column(column), index, name: column)
    }

    /// By position, for statements whose columns are compiled.
    package func get<Value: PostgresDecodable>(_ column: Int, as type: Value.Type = Value.self)
        throws(StoreError) -> Value
    {
        precondition(column >= 0 && column < rows.columnCount, "column \(column) of \(rows.columnCount)")
        return try rows.value(Int32(column), index, name: String(column))
    }
}
