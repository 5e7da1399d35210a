// Direct methods outside jobs (wire contract, section 5): one call, at most once, waited for by its caller.
//
// The call takes the same path as a job's: looked up in the directory, handed to the device's gateway, answered into the
// inbox of this process. It is never repeated once it may have been sent.

internal import JSON
internal import JobModel
package import RouteStore
package import ServiceKit
private import Synchronization

package final class MethodInvoker: Sendable {
    package struct Call: Sendable {
        package let deviceID: String
        package let method: String
        /// JSON text.
        package let payload: String
        package let response: Duration
        package let connect: Duration
    }

    package enum Ending: Sendable, Hashable {
        case outcome(CallOutcome)
        /// Not connected, or not subscribed to methods, for the connect timeout.
        case notOnline
        /// The gateway's inbox, or this process, is full.
        case busy
    }

    /// Calls that one process waits for; each is a suspended task and a few kilobytes.
    private static let waitingMaximum = 10_000
    /// How often a device that is not connected is looked for while its caller waits.
    private static let connectPoll: Duration = .milliseconds(200)

    private struct State {
        var waiting: [Int64: CheckedContinuation<CallOutcome, Never>] = [:]
        var admitted = 0
    }

    private let routes: RouteStore
    private let address: String
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let log: Log
    private let state = Mutex(State())

    /// `address` names one life of this process; it is where answers are sent to.
    package init(
        address: String, routes: RouteStore, clock: any ServiceClock, random: any RandomSource, log: Log
    ) {
        self.address = address
        self.routes = routes
        self.clock = clock
        self.random = random
        self.log = log
    }

    /// Receives answers until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            do {
                let (answers, _) = try await routes.receiveAnswers(address, timeout: .seconds(5))
                for answer in answers {
                    for item in answer.items where item.outcome != .inFlight { finish(item.seq, item.outcome) }
                }
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

    package func invoke(_ call: Call) async throws -> Ending {
        let isAdmitted = state.withLock { state in
            guard state.admitted < Self.waitingMaximum else { return false }
            state.admitted += 1
            return true
        }
        guard isAdmitted else { return .busy }
        defer { state.withLock { $0.admitted -= 1 } }
        let deadline = clock.now + call.connect
        while true {
            let (found, redisTime) = try await routes.find([call.deviceID])
            if let route = found[0], route.flags.contains(.methods) {
                guard let outcome = try await send(call, to: route.gateway, redisTime: redisTime) else { return .busy }
                // Certainly not sent: the session may be on its way to another gateway.
                guard outcome.isUnsent, outcome != .tooManyInFlight else { return .outcome(outcome) }
            }
            guard clock.now < deadline else { return .notOnline }
            try await clock.sleep(for: min(Self.connectPoll, deadline - clock.now))
        }
    }

    /// Nil when the gateway's inbox is full.
    private func send(_ call: Call, to gateway: GatewayID, redisTime: Int64) async throws -> CallOutcome? {
        // Unique among the calls of all processes, as far as 52 random bits go; JSON keeps them exactly.
        let seq = Int64(random.next() >> 12)
        let part = CallPart(
            job: 0, batch: 0, fence: 0, number: 0, sendBefore: redisTime + Limits.sendWindow.milliseconds,
            responseMilliseconds: call.response.milliseconds, replyTo: address, method: call.method,
            payload: call.payload, items: [.init(seq: seq, attempt: 0, deviceID: call.deviceID)])
        let pushed = PushResult()
        let timeout = Limits.sendWindow + call.response + Limits.answerSlack
        let timer = Task {
            do {
                try await clock.sleep(for: timeout)
                // The gateway's word was lost on the way; for the caller that is no answer in time.
                finish(seq, .timedOut)
            } catch {
                return  // the answer came
            }
        }
        defer { timer.cancel() }
        let outcome = await withCheckedContinuation { continuation in
            state.withLock { $0.waiting[seq] = continuation }
            Task {
                do throws(StoreError) {
                    if try await routes.send(.calls(part), to: gateway) { return }
                    pushed.set(.success(false))
                } catch {
                    pushed.set(.failure(error))
                }
                finish(seq, .neverSent)
            }
        }
        switch pushed.value {
        case .success(true): return outcome
        case .success(false): return nil
        case .failure(let error): throw error
        }
    }

    private func finish(_ seq: Int64, _ outcome: CallOutcome) {
        state.withLock { $0.waiting.removeValue(forKey: seq) }?.resume(returning: outcome)
    }
}

/// How handing a call over went; true until it fails.
private final class PushResult: Sendable {
    private let result = Mutex<Result<Bool, StoreError>>(.success(true))

    var value: Result<Bool, StoreError> { result.withLock { $0 } }
    func set(_ new: Result<Bool, StoreError>) { result.withLock { $0 = new } }
}
