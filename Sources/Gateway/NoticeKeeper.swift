// Tells devices of desired changes whose notices may never have reached this gateway: while it could not be found in
// Redis, whoever changed a twin saw no route to the device and took the notice as told; and an inbox that Redis lost, or
// a reply that broke off on its way, took its notices along. Afterwards every session hears the present version of
// what was changed meanwhile. A repeat is harmless (wire contract 4.7).

import JSON
import RouteStore
import ServiceKit
import SessionStore
private import Synchronization

final class NoticeKeeper: Sendable {
    /// A change is stamped when its statement begins and told when it has committed, which locks may hold up this long.
    private static let margin: Duration = .seconds(30)
    /// Documents of up to 32 KB that are held at once.
    private static let devicesPerRead = 100

    private let store: SessionStore
    private let table: SessionTable
    private let clock: any ServiceClock
    private let log: Log
    private let missedSince = Mutex<Instant?>(nil)

    init(store: SessionStore, table: SessionTable, clock: any ServiceClock, log: Log) {
        self.store = store
        self.table = table
        self.clock = clock
        self.log = log
    }

    /// Notices published since then may be lost.
    func mayHaveMissed(since: Instant) {
        missedSince.withLock { $0 = min($0 ?? since, since) }
    }

    /// To be called when the directory has the routes again: a change after that finds its way by itself.
    func catchUp() async {
        let since = missedSince.withLock { missed in
            defer { missed = nil }
            return missed
        }
        guard let since else { return }
        var told = 0
        do {
            let sessions = table.allRoutes().filter { $0.flags.contains(.desired) }
            for piece in sessions.pieces(of: Self.devicesPerRead) {
                let changed = try await store.changedDesired(
                    of: piece.map(\.deviceID), within: clock.now - since + Self.margin)
                for twin in changed {
                    table.notify(DesiredPart(patch: twin.desired, devices: [(twin.deviceID, twin.version)]))
                }
                told += changed.count
            }
            log.info("notices_caught_up", [("devices", .integer(Int64(told)))])
        } catch {
            mayHaveMissed(since: since)
            log.warning("notices_not_read", [("error", .string("\(error)"))])
        }
    }
}
