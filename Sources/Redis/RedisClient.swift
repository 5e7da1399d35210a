// What the stores call: commands, pipelines, scripts, and blocking commands on connections of their own.
//
// Every call ends by its timeout. An error reply is thrown, classified by RedisErrors. After a loss the client connects
// again with growing pauses for as long as calls wait.

package import ServiceKit
private import Synchronization

package final class RedisClient: Sendable {
    private struct Lanes {
        var idle: [RedisLane] = []
        var busy: [ObjectIdentifier: RedisLane] = [:]
        var isClosed = false
    }

    private let endpoint: RedisEndpoint
    private let configuration: RedisConfiguration
    private let clock: any ServiceClock
    private let random: any RandomSource
    private let metrics: Metrics
    private let link: RedisLink
    private let lanes = Mutex(Lanes())

    /// Opens no connection yet. Throws `.fatal` for a malformed URL.
    package init(
        _ configuration: RedisConfiguration, clock: any ServiceClock, random: any RandomSource, log: Log,
        metrics: Metrics
    ) throws(StoreError) {
        endpoint = try RedisEndpoint(configuration.url)
        self.configuration = configuration
        self.clock = clock
        self.random = random
        self.metrics = metrics
        link = RedisLink(endpoint, configuration, clock: clock, random: random, log: log)
    }

    /// The run id of the server of the newest connection; nil before the first. A new one means that Redis restarted, or
    /// that another server answers now.
    package var serverRunID: String? { link.runID }

    package func command(_ arguments: [RedisArgument], timeout: Duration? = nil) async throws(StoreError)
        -> RedisReply
    {
        let request = RedisRequest(arguments)
        return try checked(try await submit(request, timeout)[0], request.operation)
    }

    /// The commands in order, in one round trip, others possibly between them. Throws for the first error reply, with
    /// effect `unknown`, because the other commands ran; `keepsErrors` leaves them in the list instead.
    package func pipeline(_ commands: [[RedisArgument]], timeout: Duration? = nil, keepsErrors: Bool = false)
        async throws(StoreError) -> [RedisReply]
    {
        guard let first = commands.first else { return [] }
        let operation = RedisRequest.name(first)
        let replies = try await submit(RedisRequest(operation: operation, commands), timeout)
        if !keepsErrors {
            for reply in replies {
                guard case .error(let text) = reply else { continue }
                let error = RedisErrors.error(text, operation: operation)
                count(error)
                throw StoreError(
                    code: error.code, effect: replies.count == 1 ? .none : .unknown, operation: operation,
                    serverCode: error.serverCode, message: text)
            }
        }
        return replies
    }

    /// By its SHA-1; a server that does not know it gets the text.
    package func run(
        _ script: RedisScript, keys: [String], arguments: [RedisArgument] = [], timeout: Duration? = nil
    ) async throws(StoreError) -> RedisReply {
        let rest = [.integer(Int64(keys.count))] + keys.map { RedisArgument.text($0) } + arguments
        var request = RedisRequest(operation: script.name, [["EVALSHA", .text(script.sha1)] + rest])
        var reply = try await submit(request, timeout)[0]
        if RedisErrors.isMissingScript(reply) {
            request = RedisRequest(operation: script.name, [["EVAL", .text(script.text)] + rest])
            reply = try await submit(request, timeout)[0]
        }
        return try checked(reply, script.name, isScript: true)
    }

    /// BLPOP: the first element of the first list that has one; nil at the timeout, and when the task is cancelled. An
    /// element that the server popped at that moment is still returned, never dropped. When the connection is lost
    /// (effect `unknown`) an element may have been popped that nobody will see.
    package func blockingPop(_ keys: [String], timeout: Duration) async throws(StoreError)
        -> (key: String, value: String)?
    {
        // 0 would mean for ever.
        let seconds = max(0.001, timeout.inSeconds)
        let command = ["BLPOP"] + keys.map { RedisArgument.text($0) } + [.text("\(seconds)")]
        guard let parts = try await blockingCommand(command, timeout: timeout)?.array, parts.count == 2,
            let key = parts[0].text, let value = parts[1].text
        else { return nil }
        return (key, value)
    }

    /// Any command that the server may hold for `timeout` (XREAD BLOCK, BLMOVE …), on a connection of its own. Nil when it
    /// ends without a result, also by cancellation.
    package func blockingCommand(_ arguments: [RedisArgument], timeout: Duration) async throws(StoreError)
        -> RedisReply?
    {
        let request = RedisRequest(arguments)
        let deadline = clock.now + timeout
        let lane = try lend(request.operation)
        defer { giveBack(lane) }
        var backoff = Backoff(initial: .milliseconds(20), maximum: .seconds(1))
        while true {
            if Task.isCancelled { return nil }
            do {
                let reply = try await withUnblocking(lane) { () async throws(StoreError) in
                    try await lane.run(request, timeout: max(.milliseconds(1), deadline - clock.now))
                }
                return reply.isNull ? nil : reply
            } catch {
                if error.code == .cancelled { return nil }
                let pause = backoff.next(random)
                guard error.isTransient, error.effect == .none, clock.now + pause < deadline else {
                    // The abort of a cancelled wait is no news.
                    if Task.isCancelled { return nil }
                    count(error)
                    throw error
                }
                do {
                    try await clock.sleep(for: pause)
                } catch {
                    return nil
                }
            }
        }
    }

    /// Refuses further calls, ends blocking ones, closes all connections.
    package func close() async {
        let (idle, busy) = lanes.withLock { lanes in
            lanes.isClosed = true
            defer { lanes.idle = [] }
            return (lanes.idle, Array(lanes.busy.values))
        }
        for lane in idle { await lane.close() }
        for lane in busy {
            await unblock(lane)
            await lane.close()
        }
        await link.close()
    }

    // MARK: one call

    private func submit(_ request: RedisRequest, _ timeout: Duration?) async throws(StoreError) -> [RedisReply] {
        let start = clock.now
        do {
            let replies = try await link.submit(request, timeout: timeout ?? configuration.commandTimeout)
            metrics.observe(
                "muster_redis_command_seconds", "Time from call to answer, waits included", clock.now - start,
                labels: [("command", request.operation)])
            return replies
        } catch {
            count(error)
            throw error
        }
    }

    private func checked(_ reply: RedisReply, _ operation: String, isScript: Bool = false) throws(StoreError)
        -> RedisReply
    {
        guard case .error(let text) = reply else { return reply }
        let error = RedisErrors.error(text, operation: operation, isScript: isScript)
        count(error)
        throw error
    }

    private func count(_ error: StoreError) {
        metrics.count(
            "muster_redis_errors_total", "Failed commands by code and effect",
            labels: [("code", error.code.rawValue), ("effect", error.effect.rawValue)])
    }

    // MARK: lanes

    private func lend(_ operation: String) throws(StoreError) -> RedisLane {
        let result: Result<RedisLane, StoreError> = lanes.withLock { lanes in
            if lanes.isClosed { return .failure(RedisErrors.closed(operation: operation)) }
            guard lanes.busy.count < configuration.maximumBlocking else {
                return .failure(
                    StoreError(
                        code: .unavailable, effect: .none, operation: operation,
                        message: "\(configuration.maximumBlocking) blocking commands run already"))
            }
            let lane = lanes.idle.popLast() ?? RedisLane(endpoint, configuration, clock: clock)
            lanes.busy[ObjectIdentifier(lane)] = lane
            return .success(lane)
        }
        return try result.get()
    }

    private func giveBack(_ lane: RedisLane) {
        // A cancelled lane may still be sent an UNBLOCK that comes late: it must not hit the next caller's command.
        let isCancelled = Task.isCancelled
        lanes.withLock { lanes in
            lanes.busy[ObjectIdentifier(lane)] = nil
            if !lanes.isClosed, !isCancelled { lanes.idle.append(lane) }
        }
    }

    private func withUnblocking(_ lane: RedisLane, _ body: () async throws(StoreError) -> RedisReply)
        async throws(StoreError) -> RedisReply
    {
        let result: Result<RedisReply, StoreError> = await withTaskCancellationHandler {
            do throws(StoreError) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            // A task of its own: this one is cancelled and could not send.
            Task { await self.unblock(lane) }
        }
        return try result.get()
    }

    /// Ends a lane's wait. The command may have been sent and not yet be read by the server, so a first UNBLOCK can come
    /// too early.
    private func unblock(_ lane: RedisLane) async {
        guard let client = lane.cancel() else { return }
        var backoff = Backoff(initial: .milliseconds(2), maximum: .milliseconds(200))
        for _ in 0..<10 {
            do {
                let reply = try await command(["CLIENT", "UNBLOCK", .integer(client)], timeout: .seconds(1))
                if reply.integer == 1 { return }
                try await clock.sleep(for: backoff.next(random))
            } catch {
                break
            }
            if lane.blockedClient != client { return }
        }
        lane.abort()
    }
}
