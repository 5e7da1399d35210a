// What is wrong with a condition or statement, and where.

/// The first mistake in a text. The position is in the text as it was submitted.
package struct QueryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Place in the whole text in characters (Unicode scalars), from 1; one past the end when something is missing
    /// there.
    package let position: Int
    /// Line, from 1. Lines end with LF.
    package let line: Int
    /// Place in the line, from 1; equal to `position` in a text of one line.
    package let column: Int
    /// What is wrong, as a sentence without a full stop; it may quote words of the text, shortened.
    package let message: String

    /// `line 1, column 12: the text that begins at column 10 is not closed`
    package var description: String { "line \(line), column \(column): \(message)" }

    init(_ message: String, at offset: Int, in scalars: [Unicode.Scalar]) {
        let before = scalars.prefix(offset)
        let lastBreak = before.lastIndex(of: "\n")
        position = offset + 1
        line = 1 + before.count(where: { $0 == "\n" })
        column = offset - (lastBreak.map { $0 + 1 } ?? 0) + 1
        self.message = message
    }
}
