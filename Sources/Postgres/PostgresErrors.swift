// What an SQLSTATE or a lost connection means: code and effect of StoreError. The only place that knows.
//
// Effect. An ERROR rolls its transaction back, so it did nothing. A FATAL ends the session: before the statement's
// CommandComplete the statement was aborted; after it, and for COMMIT itself, the commit may have happened. A connection
// that is lost without a word leaves everything open, unless the last byte of the request had not left: the server
// commits at Sync, which is the last message of every request.

import CLibPQ
import ServiceKit

enum PostgresErrors {
    /// What was known of the request when it failed.
    struct Progress {
        /// Every byte of the request was handed to the kernel.
        var hasLeft = false
        /// CommandComplete of the last command was read.
        var isAnswered = false
        /// The request ends a transaction explicitly.
        var isCommit = false
    }

    static func code(sqlState: String) -> StoreError.Code {
        switch sqlState {
        // Serialization failure, deadlock, lock not available, cached plan or prepared statement that is gone.
        case "40001", "40P01", "55P03", "26000": return .retry
        // Unique and exclusion violations; a foreign key whose other side a concurrent transaction removed.
        case "23505", "23P01", "23503": return .conflict
        case "57014": return .timeout
        // A primary that became a standby; the next connection may find the new one. An idle transaction that was ended.
        case "25006", "25P03", "40003": return .unavailable
        default: break
        }
        switch sqlState.prefix(2) {
        case "08", "53", "57": return .unavailable
        case "22", "23", "54": return .invalidData
        default: return .fatal
        }
    }

    /// The connection can go on after this error. After a FATAL it is closed anyway; these leave it open but useless.
    static func leavesConnectionUsable(sqlState: String) -> Bool {
        sqlState != "25006" && sqlState != "26000" && !isStalePlan(sqlState: sqlState)
            && !sqlState.hasPrefix("08") && !sqlState.hasPrefix("57P")
    }

    /// A prepared statement that the server no longer has, or whose result type a migration changed: a new connection
    /// prepares it again.
    static func isStalePlan(sqlState: String) -> Bool { sqlState == "26000" || sqlState == "0A000" }

    /// The error of a result with status PGRES_FATAL_ERROR; libpq makes one without SQLSTATE when it lost the connection.
    static func error(of result: OpaquePointer, operation: String, progress: Progress) -> StoreError {
        let message = field(result, DIAG_MESSAGE_PRIMARY) ?? String(cString: PQresultErrorMessage(result)).trimmed()
        guard let sqlState = field(result, DIAG_SQLSTATE) else {
            return lost(operation: operation, progress: progress, message: message)
        }
        let severity = field(result, DIAG_SEVERITY_NONLOCALIZED) ?? field(result, DIAG_SEVERITY)
        return StoreError(
            code: code(sqlState: sqlState),
            effect: effect(sqlState: sqlState, isError: severity == "ERROR", progress: progress),
            operation: operation, serverCode: sqlState, constraint: field(result, DIAG_CONSTRAINT_NAME),
            message: message)
    }

    static func effect(sqlState: String, isError: Bool, progress: Progress) -> StoreError.Effect {
        if sqlState == "40003" { return .unknown }
        // PgBouncer reports a server that died under a statement with class 08, with either severity.
        if sqlState.hasPrefix("08") { return progress.hasLeft ? .unknown : .none }
        if isError { return .none }
        return progress.isAnswered || progress.isCommit ? .unknown : .none
    }

    /// The connection broke and the server said nothing.
    static func lost(operation: String, progress: Progress, message: String) -> StoreError {
        StoreError(
            code: .unavailable, effect: progress.hasLeft ? .unknown : .none, operation: operation, message: message)
    }

    /// No answer in time, and none to the request to cancel either.
    static func timedOut(operation: String, progress: Progress) -> StoreError {
        StoreError(
            code: .timeout, effect: progress.hasLeft ? .unknown : .none, operation: operation,
            message: "no answer in time")
    }

    static func cancelled(operation: String) -> StoreError {
        StoreError(
            code: .cancelled, effect: .none, operation: operation,
            message: "the task was cancelled before the request left")
    }

    /// A failed attempt to connect. libpq gives only text; with verbosity VERBOSE the server's part of it has the form
    /// `FATAL:  28P01: password …`, whatever the language.
    static func connectFailure(_ text: String) -> StoreError {
        let sqlState = sqlState(inVerbose: text)
        return StoreError(
            code: sqlState.map(code(sqlState:)) ?? .unavailable, effect: .none, operation: "connect",
            serverCode: sqlState, message: text.trimmed())
    }

    static func sqlState(inVerbose text: String) -> String? {
        let bytes = Array(text.utf8)
        var found: String?
        // ":  " before and ": " after five upper-case letters or digits; the last one is the last host's answer.
        guard bytes.count >= 10 else { return nil }
        for start in 0...(bytes.count - 10)
        where bytes[start..<(start + 3)].elementsEqual(":  ".utf8)
            && bytes[(start + 8)..<(start + 10)].elementsEqual(": ".utf8)
        {
            let word = bytes[(start + 3)..<(start + 8)]
            let isState = word.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
            }
            if isState { found = String(decoding: word, as: UTF8.self) }
        }
        return found
    }

    private static func field(_ result: OpaquePointer, _ code: some BinaryInteger) -> String? {
        PQresultErrorField(result, Int32(code)).map { String(cString: $0) }
    }
}
