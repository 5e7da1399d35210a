// Takes messages from the gateway's inbox in Redis to those they are for.

import JSON
import RouteStore
import ServiceKit

struct InboxReader: Sendable {
    /// One wait for messages; the task's cancellation ends it early. As long as a worker's: each wait costs a wake-up.
    private static let wait: Duration = .seconds(5)
    /// Reads of the last look: as many as a full inbox needs.
    private static let finishReads = Int(RouteLimits.inboxMessages / RouteLimits.messagesPerReceive) + 1

    let store: RouteStore
    let gateway: GatewayID
    let table: SessionTable
    let desk: any GatewayDesk
    let notices: NoticeKeeper
    let registry: RegistryKeeper
    let clock: any ServiceClock
    let random: any RandomSource
    let log: Log

    /// Until the task is cancelled.
    func run() async throws {
        var backoff = Backoff()
        while true {
            try Task.checkCancellation()
            let begun = clock.now
            do {
                let (messages, unreadable) = try await store.receive(gateway, timeout: Self.wait)
                backoff.reset()
                messages.forEach(dispatch)
                if unreadable > 0 { log.warning("messages_unreadable", [("messages", .integer(Int64(unreadable)))]) }
            } catch {
                // Redis may have handed over messages that we never got. Calls are asked for again; notices are not.
                notices.mayHaveMissed(since: begun)
                log.debug("inbox_failed", [("error", .string("\(error)"))])
                try await clock.sleep(for: backoff.next(random))
            }
        }
    }

    /// What is left of the inbox of a gateway that has retired; nobody adds parts any more. Bounded, because inquiries
    /// still come.
    func finish() async {
        for _ in 0..<Self.finishReads {
            do {
                let (messages, _) = try await store.receive(gateway, timeout: .milliseconds(1))
                guard !messages.isEmpty else { return }
                messages.forEach(dispatch)
            } catch {
                return log.warning("inbox_failed", [("error", .string("\(error)"))])
            }
        }
    }

    private func dispatch(_ message: GatewayMessage) {
        switch message {
        case .calls(let part): desk.handle(part)
        case .inquiry(let inquiry): desk.handle(inquiry)
        case .settlement(let settlement): desk.handle(settlement)
        case .desired(let part): table.notify(part)
        case .close(let routes): table.close(routes)
        case .registryChanged(let devices): registry.changed(devices)
        }
    }
}
