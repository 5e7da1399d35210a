// Leadership of this process: takes it, renews it, and tells whether it may still be trusted.
//
// PostgreSQL's clock judges the lease row; inside the process only the monotonic clock counts, from before the renewal
// was sent, less a margin: this process stops acting before another can begin.

internal import JSON
internal import JobModel
package import JobStore
package import ServiceKit
private import Synchronization

/// What this process knows of its leadership: a pure machine.
package struct LeadershipHold: Sendable {
    private var held: (leadership: Leadership, trustedUntil: Instant)?

    package init() {}

    /// The leadership while it may be trusted.
    package func leadership(now: Instant) -> Leadership? {
        held.flatMap { now < $0.trustedUntil ? $0.leadership : nil }
    }

    /// What PostgreSQL answered to a question that was sent at `sent`; nil while another leads. Returns what was held
    /// before, trusted or not.
    package mutating func answered(_ acquired: Leadership?, sent: Instant) -> Leadership? {
        defer { held = acquired.map { ($0, sent + Limits.leadershipTrust) } }
        return held?.leadership
    }

    /// Returns what was held.
    package mutating func resigned() -> Leadership? {
        defer { held = nil }
        return held?.leadership
    }
}

package final class Elector: Sendable {
    package static let role = "coordinator"

    private let store: JobStore
    private let holder: String
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private let metrics: Metrics
    private let held = Mutex(LeadershipHold())
    /// One element, for who waits until this process leads: at most one is kept, so a reader must look whether it does.
    package let acquisitions: AsyncStream<Void>
    private let acquired: AsyncStream<Void>.Continuation

    /// `holder` names one life of one process.
    package init(
        store: JobStore, holder: String, clock: any ServiceClock, random: any RandomSource, log: Log,
        metrics: Metrics
    ) {
        self.store = store
        self.holder = holder
        self.clock = clock
        self.random = random
        self.log = log
        self.metrics = metrics
        (acquisitions, acquired) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// The leadership of this process while it may be trusted.
    package var leadership: Leadership? {
        let now = clock.now
        return held.withLock { $0.leadership(now: now) }
    }

    /// Takes part in the election until the task is cancelled, then resigns.
    package func run() async {
        while !Task.isCancelled {
            await elect()
            do {
                try await clock.sleep(for: random.jittered(Limits.leadershipRenewalInterval, spread: 0.1))
            } catch {
                break
            }
        }
        await resign()
    }

    private func elect() async {
        let sent = clock.now
        do {
            let answer = try await store.acquireLeadership(role: Self.role, holder: holder)
            let former = held.withLock { $0.answered(answer, sent: sent) }
            // Each time: trust that ran out and came back is the same leadership.
            if answer != nil { acquired.yield() }
            if answer != former {
                if let answer {
                    log.info("leadership_taken", [("term", .integer(answer.term))])
                    metrics.count("muster_leaderships_taken_total", "Times that this process began to lead")
                } else {
                    log.warning("leadership_lost", [("holder", .string(holder))])
                }
            }
        } catch {
            log.warning("election_failed", [("error", .string(error.description))])
        }
        metrics.gauge("muster_leader", "1 on the elected leader", leadership == nil ? 0 : 1)
    }

    private func resign() async {
        let last = held.withLock { $0.resigned() }
        guard let last else { return }
        do {
            // The task is cancelled by now, so the farewell is sent by one of its own.
            try await Task { [store] in try await store.resign(last) }.value
            log.info("leadership_resigned", [("term", .integer(last.term))])
        } catch {
            log.warning("resignation_failed", [("error", .string("\(error)"))])
        }
    }
}
