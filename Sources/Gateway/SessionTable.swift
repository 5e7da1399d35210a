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
        var mail = SessionMail<Void>(capacity: routes.count)
        entries.withLock { entries in
            for route in routes {
                if let entry = entries[route.deviceID], entry.session <= route.session {
                    mail.put((), for: entry.handle)
                }
            }
        }
        mail.deliver { session, _ in session.end(reason) }
    }

    // MARK: For the calls desk and the inbox

    /// Writes to sessions that have subscribed to methods; the others are `undeliverable`.
    package func write(_ calls: [OutgoingCall], _ message: CallMessage) {
        var missing: [UInt64] = []
        var mail = SessionMail<UInt64>(capacity: calls.count)
        entries.withLock { entries in
            for call in calls {
                if let entry = entries[call.deviceID], entry.flags.contains(.methods) {
                    mail.put(call.rid, for: entry.handle)
                } else {
                    missing.append(call.rid)
                }
            }
        }
        mail.deliver { session, rid in session.write(rid, message) }
        if !missing.isEmpty { desk.undeliverable(missing) }
    }

    /// Tells a desired change to sessions that have subscribed to it.
    package func notify(_ part: DesiredPart) {
        let body = DesiredNotification(part.patch)
        var mail = SessionMail<Int64>(capacity: part.devices.count)
        entries.withLock { entries in
            for device in part.devices {
                guard let entry = entries[device.deviceID], entry.flags.contains(.desired) else { continue }
                mail.put(device.version, for: entry.handle)
            }
        }
        mail.deliver { session, version in session.notify(body, version: version) }
    }

    /// Closes sessions that lost against a newer one on another gateway: those up to the given numbers.
    package func close(_ routes: [SessionRoute]) { end(routes, .supersededElsewhere) }
}

/// Things for sessions, to be handed over once a loop.
struct SessionMail<Content: Sendable> {
    private typealias Letter = (session: LoopBound<DeviceSession>, content: Content)

    /// A process has as many loops as cores: few enough to look through.
    private var bags: [(loop: EventLoop, letters: [Letter])] = []
    private let capacity: Int

    /// `capacity`: a guess of all letters.
    init(capacity: Int) { self.capacity = capacity }

    mutating func put(_ content: Content, for session: LoopBound<DeviceSession>) {
        if let place = bags.firstIndex(where: { $0.loop === session.loop }) {
            bags[place].letters.append((session, content))
            return
        }
        var letters: [Letter] = []
        letters.reserveCapacity(capacity)
        letters.append((session, content))
        bags.append((session.loop, letters))
    }

    func deliver(_ body: @escaping @Sendable (DeviceSession, Content) -> Void) {
        for (loop, letters) in bags {
            loop.execute { reactor in
                for (session, content) in letters {
                    body(session.value(on: reactor), content)
                    reactor.writeIfMany()
                }
            }
        }
    }
}
