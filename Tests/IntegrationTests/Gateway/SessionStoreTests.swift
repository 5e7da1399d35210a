// Goal: sessions and reported properties keep their promises in PostgreSQL. Method: statements in order on one world,
// and the rows they leave.

import JSON
import Postgres
import ServiceKit
import SessionStore
import TestKit
import Testing
import TwinModel

@Suite struct SessionStoreTests {
    private let owner = SessionStore.Owner(gateway: "g", incarnation: "1")
    private let other = SessionStore.Owner(gateway: "h", incarnation: "1")

    private func execute(_ world: TestWorld, _ text: String) async throws {
        try await world.pool.run(Statement(name: "execute", text: text))
    }

    private func addDevices(_ world: TestWorld, _ ids: [String]) async throws {
        try await world.pool.run(
            Statement(
                name: "add",
                text: """
                    WITH added AS (INSERT INTO devices (device_id, generation_id, primary_key)
                                   SELECT id, 'g', '0123456789abcdef' FROM unnest($1::text[]) AS id RETURNING device_id)
                    INSERT INTO twins (device_id) SELECT device_id FROM added
                    """), [.textArray(ids)])
    }

    private func isConnected(_ world: TestWorld, _ device: String) async throws -> Bool? {
        try await world.pool.run(
            Statement(name: "read", text: "SELECT connected FROM device_sessions WHERE device_id = $1"),
            [.text(device)]
        ).only?.get("connected")
    }

    @Test func sessionsCountUpAndKeepSubscriptions() async throws {
        try await withWorld { world in
            let store = SessionStore(world.pool)
            try await addDevices(world, ["a", "b"])
            let asked = ["a", "b", "unknown"].map { SessionOpening(deviceID: $0, isClean: $0 == "b") }
            let first = try await store.openSessions(asked, owner: owner)
            #expect(Set(first.keys) == ["a", "b"])
            let (a, b) = (try #require(first["a"]), try #require(first["b"]))
            #expect(!a.isPresent && a.subscriptions.isEmpty && !b.isPresent)
            try await store.storeSubscriptions(
                [SessionSubscriptions(deviceID: "a", session: a.session, words: ["methods", "desired"])], owner: owner)

            let second = try await store.openSessions(
                [SessionOpening(deviceID: "a", isClean: false), SessionOpening(deviceID: "b", isClean: false)],
                owner: other)
            #expect(
                second["a"]
                    == OpenedSession(
                        session: a.session + 1, subscriptions: ["methods", "desired"], isPresent: true))
            #expect(
                second["b"] == OpenedSession(session: b.session + 1, subscriptions: [], isPresent: false),
                "a clean session leaves nothing")

            // The older session may not change what the newer one does.
            let late = SessionActivity(deviceID: "a", session: a.session, ago: .zero)
            try await store.closeSessions([late], owner: owner)
            try await store.storeSubscriptions(
                [SessionSubscriptions(deviceID: "a", session: a.session, words: [])], owner: owner)
            #expect(try await isConnected(world, "a") == true)
            try await store.recordActivity(
                [SessionActivity(deviceID: "a", session: a.session + 1, ago: .seconds(1))], owner: other)
            try await store.closeSessions(
                [SessionActivity(deviceID: "a", session: a.session + 1, ago: .seconds(1))], owner: other)
            #expect(try await isConnected(world, "a") == false)

            let clean = try await store.openSessions([SessionOpening(deviceID: "a", isClean: true)], owner: owner)
            #expect(clean["a"] == OpenedSession(session: a.session + 2, subscriptions: [], isPresent: false))
            let kept = try await store.openSessions([SessionOpening(deviceID: "a", isClean: false)], owner: owner)
            #expect(kept["a"]?.isPresent == false && kept["a"]?.subscriptions == [])
            let again = try await store.openSessions([SessionOpening(deviceID: "a", isClean: false)], owner: owner)
            #expect(again["a"]?.isPresent == true, "also a session without subscriptions is a session")
        }
    }

    @Test func credentialsAndLostSessions() async throws {
        try await withWorld { world in
            let store = SessionStore(world.pool)
            try await addDevices(world, ["a", "b", "c", "d"])
            try await execute(world, "UPDATE devices SET authentication_type = 'selfSigned' WHERE device_id = 'b'")
            let credentials = try await store.credentials(of: ["a", "b", "x"])
            #expect(
                credentials == [
                    "a": DeviceCredentials(isEnabled: true, keys: [Array("0123456789abcdef".utf8)]),
                    "b": DeviceCredentials(isEnabled: true, keys: []),
                ])
            let opened = try await store.openSessions(
                ["a", "b", "c", "d"].map { SessionOpening(deviceID: $0, isClean: false) }, owner: owner)
            let sessions = opened.map { (deviceID: $0.key, session: $0.value.session) }
            #expect(try await store.lostSessions(among: sessions).isEmpty)
            try await execute(world, "DELETE FROM devices WHERE device_id = 'a'")
            try await execute(world, "UPDATE devices SET status = 'disabled' WHERE device_id = 'b'")
            _ = try await store.openSessions([SessionOpening(deviceID: "c", isClean: true)], owner: other)
            let lost = try await store.lostSessions(among: sessions)
            #expect(
                Dictionary(uniqueKeysWithValues: lost.map { ($0.deviceID, $0.reason) }) == [
                    "a": .deleted, "b": .disabled, "c": .superseded,
                ])
            // Deleted and created again: the numbers go on above the old ones.
            try await addDevices(world, ["a"])
            let renewed = try await store.openSessions([SessionOpening(deviceID: "a", isClean: true)], owner: owner)
            #expect(try #require(renewed["a"]).session > #require(opened["a"]).session)
        }
    }

    @Test func aLifeThatWasEndedStaysEnded() async throws {
        try await withWorld { world in
            let store = SessionStore(world.pool)
            #expect(try await store.beat(owner) == false)
            try await store.join(owner)
            #expect(try await store.beat(owner))
            try await store.leave(owner)
            #expect(try await store.beat(owner) == false)
        }
    }

    @Test func twinsOfDevices() async throws {
        try await withWorld { world in
            let store = SessionStore(world.pool)
            try await addDevices(world, ["a", "b"])
            try await execute(
                world, #"UPDATE twins SET desired = '{"x":[1,null,"ä"]}', tags = '{"t":1}' WHERE device_id = 'a'"#)
            let twins = try await store.deviceTwins(of: ["a", "nobody"])
            #expect(
                try JSONValue(parsing: #require(twins["a"])) == [
                    "desired": ["x": [1, nil, "ä"], "$version": 1], "reported": ["$version": 1],
                ])
            #expect(twins["nobody"] == nil)

            let big = JSONObject([("x", .string(String(repeating: "x", count: TwinLimits.stringBytes)))])
            let fill = (0..<9).map { n in
                ReportedChange(deviceID: "b", patch: JSONObject([("k\(n)", .object(big))]), version: nil)
            }
            let outcomes = try await store.changeReported(
                [
                    ReportedChange(deviceID: "a", patch: ["p": ["q": 1, "r": 2]], version: 1),
                    ReportedChange(deviceID: "nobody", patch: ["p": 1], version: nil),
                    ReportedChange(deviceID: "a", patch: ["p": ["q": nil]], version: 2),
                    ReportedChange(deviceID: "a", patch: ["late": 1], version: 2),
                ] + fill)
            #expect(outcomes.prefix(4) == [.done(2), .absent, .done(3), .mismatch(3)])
            #expect(outcomes[4..<11] == [.done(2), .done(3), .done(4), .done(5), .done(6), .done(7), .done(8)])
            guard case .refused = outcomes[12] else {
                Issue.record("\(outcomes[12])")
                return
            }
            let after = try await store.deviceTwins(of: ["a"])
            #expect(
                try JSONValue(parsing: #require(after["a"]))["reported"] == ["p": ["r": 2], "$version": 3])
        }
    }
}
