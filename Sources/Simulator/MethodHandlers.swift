// What devices answer to a direct method: `name=status`, `name=status:json`, or `name=none` for no answer at all. The name
// `*` stands for every other method. Without it the others are answered with 200 and the device's name.

import JSON

package struct MethodHandler: Sendable, Equatable {
    package enum Reply: Sendable, Equatable {
        /// `body` nil: `{"device": id}`.
        case answer(status: Int32, body: [UInt8]?)
        case none
    }

    package let name: String
    package let reply: Reply

    package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        package let description: String
    }

    package init(_ text: String) throws(Failure) {
        // The name cannot hold '=' in a topic either way; the JSON may.
        let pair = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard pair.count == 2, !pair[0].isEmpty else {
            throw Failure(description: "must be name=status, name=status:json or name=none")
        }
        name = String(pair[0])
        if pair[1] == "none" {
            reply = .none
            return
        }
        let parts = pair[1].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let status = Int32(parts[0]) else {
            throw Failure(description: "needs a whole number as status, or none: '\(parts[0])'")
        }
        guard parts.count == 2 else {
            reply = .answer(status: status, body: nil)
            return
        }
        do {
            reply = .answer(status: status, body: try JSONValue(parsing: String(parts[1])).bytes)
        } catch {
            throw Failure(description: "has no valid JSON after the status: \(error)")
        }
    }
}

package struct MethodHandlers: Sendable, Equatable {
    private let handlers: [String: MethodHandler.Reply]
    private let others: MethodHandler.Reply

    /// Of two handlers of one name the later counts.
    package init(_ list: [MethodHandler] = []) {
        var handlers: [String: MethodHandler.Reply] = [:]
        for handler in list { handlers[handler.name] = handler.reply }
        others = handlers.removeValue(forKey: "*") ?? .answer(status: 200, body: nil)
        self.handlers = handlers
    }

    package func reply(to method: String) -> MethodHandler.Reply { handlers[method] ?? others }
}
