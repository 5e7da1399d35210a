// How to reach PostgreSQL, and the limits of one process' pool.

private import CLibPQ
package import ServiceKit

package struct PostgresConfiguration: Sendable {
    /// A URL (`postgresql://…`), a conninfo string (`host=… dbname=…`), or empty for libpq's own PG* variables. Names
    /// that the text leaves out come from those variables too. A host that starts with `/` is a socket directory.
    package var connectionString: String
    /// Connections of this pool at most; 1 or more. They are opened when first needed.
    package var maximumConnections: Int
    /// Callers that may wait for a connection at the same time; one more gets `.unavailable` at once.
    package var maximumWaiters: Int
    /// Keep statements prepared on each connection. Must be off behind PgBouncer in transaction mode.
    package var preparedStatements: Bool
    /// From the call to the answer, with the wait for a connection and a reconnect in it. The client enforces it.
    package var statementTimeout: Duration
    /// One attempt to connect.
    package var connectTimeout: Duration

    package init(
        connectionString: String = "", maximumConnections: Int = 10, maximumWaiters: Int = 10_000,
        preparedStatements: Bool = true, statementTimeout: Duration = .seconds(30),
        connectTimeout: Duration = .seconds(5)
    ) {
        precondition(maximumConnections >= 1 && maximumWaiters >= 0, "a pool has at least one connection")
        self.connectionString = connectionString
        self.maximumConnections = maximumConnections
        self.maximumWaiters = maximumWaiters
        self.preparedStatements = preparedStatements
        self.statementTimeout = statementTimeout
        self.connectTimeout = connectTimeout
    }

    /// From `DATABASE_URL`; without it empty, which leaves everything to libpq's own variables.
    package static func connectionString(environment: [String: String]) -> String {
        environment["DATABASE_URL"] ?? ""
    }

    /// The parts of the connection string by libpq's names, passwords masked; safe to log. Throws `.fatal` with
    /// libpq's explanation when the text cannot be parsed.
    package func visibleParts() throws(StoreError) -> [(name: String, value: String)] {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(connectionString, &message) else {
            let text = message.map { String(cString: $0) } ?? "out of memory"
            PQfreemem(message)
            throw StoreError(
                code: .fatal, effect: .none, operation: "connect",
                message: text.trimmed())
        }
        defer { PQconninfoFree(options) }
        var parts: [(name: String, value: String)] = []
        var option = options
        while let keyword = option.pointee.keyword {
            let name = String(cString: keyword)
            if let value = option.pointee.val {
                // libpq marks the fields that a form should hide with an asterisk.
                let isSecret = option.pointee.dispchar.map { $0.pointee == CChar(UInt8(ascii: "*")) } ?? false
                parts.append((name, isSecret ? "***" : String(cString: value)))
            }
            option += 1
        }
        return parts
    }
}

extension String {
    /// Without white space at both ends; libpq ends its messages with a line feed.
    func trimmed() -> String {
        var text = Substring(self)
        while let last = text.last, last.isWhitespace { text.removeLast() }
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        return String(text)
    }
}
