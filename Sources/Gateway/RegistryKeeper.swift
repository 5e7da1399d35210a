// Ends sessions that the registry no longer allows: their device was deleted or disabled, or has a newer session on
// another gateway whose order to close never came. Who changes the registry tells of it, and each session is looked up at
// once; a word that was lost is made up for by a walk through all sessions every few seconds, in batches.

import JSON
import RouteStore
import ServiceKit
import SessionStore

struct RegistryKeeper: Sendable {
    let store: SessionStore
    let table: SessionTable
    let log: Log

    private let changes: AsyncStream<[String]>
    private let change: AsyncStream<[String]>.Continuation

    init(store: SessionStore, table: SessionTable, log: Log) {
        self.store = store
        self.table = table
        self.log = log
        (changes, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(GatewayLimits.registryChanges))
    }

    /// What does not fit waits for the walk.
    func changed(_ devices: [String]) { change.yield(devices) }

    /// Looks up what was changed, until the task is cancelled.
    func watch() async {
        for await devices in changes { await check(table.routes(of: devices)) }
    }

    func walk() async { await check(table.allRoutes()) }

    private func check(_ routes: [SessionRoute]) async {
        for piece in routes.pieces(of: SessionStore.batchLimit) {
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
