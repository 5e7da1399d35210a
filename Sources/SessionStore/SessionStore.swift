// What gateways keep in PostgreSQL: sessions of devices with the subscriptions that outlive a connection, and the twins
// as devices read and change them. Everything is batched: one statement serves up to `batchLimit` devices.
//
// A session has a number that counts up at every CONNECT of its device, on whatever gateway. Of two sessions of one device
// the higher number is the newer; writes of an older session change nothing.
//
// Where to read next: SessionStore+Twins.

package import Postgres
package import ServiceKit

package final class SessionStore: Sendable {
    /// Devices of one statement: their ids and keys stay well below a megabyte, and locks are held for milliseconds.
    package static let batchLimit = 500

    /// Times a statement is repeated after a deadlock before the caller hears of it.
    private static let repeats = 4

    private let pool: PostgresPool

    package init(_ pool: PostgresPool) { self.pool = pool }

    /// One life of a gateway, as rows of sessions name it.
    package struct Owner: Sendable, Hashable {
        package let gateway: String
        package let incarnation: String

        package init(gateway: String, incarnation: String) {
            self.gateway = gateway
            self.incarnation = incarnation
        }

        var parameters: [Parameter] { [.text(gateway), .text(incarnation)] }
    }

    /// Runs the statement, again after a deadlock: it then had no effect.
    func run(_ statement: Statement, _ parameters: [Parameter]) async throws(StoreError) -> Rows {
        var attempt = 0
        while true {
            do {
                return try await pool.run(statement, parameters)
            } catch  where error.code == .retry && error.effect == .none && attempt < Self.repeats {
                attempt += 1
            }
        }
    }

    /// Runs a transaction, again after a deadlock: it was then rolled back.
    func transaction<Value: Sendable>(
        _ body: (PostgresTransaction) async throws -> Value
    ) async throws -> Value {
        var attempt = 0
        while true {
            do {
                return try await pool.transaction(.readCommitted, timeout: nil, body)
            } catch let error as StoreError
                where error.code == .retry && error.effect == .none && attempt < Self.repeats
            {
                attempt += 1
            }
        }
    }
}

/// What decides over a device's CONNECT.
package struct DeviceCredentials: Sendable, Hashable {
    package let isEnabled: Bool
    /// Raw keys; never logged. Empty for a device that does not authenticate with keys.
    package let keys: [[UInt8]]

    package init(isEnabled: Bool, keys: [[UInt8]]) {
        self.isEnabled = isEnabled
        self.keys = keys
    }
}

package struct SessionOpening: Sendable, Hashable {
    package let deviceID: String
    package let isClean: Bool

    package init(deviceID: String, isClean: Bool) {
        self.deviceID = deviceID
        self.isClean = isClean
    }
}

package struct OpenedSession: Sendable, Hashable {
    package let session: Int64
    /// Words that the gateway stored.
    package let subscriptions: [String]
    /// It continues a kept session.
    package let isPresent: Bool

    package init(session: Int64, subscriptions: [String], isPresent: Bool) {
        self.session = session
        self.subscriptions = subscriptions
        self.isPresent = isPresent
    }
}

/// A session and when its device was last heard.
package struct SessionActivity: Sendable, Hashable {
    package let deviceID: String
    package let session: Int64
    package let ago: Duration

    package init(deviceID: String, session: Int64, ago: Duration) {
        self.deviceID = deviceID
        self.session = session
        self.ago = ago
    }
}

package struct SessionSubscriptions: Sendable, Hashable {
    package let deviceID: String
    package let session: Int64
    /// Words without commas.
    package let words: [String]

    package init(deviceID: String, session: Int64, words: [String]) {
        self.deviceID = deviceID
        self.session = session
        self.words = words
    }
}

package struct LostSession: Sendable, Hashable {
    package enum Reason: String, Sendable {
        case deleted
        case disabled
        case superseded
    }

    package let deviceID: String
    package let session: Int64
    package let reason: Reason
}

extension SessionStore {
    /// Enters this life of a gateway among the living, before it opens a session.
    package func join(_ owner: Owner) async throws(StoreError) {
        _ = try await run(Statements.joinGateways, owner.parameters)
    }

    /// False when others have declared this life ended: what it held is lost, and it must end.
    package func beat(_ owner: Owner) async throws(StoreError) -> Bool {
        try await run(Statements.recordBeat, owner.parameters).only != nil
    }

    package func leave(_ owner: Owner) async throws(StoreError) {
        _ = try await run(Statements.leaveGateways, owner.parameters)
    }

    /// Of the devices that exist.
    package func credentials(of devices: [String]) async throws(StoreError) -> [String: DeviceCredentials] {
        var found: [String: DeviceCredentials] = [:]
        for row in try await run(Statements.readCredentials, [.textArray(devices)]) {
            let primary: [UInt8]? = try row.get("primary_key")
            let secondary: [UInt8]? = try row.get("secondary_key")
            let usesKeys: Bool = try row.get("uses_keys")
            found[try row.get("device_id")] = DeviceCredentials(
                isEnabled: try row.get("enabled"), keys: usesKeys ? [primary, secondary].compactMap { $0 } : [])
        }
        return found
    }

    /// Of the devices that exist. Each device once. After an error some may be open: opening again skips their numbers.
    package func openSessions(
        _ openings: [SessionOpening], owner: Owner
    ) async throws(StoreError) -> [String: OpenedSession] {
        let rows = try await run(
            Statements.openSessions,
            owner.parameters + [.textArray(openings.map(\.deviceID)), .boolArray(openings.map(\.isClean))])
        var opened: [String: OpenedSession] = [:]
        for row in rows {
            opened[try row.get("device_id")] = OpenedSession(
                session: try row.get("session"), subscriptions: try row.get("subscriptions"),
                isPresent: try row.get("present"))
        }
        return opened
    }

    /// Only those that no newer session has replaced. Each device once.
    package func closeSessions(_ sessions: [SessionActivity], owner: Owner) async throws(StoreError) {
        _ = try await run(Statements.closeSessions, owner.parameters + Self.parameters(sessions))
    }

    /// Each device once.
    package func recordActivity(_ sessions: [SessionActivity], owner: Owner) async throws(StoreError) {
        _ = try await run(Statements.recordActivity, owner.parameters + Self.parameters(sessions))
    }

    /// For sessions that outlive their connection. Each device once.
    package func storeSubscriptions(_ sessions: [SessionSubscriptions], owner: Owner) async throws(StoreError) {
        _ = try await run(
            Statements.storeSubscriptions,
            owner.parameters + [
                .textArray(sessions.map(\.deviceID)), .integerArray(sessions.map(\.session)),
                .textArray(sessions.map { $0.words.joined(separator: ",") }),
            ])
    }

    /// Which of a gateway's open sessions must end.
    package func lostSessions(
        among sessions: [(deviceID: String, session: Int64)]
    ) async throws(StoreError) -> [LostSession] {
        let rows = try await run(
            Statements.findLostSessions,
            [.textArray(sessions.map(\.deviceID)), .integerArray(sessions.map(\.session))])
        var lost: [LostSession] = []
        for row in rows {
            let word: String = try row.get("reason")
            guard let reason = LostSession.Reason(rawValue: word) else {
                throw StoreError(
                    code: .fatal, effect: .none, operation: "find_lost_sessions", message: "unknown reason \(word)")
            }
            lost.append(
                LostSession(deviceID: try row.get("device_id"), session: try row.get("session"), reason: reason))
        }
        return lost
    }

    private static func parameters(_ sessions: [SessionActivity]) -> [Parameter] {
        [
            .textArray(sessions.map(\.deviceID)), .integerArray(sessions.map(\.session)),
            .integerArray(sessions.map { $0.ago.milliseconds }),
        ]
    }
}
