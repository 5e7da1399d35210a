// Who is connected here: device to session. The one place that all threads share; sessions themselves stay on their
// loops, and what is for them is handed over once a loop.

package import Calls
package import RouteStore
import Sockets
private import Synchronization

package final class SessionTable: CallWriter {
    struct Entry: Sendable {
        let session: Int64
        var flags: RouteFlags
        let handle: LoopBound<DeviceSession>
    }

    enum Entering: Sendable {
        /// With the older session of this device, which is to be closed.
        case entered(replacing: LoopBound<DeviceSession>?)
        /// A newer session is here already.
        case outdated
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let desk: any CallDesk

    init(desk: any CallDesk) { self.desk = desk }

    package var count: Int { entries.withLock { $0.count } }

    // MARK: For sessions and desks

    func enter(_ route: SessionRoute, _ handle: LoopBound<DeviceSession>) -> Entering {
        entries.withLock { entries in
            let old = entries[route.deviceID]
            if let old, old.session > route.session { return .outdated }
            entries[route.deviceID] = Entry(session: route.session, flags: route.flags, handle: handle)
            return .entered(replacing: old?.handle)
        }
    }

    /// False when the device has no such session any more.
    func setFlags(_ route: SessionRoute) -> Bool {
        entries.withLock { entries in
            guard entries[route.deviceID]?.session == route.session else { return false }
            entries[route.deviceID]?.flags = route.flags
            return true
        }
    }

    func remove(_ deviceID: String, session: Int64) {
        entries.withLock { entries in
            if entries[deviceID]?.session == session { entries[deviceID] = nil }
        }
    }

    // MARK: For keepers

    func routes(of devices: some Sequence<String>) -> [SessionRoute] {
        entries.withLock { entries in
            devices.compactMap { device in
                entries[device].map { SessionRoute(deviceID: device, session: $0.session, flags: $0.flags) }
            }
        }
    }

    func allRoutes() -> [SessionRoute] {
        entries.withLock { entries in
            entries.map { SessionRoute(deviceID: $0.key, session: $0.value.session, flags: $0.value.flags) }
        }
    }

    /// Ends those sessions whose number is at most the given one.
    func end(_ routes: [SessionRoute], _ reason: SessionEnd) {
        let handles = entries.withLock { entries in
            routes.compactMap { route in
                entries[route.deviceID].flatMap { $0.session <= route.session ? $0.handle : nil }
            }
        }
        SessionMail.deliver(handles.map { ($0, reason) }) { session, reason in session.end(reason) }
    }

    // MARK: For the calls desk and the inbox

    /// Writes to sessions that have subscribed to methods; the others are `undeliverable`.
    package func write(_ calls: [OutgoingCall]) {
        var missing: [UInt64] = []
        let mail = entries.withLock { entries in
            calls.compactMap { call -> (LoopBound<DeviceSession>, OutgoingCall)? in
                guard let entry = entries[call.deviceID], entry.flags.contains(.methods) else {
                    missing.append(call.rid)
                    return nil
                }
                return (entry.handle, call)
            }
        }
        SessionMail.deliver(mail) { session, call in session.write(call) }
        if !missing.isEmpty { desk.undeliverable(missing) }
    }

    /// Tells a desired change to sessions that have subscribed to it.
    package func notify(_ part: DesiredPart) {
        let body = DesiredNotification(part.patch)
        let mail = entries.withLock { entries in
            part.devices.compactMap { device -> (LoopBound<DeviceSession>, Int64)? in
                guard let entry = entries[device.deviceID], entry.flags.contains(.desired) else { return nil }
                return (entry.handle, device.version)
            }
        }
        SessionMail.deliver(mail) { session, version in session.notify(body, version: version) }
    }

    /// Closes sessions that lost against a newer one on another gateway: those up to the given numbers.
    package func close(_ routes: [SessionRoute]) { end(routes, .supersededElsewhere) }
}

/// Hands things to sessions, once a loop.
enum SessionMail {
    static func deliver<Content: Sendable>(
        _ mail: [(LoopBound<DeviceSession>, Content)], _ body: @escaping @Sendable (DeviceSession, Content) -> Void
    ) {
        guard let first = mail.first else { return }
        guard mail.contains(where: { $0.0.loop !== first.0.loop }) else { return hand(mail, to: first.0.loop, body) }
        for part in Dictionary(grouping: mail, by: { ObjectIdentifier($0.0.loop) }).values {
            hand(part, to: part[0].0.loop, body)
        }
    }

    private static func hand<Content: Sendable>(
        _ mail: [(LoopBound<DeviceSession>, Content)], to loop: EventLoop,
        _ body: @escaping @Sendable (DeviceSession, Content) -> Void
    ) {
        loop.execute { reactor in
            for (handle, content) in mail { body(handle.value(on: reactor), content) }
        }
    }
}
