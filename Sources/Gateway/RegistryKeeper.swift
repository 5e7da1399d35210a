// Ends sessions that the registry no longer allows: their device was deleted or disabled, or has a newer session on
// another gateway whose order to close never came. A walk through all sessions every few seconds, in batches.

import JSON
import RouteStore
import ServiceKit
import SessionStore

struct RegistryKeeper: Sendable {
    let store: SessionStore
    let table: SessionTable
    let log: Log

    func walk() async {
        for piece in table.allRoutes().pieces(of: SessionStore.batchLimit) {
            do {
                let lost = try await store.lostSessions(among: piece.map { ($0.deviceID, $0.session) })
                end(lost, .deleted, .deviceDeleted)
                end(lost, .disabled, .deviceDisabled)
                end(lost, .superseded, .supersededElsewhere)
            } catch {
                log.warning("registry_not_read", [("error", .string("\(error)"))])
                return
            }
        }
    }

    private func end(_ lost: [LostSession], _ reason: LostSession.Reason, _ word: SessionEnd) {
        let routes = lost.filter { $0.reason == reason }.map {
            SessionRoute(deviceID: $0.deviceID, session: $0.session, flags: [])
        }
        if !routes.isEmpty { table.end(routes, word) }
    }
}
