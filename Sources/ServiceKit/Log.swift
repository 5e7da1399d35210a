// Log lines: one JSON object a line on standard error, events with fields rather than prose.
//
// Field names are the same everywhere: job, batch, worker, fence, code, duration_ms. A failed job is information; a
// failed system is an error. Keys, tokens and payloads never become fields.

private import Foundation
package import JSON
private import Synchronization

package enum LogLevel: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
    package var name: String { String(describing: self) }
}

package struct Log: Sendable {
    package typealias Sink = @Sendable (_ level: LogLevel, _ event: String, _ fields: [(String, JSONValue)]) -> Void

    private let sink: Sink
    private let minimum: LogLevel
    private let fixed: [(String, JSONValue)]

    /// Sends every event of at least `minimum` to `sink`; a test attaches its own.
    package init(minimum: LogLevel = .info, sink: @escaping Sink) {
        self.init(minimum: minimum, fixed: [], sink: sink)
    }

    private init(minimum: LogLevel, fixed: [(String, JSONValue)], sink: @escaping Sink) {
        self.minimum = minimum
        self.fixed = fixed
        self.sink = sink
    }

    /// Says nothing.
    package static let silent = Log(minimum: .error) { _, _, _ in }

    /// JSON lines on standard error.
    package static func standardError(minimum: LogLevel = .info, clock: some ServiceClock = SystemClock()) -> Log {
        let lock = Mutex(())
        let formatter = TimestampFormatter()
        return Log(minimum: minimum) { level, event, fields in
            var object = JSONObject()
            object["time"] = .string(formatter.text(unixTime: clock.unixTime))
            object["level"] = .string(level.name)
            object["event"] = .string(event)
            for (name, value) in fields { object[name] = value }
            let line = JSONValue.object(object).bytes + [UInt8(ascii: "\n")]
            lock.withLock { _ in FileHandle.standardError.write(Data(line)) }
        }
    }

    /// The same log with fields that stand on every line, such as the role and the worker's id.
    package func with(_ fields: [(String, JSONValue)]) -> Log {
        Log(minimum: minimum, fixed: fixed + fields, sink: sink)
    }

    package func debug(_ event: String, _ fields: [(String, JSONValue)] = []) { write(.debug, event, fields) }
    package func info(_ event: String, _ fields: [(String, JSONValue)] = []) { write(.info, event, fields) }
    package func warning(_ event: String, _ fields: [(String, JSONValue)] = []) { write(.warning, event, fields) }
    package func error(_ event: String, _ fields: [(String, JSONValue)] = []) { write(.error, event, fields) }

    private func write(_ level: LogLevel, _ event: String, _ fields: [(String, JSONValue)]) {
        guard level >= minimum else { return }
        sink(level, event, fixed + fields)
    }
}
