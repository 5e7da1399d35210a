// What an error reply or a lost connection means: code and effect of StoreError. The only place that knows.
//
// Redis refuses most commands before it touches anything. The exception is a script: it is not rolled back, so an error
// from inside one leaves the effect unknown.

import ServiceKit

enum RedisErrors {
    static func code(word: String) -> StoreError.Code {
        switch word {
        // Starting, failing over, without its primary, out of memory, unable to persist, or busy with a script: later.
        case "LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM", "MISCONF", "NOREPLICAS":
            return .unavailable
        default:
            return .fatal
        }
    }

    /// The connection can go on after this reply. A primary that became a replica, or a user whose rights changed, needs
    /// a new one.
    static func leavesConnectionUsable(word: String) -> Bool {
        switch word {
        case "READONLY", "NOAUTH", "WRONGPASS", "NOPERM": false
        default: true
        }
    }

    static func word(_ text: String) -> String { String(text.prefix { $0 != " " }) }

    static func isMissingScript(_ reply: RedisReply) -> Bool {
        if case .error(let text) = reply { word(text) == "NOSCRIPT" } else { false }
    }

    static func error(_ text: String, operation: String, isScript: Bool = false) -> StoreError {
        let word = word(text)
        let code = code(word: word)
        return StoreError(
            code: code, effect: isScript && code == .fatal ? .unknown : .none, operation: operation, serverCode: word,
            message: text)
    }

    /// `hasLeft`: any byte of the request was handed to the kernel.
    static func lost(operation: String, hasLeft: Bool, message: String) -> StoreError {
        StoreError(code: .unavailable, effect: hasLeft ? .unknown : .none, operation: operation, message: message)
    }

    static func timedOut(operation: String, hasLeft: Bool) -> StoreError {
        StoreError(
            code: .timeout, effect: hasLeft ? .unknown : .none, operation: operation, message: "no answer in time")
    }

    static func cancelled(operation: String) -> StoreError {
        StoreError(
            code: .cancelled, effect: .none, operation: operation,
            message: "the task was cancelled before the request left")
    }

    static func closed(operation: String) -> StoreError {
        StoreError(code: .unavailable, effect: .none, operation: operation, message: "the client is closed")
    }
}
