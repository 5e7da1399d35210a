// Goal: what a gateway asks for a piece of its sessions costs no more than the piece, however many devices and sessions
// there are: it asks again and again for all of them.
// Method: EXPLAIN ANALYZE with the planner's statistics of a fleet; no node of a plan may touch more rows than a few
// times the piece.

import Postgres
import TestKit
import Testing

@testable import SessionStore

@Suite struct SessionPlanTests {
    private static let sessions = 40_000
    private static let touchesPerSession = 4

    @Test func aPieceCostsNoMoreThanThePiece() async throws {
        try await JobWorld.run { world in
            try await world.execute(
                """
                WITH added AS (INSERT INTO devices (device_id, generation_id)
                               SELECT 'd-' || lpad(n::text, 7, '0'), 'g' FROM generate_series(1, \(Self.sessions)) AS n
                               RETURNING device_id)
                INSERT INTO device_sessions (device_id, gateway, incarnation, session, connected)
                SELECT device_id, 'g', '1', 7, true FROM added
                """)
            try await world.execute("ANALYZE devices, device_sessions")
            let size = SessionStore.batchLimit
            let devices = try await world.texts(
                "SELECT device_id AS text FROM devices ORDER BY md5(device_id) LIMIT \(size)")
            let ids: Parameter = .textArray(devices.map { Optional($0) })
            let numbers: Parameter = .integerArray(devices.map { _ in 7 })
            let owner: [Parameter] = ["g", "1"]
            let ago: Parameter = .integerArray(devices.map { _ in 5 })
            for (statement, parameters) in [
                (Statements.findLostSessions, [ids, numbers]),
                (Statements.readCredentials, [ids]),
                (Statements.openSessions, owner + [ids, .boolArray(devices.map { _ in true })]),
                (Statements.recordActivity, owner + [ids, numbers, ago]),
                (Statements.storeSubscriptions, owner + [ids, numbers, .textArray(devices.map { _ in "methods" })]),
                (Statements.closeSessions, owner + [ids, numbers, ago]),
            ] {
                let plan = try await StatementPlan.run(
                    statement, parameters, StatementPlan.custom, world.pool, isKept: false)
                #expect(plan.rows >= Double(size), "\(statement.name) did nothing")
                #expect(
                    plan.touched <= Double(size * Self.touchesPerSession),
                    "\(statement.name) touched \(plan.touched) rows: \(plan.text)")
            }
        }
    }
}
