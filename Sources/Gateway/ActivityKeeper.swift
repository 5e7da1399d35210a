// When devices were last heard and which sessions closed, on the way to PostgreSQL: collected, and written in batches.
// What cannot be written is kept and tried again; a device stands here once, so it stays as small as the fleet.

import JSON
import ServiceKit
import SessionStore
private import Synchronization

final class ActivityKeeper: Sendable {
    private struct Moment: Sendable {
        let session: Int64
        let lastHeard: Instant
    }

    private enum Kind {
        case heard, closed
    }

    private struct State {
        var heard: [String: Moment] = [:]
        var closed: [String: Moment] = [:]

        mutating func keep(_ moment: Moment, of deviceID: String, _ kind: Kind) {
            switch kind {
            case .heard: Self.keep(moment, of: deviceID, in: &heard)
            case .closed: Self.keep(moment, of: deviceID, in: &closed)
            }
        }

        private static func keep(_ moment: Moment, of deviceID: String, in moments: inout [String: Moment]) {
            if let other = moments[deviceID], other.session > moment.session { return }
            moments[deviceID] = moment
        }
    }

    private let store: SessionStore
    private let owner: SessionStore.Owner
    private let clock: any ServiceClock
    private let log: Log
    private let state = Mutex(State())

    init(store: SessionStore, owner: SessionStore.Owner, clock: any ServiceClock, log: Log) {
        self.store = store
        self.owner = owner
        self.clock = clock
        self.log = log
    }

    func heard(_ deviceID: String, session: Int64, at lastHeard: Instant) {
        state.withLock { $0.keep(Moment(session: session, lastHeard: lastHeard), of: deviceID, .heard) }
    }

    func closed(_ deviceID: String, session: Int64, lastHeard: Instant) {
        state.withLock { $0.keep(Moment(session: session, lastHeard: lastHeard), of: deviceID, .closed) }
    }

    /// False when something could not be written.
    @discardableResult
    func flush() async -> Bool {
        let taken = state.withLock { state in
            defer { state = State() }
            return state
        }
        let isHeardDone = await write(taken.heard, .heard)
        let isClosedDone = await write(taken.closed, .closed)
        return isHeardDone && isClosedDone
    }

    private func write(_ moments: [String: Moment], _ kind: Kind) async -> Bool {
        var isDone = true
        for piece in Array(moments).pieces(of: SessionStore.batchLimit) {
            let now = clock.now
            let part = piece.map {
                SessionActivity(deviceID: $0.key, session: $0.value.session, ago: now - $0.value.lastHeard)
            }
            do {
                switch kind {
                case .heard: try await store.recordActivity(part, owner: owner)
                case .closed: try await store.closeSessions(part, owner: owner)
                }
            } catch {
                isDone = false
                log.warning("activity_not_written", [("error", .string("\(error)"))])
                state.withLock { state in
                    for (device, moment) in piece { state.keep(moment, of: device, kind) }
                }
            }
        }
        return isDone
    }
}
