// Batches of direct methods: what is open, what was about to be sent, outcomes, and items that wait for their device
// (invariants I3 and I5). A write that matches nothing is the ordinary answer "lease lost".

internal import JSON
package import JobModel
internal import Postgres
package import ServiceKit
internal import StoreKit

/// An item of a claimed batch that has no outcome.
package struct OpenItem: Sendable, Hashable {
    package let seq: Int64
    package let deviceID: String
    /// Executions that ended before; the number of the one to come.
    package let attempt: Int64

    package init(seq: Int64, deviceID: String, attempt: Int64) {
        self.seq = seq
        self.deviceID = deviceID
        self.attempt = attempt
    }
}

/// What an earlier holder of a batch was about to send to one gateway.
package struct Dispatch: Sendable, Hashable {
    package let gateway: String
    package let incarnation: String
    package let seqs: [Int64]
    /// Milliseconds of Redis' clock.
    package let sendBefore: Int64
    package let responseMilliseconds: Int64
    package let isGatewayAlive: Bool

    package init(
        gateway: String, incarnation: String, seqs: [Int64], sendBefore: Int64, responseMilliseconds: Int64,
        isGatewayAlive: Bool
    ) {
        self.gateway = gateway
        self.incarnation = incarnation
        self.seqs = seqs
        self.sendBefore = sendBefore
        self.responseMilliseconds = responseMilliseconds
        self.isGatewayAlive = isGatewayAlive
    }
}

/// The latest sign of life of one life of a gateway.
package struct GatewayBeatRecord: Sendable, Hashable {
    package let gateway: String
    package let incarnation: String
    /// By PostgreSQL's clock; only compared with itself.
    package let seen: Int64

    package init(gateway: String, incarnation: String, seen: Int64) {
        self.gateway = gateway
        self.incarnation = incarnation
        self.seen = seen
    }

    /// `name~incarnation`.
    package var text: String { "\(gateway)~\(incarnation)" }
}

/// The outcome of one item, as it is stored.
package struct ItemResult: Sendable, Hashable {
    package let seq: Int64
    /// Nil when it succeeded.
    package let error: ItemErrorCode?
    package let text: String?
    /// JSON text of `{"status":…,"payload":…}`.
    package let response: String?

    package init(seq: Int64, error: ItemErrorCode? = nil, text: String? = nil, response: String? = nil) {
        self.seq = seq
        self.error = error
        self.text = text
        self.response = response
    }
}

extension JobStore {
    package func openItems(of batch: ClaimedBatch) async throws(StoreError) -> [OpenItem] {
        var items: [OpenItem] = []
        for row in try await pool.run(Self.listing(of: batch), Self.key(batch) + [.integer(batch.slot)]) {
            items.append(
                OpenItem(seq: try row.get("seq"), deviceID: try row.get("device_id"), attempt: try row.get("attempt")))
        }
        return items
    }

    /// The statement that lists open items, for the partition of the batch.
    static func listing(of batch: ClaimedBatch) -> Statement {
        Statements.listOpenItems.filling(["items": "work_items_\(batch.slot)"], isPrepared: true)
    }

    /// Of earlier claims, one for each life of a gateway.
    package func dispatches(before batch: ClaimedBatch) async throws(StoreError) -> [Dispatch] {
        var dispatches: [Dispatch] = []
        for row in try await pool.run(Statements.listDispatches, Self.key(batch)) {
            let seqs: [Int64] = try row.get("seqs")
            dispatches.append(
                Dispatch(
                    gateway: try row.get("gateway"), incarnation: try row.get("incarnation"), seqs: seqs,
                    sendBefore: try row.get("send_before"), responseMilliseconds: try row.get("response_ms"),
                    isGatewayAlive: try row.get("is_alive")))
        }
        return dispatches
    }

    /// What is about to be handed to one gateway.
    package struct DispatchPart: Sendable {
        package let gateway: String
        package let incarnation: String
        package let seqs: [Int64]

        package init(gateway: String, incarnation: String, seqs: [Int64]) {
            self.gateway = gateway
            self.incarnation = incarnation
            self.seqs = seqs
        }
    }

    /// Commits the dispatches; nil when nothing may be sent: the batch is no longer the caller's, its job was cancelled,
    /// or less than `Limits.dispatchTimeLeft` is left to the deadline. Otherwise the gateways, as `name~incarnation`,
    /// that may be handed their parts; the others are not among the living.
    package func dispatch(
        _ parts: [DispatchPart], of batch: ClaimedBatch, sendBefore: Int64, response: Duration
    ) async throws(StoreError) -> Set<String>? {
        let rows = try await pool.run(
            Statements.insertDispatches,
            Self.key(batch) + [
                .textArray(parts.map(\.gateway)), .textArray(parts.map(\.incarnation)),
                .textArray(parts.map { "{\($0.seqs.map(String.init).joined(separator: ","))}" }), .integer(sendBefore),
                .integer(response.milliseconds), .integer(Limits.dispatchTimeLeft.milliseconds),
            ])
        guard let row = rows.first else { return nil }
        let living: [String] = try row.get("gateways")
        return Set(living)
    }

    /// Forgets the dispatches of a batch of which each call is recorded or certainly not sent.
    package func settleDispatches(of batch: ClaimedBatch) async throws(StoreError) {
        _ = try await pool.run(Statements.settleDispatches, Self.key(batch))
    }

    package func record(
        _ results: [ItemResult], of batch: ClaimedBatch, shard: Int64
    ) async throws(StoreError) -> Execution {
        let (statement, parameters) = Self.recording(results, of: batch, shard: shard)
        let rows = try await pool.run(statement, parameters)
        guard let row = rows.first else { return .leaseLost }
        let open: Int64? = try row.get("open")
        guard let open else { return .leaseLost }
        return .recorded(succeeded: try row.get("succeeded"), failed: try row.get("failed"), open: open, changed: [])
    }

    /// Seqs that lie further apart than this many for each result are named to the index one by one; up to there it is
    /// cheaper to read them all (500 results: 2.5 µs each, against 3.5).
    private static let denseSpread: Int64 = 4

    /// The statement that records results, for the partition of the batch and for how far apart its items lie.
    static func recording(_ results: [ItemResult], of batch: ClaimedBatch, shard: Int64) -> (Statement, [Parameter]) {
        let sorted = results.sorted { $0.seq < $1.seq }
        var parts = ["items": "work_items_\(batch.slot)"]
        if let first = sorted.first, let last = sorted.last,
            last.seq - first.seq < Int64(sorted.count) * denseSpread
        {
            parts["among"] = "$6[width_bucket(i.seq, $6)] = i.seq"
        }
        var (responses, codes, texts) = ("[", "[", "[")
        let hasFailures = sorted.contains { $0.error != nil }
        for (position, result) in sorted.enumerated() {
            let separator = position == 0 ? "" : ","
            responses += separator
            responses += result.response ?? "null"
            guard hasFailures else { continue }
            codes += separator
            codes += result.error.map { "\"\($0.rawValue)\"" } ?? "null"
            texts += separator
            texts += result.error == nil ? "null" : result.text.map { JSONValue.string($0).text } ?? "null"
        }
        return (
            Statements.recordResults.filling(parts, isPrepared: true),
            Self.key(batch) + [
                .integer(batch.slot), .integer(shard), .integerArray(sorted.map(\.seq)), .text(responses + "]"),
                .text(codes + "]"), .text(texts + "]"),
            ]
        )
    }

    /// Takes items off their batch until their devices come; returns what is open in the batch, nil when nothing was
    /// changed: the lease was lost, or the job was cancelled.
    package func park(_ seqs: [Int64], of batch: ClaimedBatch) async throws(StoreError) -> Int64? {
        let rows = try await pool.run(
            Statements.parkItems, Self.key(batch) + [.integer(batch.slot), .integerArray(seqs)])
        return try rows.first?.get("open")
    }

    /// Takes the parked items of connected devices into new batches, to be offered. At most a few hundred devices.
    package func unpark(_ devices: [String]) async throws(StoreError) -> [BatchID] {
        guard !devices.isEmpty else { return [] }
        let rows = try await pool.run(
            Statements.unparkDevices,
            [.textArray(devices.map { Optional($0) }), .integer(Int64(Limits.batchItems))])
        var batches: [BatchID] = []
        for row in rows { batches.append(BatchID(job: try row.get("job"), batch: try row.get("batch"))) }
        return batches
    }

    /// A page of devices that parked items wait for, in order.
    package func waitingDevices(after device: String, limit: Int) async throws(StoreError) -> [String] {
        var devices: [String] = []
        for row in try await pool.run(Statements.listWaiting, [.text(device), .integer(Int64(limit))]) {
            devices.append(try row.get("device_id"))
        }
        return devices
    }

    /// Ends parked items of a job that is ending; returns how many, 0 when none was left.
    package func endWaiting(job: Int64, isCancelled: Bool) async throws(StoreError) -> Int64 {
        let rows = try await pool.run(
            Statements.endWaiting,
            [.integer(job), .integer(Int64(Limits.endChunkItems))] + Self.endOutcome(isCancelled: isCancelled))
        return try rows.first?.get("ended") ?? 0
    }

    /// When each living gateway was last heard of.
    package func gatewayBeats() async throws(StoreError) -> [GatewayBeatRecord] {
        var beats: [GatewayBeatRecord] = []
        for row in try await pool.run(Statements.listGateways) {
            beats.append(
                GatewayBeatRecord(
                    gateway: try row.get("gateway"), incarnation: try row.get("incarnation"), seen: try row.get("seen"))
            )
        }
        return beats
    }

    /// Declares gateways gone that have not been heard of since; returns them as `name~incarnation`.
    package func removeSilent(_ beats: [GatewayBeatRecord]) async throws(StoreError) -> Set<String> {
        try gateways(
            await pool.run(
                Statements.removeSilentGateways,
                [
                    .textArray(beats.map(\.gateway)), .textArray(beats.map(\.incarnation)),
                    .integerArray(beats.map(\.seen)),
                ]))
    }

    /// The gateways that live, as `name~incarnation`. What is not here is gone, and so is what it held.
    package func livingGateways() async throws(StoreError) -> Set<String> {
        try gateways(await pool.run(Statements.listGateways))
    }

    private func gateways(_ rows: Rows) throws(StoreError) -> Set<String> {
        var gateways: Set<String> = []
        for row in rows {
            let (name, incarnation): (String, String) = (try row.get("gateway"), try row.get("incarnation"))
            gateways.insert("\(name)~\(incarnation)")
        }
        return gateways
    }

    static func key(_ batch: ClaimedBatch) -> [Parameter] {
        [.integer(batch.id.job), .integer(Int64(batch.id.batch)), .integer(batch.fence.value)]
    }
}
