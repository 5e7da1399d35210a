// Decides over CONNECTs, in batches: credentials are read, tokens checked, sessions opened in PostgreSQL, entered into the
// session table and the directory; then the clients get their CONNACKs, and those older sessions that were replaced end.

import Access
import JSON
import RouteStore
import ServiceKit
import SessionStore
import Sockets

struct ConnectRequest: Sendable {
    let deviceID: String
    let token: SASToken
    let isClean: Bool
    let handle: LoopBound<DeviceSession>
}

enum ConnectVerdict: Sendable {
    case accepted(OpenedSession)
    /// With the CONNACK's code.
    case refused(UInt8, String)
    /// A newer CONNECT of the same device was faster.
    case outdated
}

struct ConnectDesk: Sendable {
    private typealias Code = DeviceSession.ConnectCode

    let store: SessionStore
    let owner: SessionStore.Owner
    let table: SessionTable
    let routes: RouteKeeper
    let check: DeviceTokenCheck
    let policies: PolicyCache
    let clock: any ServiceClock
    let log: Log
    /// Takes devices whose route with a methods subscription has been published.
    let reachable: Batcher<String>

    /// Each device once.
    func decide(_ batch: [ConnectRequest]) async {
        do {
            let admitted = try await admitted(of: batch)
            guard !admitted.isEmpty else { return }
            try await open(admitted)
        } catch {
            log.warning(
                "connects_failed", [("error", .string("\(error)")), ("connects", .integer(Int64(batch.count)))])
            // Those that have been decided already take no notice.
            answer(batch.map { ($0, ConnectVerdict.refused(Code.unavailable, "the store failed")) })
        }
    }

    /// Answers those that are refused.
    private func admitted(of batch: [ConnectRequest]) async throws(StoreError) -> [ConnectRequest] {
        let credentials = try await store.credentials(of: batch.map(\.deviceID))
        var admitted: [ConnectRequest] = []
        var refused: [(ConnectRequest, ConnectVerdict)] = []
        for request in batch {
            var policy: Policy?
            if let name = request.token.policyName { policy = try await policies.policy(named: name) }
            if let reason = refusal(of: request, credentials[request.deviceID], policy) {
                refused.append((request, .refused(Code.notAuthorised, reason)))
            } else {
                admitted.append(request)
            }
        }
        answer(refused)
        return admitted
    }

    /// Nil for a device that may connect. The words go to the log; the client learns only that it may not.
    private func refusal(
        of request: ConnectRequest, _ credentials: DeviceCredentials?, _ policy: Policy?
    ) -> String? {
        guard let credentials else { return "unknown device" }
        guard credentials.isEnabled else { return "disabled device" }
        do {
            try check.check(
                request.token, deviceID: request.deviceID, keys: credentials.keys, policy: policy,
                unixTime: clock.unixTime)
            return nil
        } catch {
            return "token: \(error.rawValue)"
        }
    }

    private func open(_ admitted: [ConnectRequest]) async throws(StoreError) {
        let opened = try await store.openSessions(
            admitted.map { SessionOpening(deviceID: $0.deviceID, isClean: $0.isClean) }, owner: owner)
        var verdicts: [(ConnectRequest, ConnectVerdict)] = []
        var entered: [SessionRoute] = []
        var replaced: [LoopBound<DeviceSession>] = []
        for request in admitted {
            guard let session = opened[request.deviceID] else {
                verdicts.append((request, .refused(Code.notAuthorised, "device deleted meanwhile")))
                continue
            }
            let route = SessionRoute(
                deviceID: request.deviceID, session: session.session,
                flags: SubscriptionSet(words: session.subscriptions).flags)
            switch table.enter(route, request.handle) {
            case .entered(let older):
                if let older { replaced.append(older) }
                entered.append(route)
                verdicts.append((request, .accepted(session)))
            case .outdated:
                verdicts.append((request, .outdated))
            }
        }
        var old = SessionMail<Void>(capacity: replaced.count)
        for session in replaced { old.put((), for: session) }
        old.deliver { session, _ in session.end(.superseded) }
        // Before the CONNACK, so that a client that has it can be called.
        await routes.publish(entered)
        answer(verdicts)
        // Those that find no room are found by the leader's sweep.
        for route in entered where route.flags.contains(.methods) { _ = reachable.submit(route.deviceID) }
    }

    private func answer(_ verdicts: [(ConnectRequest, ConnectVerdict)]) {
        var mail = SessionMail<ConnectVerdict>(capacity: verdicts.count)
        for (request, verdict) in verdicts { mail.put(verdict, for: request.handle) }
        mail.deliver { session, verdict in session.decided(verdict) }
    }
}
