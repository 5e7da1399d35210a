// The answers of gateways to this worker, sorted to the batches that wait for them. An answer to nobody is dropped: its
// batch has another holder by now, who asks for it.

internal import JSON
package import JobModel
package import RouteStore
package import ServiceKit
private import Synchronization

package final class AnswerInbox: Sendable {
    private let routes: RouteStore
    /// Where gateways send answers to.
    package let address: String
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private let metrics: Metrics
    /// By claim: what comes under another fence was said to another holder, perhaps to this worker in an earlier claim.
    private struct Claim: Hashable {
        let batch: BatchID
        let fence: Int64
    }
    private let mailboxes = Mutex<[Claim: Mailbox]>([:])
    private let alarm: Alarm

    package init(
        address: String, routes: RouteStore, clock: any ServiceClock, random: any RandomSource, log: Log,
        metrics: Metrics
    ) {
        self.address = address
        self.routes = routes
        self.clock = clock
        self.random = random
        self.log = log
        self.metrics = metrics
        alarm = Alarm(clock: clock)
    }

    package func open(_ batch: ClaimedBatch) -> Mailbox {
        let mailbox = Mailbox(alarm: alarm)
        mailboxes.withLock { $0[Claim(batch: batch.id, fence: batch.fence.value)] = mailbox }
        return mailbox
    }

    package func close(_ batch: ClaimedBatch) {
        mailboxes.withLock { $0[Claim(batch: batch.id, fence: batch.fence.value)] = nil }
    }

    /// Receives until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            do {
                let (answers, unreadable) = try await routes.receiveAnswers(address, timeout: .seconds(5))
                if unreadable > 0 { log.warning("answers_unreadable", [("messages", .integer(Int64(unreadable)))]) }
                for answer in answers { deliver(answer) }
            } catch {
                guard !Task.isCancelled else { return }
                log.warning("receive_failed", [("error", .string(error.description))])
                do {
                    try await clock.sleep(for: random.jittered(.milliseconds(500)))
                } catch {
                    return
                }
            }
        }
    }

    private func deliver(_ answer: AnswerPart) {
        guard let batch = Int32(exactly: answer.batch) else { return }
        let claim = Claim(batch: BatchID(job: answer.job, batch: batch), fence: answer.fence)
        let mailbox = mailboxes.withLock { $0[claim] }
        guard let mailbox else {
            return metrics.count(
                "muster_answers_unclaimed_total", "Answers to batches that this worker no longer holds")
        }
        mailbox.put(answer)
    }
}

/// The answers to one batch; one reader.
package final class Mailbox: Sendable {
    private struct State {
        var answers: [AnswerPart] = []
        var reader: CheckedContinuation<Void, Never>?
    }

    private let alarm: Alarm
    private let state = Mutex(State())

    package init(alarm: Alarm) { self.alarm = alarm }

    package func put(_ answer: AnswerPart) {
        wake { $0.answers.append(answer) }
    }

    /// All answers that have come; waits for the first at most until `moment`.
    package func take(until moment: Instant) async -> [AnswerPart] {
        if alarm.clock.now < moment, state.withLock(\.answers.isEmpty) { await wait(until: moment) }
        return state.withLock { state in
            defer { state.answers = [] }
            return state.answers
        }
    }

    private func wait(until moment: Instant) async {
        var ring: Alarm.Ring?
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                guard state.answers.isEmpty else { return false }
                state.reader = continuation
                return true
            }
            guard mustWait else { return continuation.resume() }
            ring = alarm.set(at: moment) { [self] in wake { _ in } }
        }
        if let ring { alarm.cancel(ring) }
    }

    private func wake(_ change: (inout State) -> Void) {
        let reader = state.withLock { state in
            change(&state)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }
}
