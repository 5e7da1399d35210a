// The directory of connected devices and the inboxes of gateways and workers, in Redis.
//
// Everything here may vanish at any time: gateways publish their routes again when the incarnation of Redis changes,
// and a lost message is found out by its sender's timeout and the inquiry that follows. A route through a gateway whose
// beats have stopped counts as none. Each operation is one script in Scripts/.

package import JobModel
package import LeaseStore
package import Redis
package import ServiceKit

/// What a beat tells: which life of the directory answered, and Redis' clock.
package struct GatewayBeat: Sendable, Hashable {
    package let incarnation: RedisIncarnation
    package let redisMilliseconds: Int64
}

package struct RouteStore: Sendable {
    private let redis: RedisClient
    private let prefix: String

    package init(redis: RedisClient, prefix: String = "muster") {
        self.redis = redis
        self.prefix = "{\(prefix)}"
    }

    private var routes: String { "\(prefix):routes" }
    private var gateways: String { "\(prefix):gateways" }
    private func inbox(_ owner: String) -> String { "\(prefix):inbox:\(owner)" }

    // MARK: Gateways

    /// `candidate` becomes the name of the directory if it has none.
    package func beat(_ gateway: GatewayID, candidate: String) async throws(StoreError) -> GatewayBeat {
        let reply = try await redis.run(
            Scripts.beatGateway, keys: [gateways, routes],
            arguments: [.text(gateway.text), .integer(RouteLimits.gatewayLife.milliseconds), .text(candidate)])
        guard let elements = reply.array, elements.count == 2, let name = elements[0].text,
            let time = elements[1].integer
        else { throw unexpected("beat_gateway") }
        return GatewayBeat(
            incarnation: RedisIncarnation(name: name, runID: redis.serverRunID ?? ""), redisMilliseconds: time)
    }

    /// From now on no route leads through the gateway and no part comes into its inbox.
    package func retire(_ gateway: GatewayID) async throws(StoreError) {
        _ = try await redis.command(["ZREM", .text(gateways), .text(gateway.text)])
    }

    package func leave(_ gateway: GatewayID) async throws(StoreError) {
        _ = try await redis.pipeline([
            ["ZREM", .text(gateways), .text(gateway.text)], ["DEL", .text(inbox(gateway.text))],
        ])
    }

    // MARK: Directory

    /// Enters at most `RouteLimits.routesPerCall` sessions; returns the devices that have a newer session already.
    @discardableResult
    package func publish(_ sessions: [SessionRoute], of gateway: GatewayID) async throws(StoreError) -> [String] {
        guard !sessions.isEmpty else { return [] }
        let reply = try await redis.run(
            Scripts.publishRoutes, keys: [routes, inbox("")],
            arguments: [.text(gateway.text), .integer(RouteLimits.inboxLife.milliseconds)]
                + sessions.flatMap {
                    [.text($0.deviceID), .integer($0.session), .integer(Int64($0.flags.rawValue))]
                })
        guard let beaten = reply.array else { throw unexpected("publish_routes") }
        return beaten.compactMap(\.text)
    }

    /// Takes out those entries that are still equal.
    package func withdraw(_ sessions: [SessionRoute], of gateway: GatewayID) async throws(StoreError) {
        guard !sessions.isEmpty else { return }
        _ = try await redis.run(
            Scripts.withdrawRoutes, keys: [routes],
            arguments: [.text(gateway.text)] + sessions.flatMap { [.text($0.deviceID), .integer($0.session)] })
    }

    /// Where each device can be reached, and Redis' clock in milliseconds. At most `RouteLimits.routesPerCall` devices.
    package func find(_ devices: [String]) async throws(StoreError) -> (routes: [Route?], redisMilliseconds: Int64) {
        let reply = try await redis.run(
            Scripts.findRoutes, keys: [routes, gateways], arguments: devices.map { .text($0) })
        guard let elements = reply.array, elements.count == devices.count + 1, let time = elements[0].integer else {
            throw unexpected("find_routes")
        }
        var reader = RouteReader()
        return (elements.dropFirst().map { $0.bytes.flatMap { reader.read($0) } }, time)
    }

    // MARK: Inboxes

    package enum Push: String, Sendable {
        case pushed
        /// The batch is no longer leased by the worker.
        case leaseLost
        /// `sendBefore` has passed.
        case late
        /// The gateway has left, or its beats have stopped.
        case gone
        /// Too many messages wait already.
        case full
    }

    /// Hands a part to its gateway if `worker` still holds the batch's lease; otherwise nothing is handed over.
    package func push(
        _ part: CallPart, to gateway: GatewayID, batch: BatchID, worker: WorkerID
    ) async throws(StoreError) -> Push {
        let reply = try await redis.run(
            Scripts.pushPart, keys: ["\(prefix):leases", "\(prefix):holders", inbox(gateway.text), gateways],
            arguments: [
                .text(batch.leaseMember), .text(worker.text), .integer(part.sendBefore),
                .integer(RouteLimits.inboxMessages), .integer(RouteLimits.inboxLife.milliseconds),
                .bytes(GatewayMessage.calls(part).bytes), .text(gateway.text),
            ])
        guard let push = reply.text.flatMap(Push.init(rawValue:)) else { throw unexpected("push_part") }
        return push
    }

    /// False when the gateway's inbox is full.
    package func send(_ message: GatewayMessage, to gateway: GatewayID) async throws(StoreError) -> Bool {
        try await push([message.bytes], to: gateway.text)
    }

    /// All or none; false when the inbox is full.
    package func answer(_ parts: [AnswerPart], to address: String) async throws(StoreError) -> Bool {
        try await push(parts.map(\.bytes), to: address)
    }

    private func push(_ messages: [[UInt8]], to owner: String) async throws(StoreError) -> Bool {
        let reply = try await redis.run(
            Scripts.pushMessage, keys: [inbox(owner)],
            arguments: [
                .integer(RouteLimits.inboxMessages), .integer(RouteLimits.inboxLife.milliseconds),
            ] + messages.map { .bytes($0) })
        return reply.integer == 1
    }

    /// Waits up to `timeout` for messages; `unreadable` counts those that are dropped.
    package func receive(
        _ gateway: GatewayID, timeout: Duration
    ) async throws(StoreError) -> (messages: [GatewayMessage], unreadable: Int) {
        let taken = try await take(gateway.text, timeout)
        let messages = taken.compactMap { GatewayMessage($0) }
        return (messages, taken.count - messages.count)
    }

    /// Waits up to `timeout` for answers; `unreadable` counts those that are dropped.
    package func receiveAnswers(
        _ address: String, timeout: Duration
    ) async throws(StoreError) -> (answers: [AnswerPart], unreadable: Int) {
        let taken = try await take(address, timeout)
        let answers = taken.compactMap { AnswerPart($0) }
        return (answers, taken.count - answers.count)
    }

    private func take(_ owner: String, _ timeout: Duration) async throws(StoreError) -> [[UInt8]] {
        // 0 would mean for ever.
        let command: [RedisArgument] = [
            "BLMPOP", .text("\(max(0.001, timeout.inSeconds))"), 1, .text(inbox(owner)), "LEFT", "COUNT",
            .integer(RouteLimits.messagesPerReceive),
        ]
        guard let reply = try await redis.blockingCommand(command, timeout: timeout) else { return [] }
        guard let elements = reply.array, elements.count == 2, let list = elements[1].array else {
            throw unexpected("receive")
        }
        return list.compactMap(\.bytes)
    }

    private func unexpected(_ operation: String) -> StoreError {
        StoreError(code: .fatal, effect: .unknown, operation: operation, message: "a reply of an unexpected form")
    }
}
