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
    }

    package func open(_ batch: ClaimedBatch) -> Mailbox {
        let mailbox = Mailbox(clock: clock)
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
        /// Tells a timer of an earlier wait from that of the present one.
        var wait = 0
    }

    private let clock: any ServiceClock
    private let state = Mutex(State())

    package init(clock: any ServiceClock) { self.clock = clock }

    package func put(_ answer: AnswerPart) {
        let reader = state.withLock { state in
            state.answers.append(answer)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    /// All answers that have come; waits for the first at most until `moment`.
    package func take(until moment: Instant) async -> [AnswerPart] {
        let timeout = moment - clock.now
        if timeout > .zero, state.withLock(\.answers.isEmpty) { await wait(timeout) }
        return state.withLock { state in
            defer { state.answers = [] }
            return state.answers
        }
    }

    private func wait(_ timeout: Duration) async {
        var timer: Task<Void, Never>?
        await withCheckedContinuation { continuation in
            let wait: Int? = state.withLock { state in
                guard state.answers.isEmpty else { return nil }
                state.reader = continuation
                state.wait += 1
                return state.wait
            }
            guard let wait else { return continuation.resume() }
            timer = Task { [self] in
                do {
                    try await clock.sleep(for: timeout)
                } catch {
                    return  // an answer came first
                }
                let reader = state.withLock { state -> CheckedContinuation<Void, Never>? in
                    guard state.wait == wait else { return nil }
                    defer { state.reader = nil }
                    return state.reader
                }
                reader?.resume()
            }
        }
        timer?.cancel()
    }
}
