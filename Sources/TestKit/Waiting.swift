// Waiting for something to become true, with a deadline. Tests never sleep.

package import JSON
package import ServiceKit
private import Synchronization

package struct NotInTime: Error, CustomStringConvertible {
    package let what: String
    package let within: Duration
    package var description: String { "not within \(within): \(what)" }
}

/// Returns as soon as `condition` holds; throws NotInTime when it does not within the time.
package func eventually(
    _ what: String, within: Duration = .seconds(30), every: Duration = .milliseconds(10),
    clock: any ServiceClock = SystemClock(), _ condition: () async throws -> Bool
) async throws {
    let deadline = clock.now + within
    while true {
        if try await condition() { return }
        guard clock.now < deadline else { throw NotInTime(what: what, within: within) }
        try await clock.sleep(for: every)
    }
}

/// Keeps log events for a test to look at.
package final class TestLog: Sendable {
    package struct Event: Sendable {
        package let level: LogLevel
        package let name: String
        package let fields: [(String, JSONValue)]
    }

    private let stored = Mutex<[Event]>([])

    package init() {}

    package var events: [Event] { stored.withLock { $0 } }
    package func count(_ name: String) -> Int { events.count { $0.name == name } }

    package var log: Log {
        Log(minimum: .debug) { level, name, fields in
            self.stored.withLock { $0.append(Event(level: level, name: name, fields: fields)) }
        }
    }
}
