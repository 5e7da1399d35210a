// Changes of subscriptions, in batches: stored in PostgreSQL for sessions that outlive their connection, told to the
// session table and the directory, and then acknowledged. A client that has its SUBACK can be reached.

import JSON
import MQTT
import RouteStore
import ServiceKit
import SessionStore
import Sockets

struct SubscriptionRequest: Sendable {
    let deviceID: String
    let session: Int64
    /// All that the session now has.
    let subscriptions: SubscriptionSet
    let isKept: Bool
    /// SUBACK or UNSUBACK.
    let answer: MQTTPacket
    let handle: LoopBound<DeviceSession>

    var route: SessionRoute {
        SessionRoute(deviceID: deviceID, session: session, flags: subscriptions.flags)
    }
}

struct SubscriptionDesk: Sendable {
    let store: SessionStore
    let owner: SessionStore.Owner
    let table: SessionTable
    let routes: RouteKeeper
    let log: Log
    /// Takes devices whose route with a methods subscription has been published.
    let reachable: Batcher<String>

    /// Each device once.
    func change(_ batch: [SubscriptionRequest]) async {
        var done = batch
        let kept = batch.filter(\.isKept)
        do {
            if !kept.isEmpty {
                try await store.storeSubscriptions(
                    kept.map {
                        SessionSubscriptions(
                            deviceID: $0.deviceID, session: $0.session, words: $0.subscriptions.words)
                    }, owner: owner)
            }
        } catch {
            log.warning(
                "subscriptions_failed",
                [("error", .string("\(error)")), ("sessions", .integer(Int64(kept.count)))])
            done = batch.filter { !$0.isKept }
            answer(kept.map { ($0, nil) })
        }
        let current = done.filter { table.setFlags($0.route) }
        await routes.publish(current.map(\.route))
        answer(done.map { ($0, $0.answer) })
        // Those that find no room are found by the leader's sweep.
        for route in current.map(\.route) where route.flags.contains(.methods) { _ = reachable.submit(route.deviceID) }
    }

    private func answer(_ answers: [(SubscriptionRequest, MQTTPacket?)]) {
        var mail = SessionMail<MQTTPacket?>(capacity: answers.count)
        for (request, answer) in answers { mail.put(answer, for: request.handle) }
        mail.deliver { session, answer in session.subscribed(answer) }
    }
}
