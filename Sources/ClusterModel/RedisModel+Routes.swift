// Redis as far as routes and inboxes use it: one function for each script in RouteStore/Scripts.

package import JobModel
package import LeaseStore
package import RouteStore
internal import ServiceKit

extension RedisModel {
    package struct RouteEntry: Sendable, Hashable {
        package let session: Int64
        package let flags: RouteFlags
        package let gateway: GatewayID
    }

    package enum InboxMessage: Sendable, Hashable {
        case calls(CallPart)
        case inquiry(Inquiry)
        case settlement(Settlement)
        case answer(AnswerPart)
        case close(deviceID: String, session: Int64)
    }

    // MARK: Directory

    package func beatGateway(
        _ gateway: GatewayID, candidate: String
    ) -> (incarnation: RedisIncarnation, milliseconds: Int64) {
        content.gateways[gateway.text] = clock + RouteLimits.gatewayLife.milliseconds
        for (other, life) in content.gateways where life <= clock - 600_000 { content.gateways[other] = nil }
        content.directory = content.directory ?? candidate
        return (RedisIncarnation(name: content.directory ?? "", runID: runID), clock)
    }

    /// From now on no route leads through the gateway and no part comes into its inbox.
    package func retire(_ gateway: GatewayID) { content.gateways[gateway.text] = nil }

    package func leave(_ gateway: GatewayID) {
        retire(gateway)
        content.inboxes[gateway.text] = nil
    }

    package func findRoutes(_ devices: [String]) -> (routes: [Route?], milliseconds: Int64) {
        let routes = devices.map { device -> Route? in
            guard let entry = content.routes[device], content.gateways[entry.gateway.text] ?? 0 > clock else {
                return nil
            }
            return Route(gateway: entry.gateway, session: entry.session, flags: entry.flags)
        }
        return (routes, clock)
    }

    /// Devices whose session is older than what stands there.
    package func publishRoutes(_ sessions: [SessionRoute], of gateway: GatewayID) -> [String] {
        var beaten: [String] = []
        for session in sessions {
            let held = content.routes[session.deviceID]
            if let held, held.session > session.session {
                beaten.append(session.deviceID)
                continue
            }
            content.routes[session.deviceID] = RouteEntry(
                session: session.session, flags: session.flags, gateway: gateway)
            if let held, held.gateway != gateway {
                content.inboxes[held.gateway.text, default: []].append(
                    .close(deviceID: session.deviceID, session: held.session))
            }
        }
        return beaten
    }

    package func withdrawRoutes(_ sessions: [SessionRoute], of gateway: GatewayID) {
        for session in sessions {
            guard let held = content.routes[session.deviceID], held.session == session.session, held.gateway == gateway
            else { continue }
            content.routes[session.deviceID] = nil
        }
    }

    // MARK: Inboxes

    package func pushPart(
        _ part: CallPart, to gateway: GatewayID, batch: BatchID, worker: WorkerID
    ) -> RouteStore.Push {
        guard let lease = content.leases[batch], lease > clock, content.holders[batch] == worker.text else {
            return .leaseLost
        }
        guard clock < part.sendBefore else { return .late }
        guard content.gateways[gateway.text] ?? 0 > clock else { return .gone }
        return pushMessage(.calls(part), to: gateway.text) ? .pushed : .full
    }

    package func pushMessage(_ message: InboxMessage, to owner: String) -> Bool {
        guard content.inboxes[owner, default: []].count < inboxLimit || broken.contains(.inboxWithoutLimit) else {
            return false
        }
        content.inboxes[owner, default: []].append(message)
        return true
    }

    /// BLMPOP without the wait.
    package func receive(_ owner: String) -> [InboxMessage] {
        guard let waiting = content.inboxes[owner], !waiting.isEmpty else { return [] }
        let taken = waiting.prefix(Int(RouteLimits.messagesPerReceive))
        content.inboxes[owner] = Array(waiting.dropFirst(taken.count))
        return Array(taken)
    }
}
