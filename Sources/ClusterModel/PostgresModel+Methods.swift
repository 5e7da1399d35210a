// The statements of direct methods: dispatches, results, parked items; and those of gateways and sessions.

package import JobModel
package import JobStore
internal import ServiceKit

extension PostgresModel {
    package struct DispatchRow: Sendable, Hashable {
        package let batch: BatchID
        package let fence: Int64
        package let gateway: String
        package let incarnation: String
        package let seqs: [Int64]
        package let sendBefore: Int64
        package let responseMilliseconds: Int64

        var gatewayText: String { "\(gateway)~\(incarnation)" }
    }

    package struct SessionRow: Sendable, Hashable {
        package var session: Int64
        package var gateway: String
        package var isConnected: Bool
    }

    // MARK: Dispatches

    /// The gateways that may be handed their parts; nil when nothing may be sent.
    package func insertDispatches(
        _ parts: [JobStore.DispatchPart], of batch: ClaimedBatch, sendBefore: Int64, responseMilliseconds: Int64,
        timeLeft: Int64 = Limits.dispatchTimeLeft.milliseconds
    ) -> Set<String>? {
        guard let found = held(batch), isRunningUnderEpoch(found) || broken.contains(.dispatchAfterCancel),
            jobs[found.job].row.deadline > clock + timeLeft
        else { return nil }
        var living: Set<String> = []
        for part in parts {
            let row = DispatchRow(
                batch: batch.id, fence: batch.fence.value, gateway: part.gateway, incarnation: part.incarnation,
                seqs: part.seqs, sendBefore: sendBefore, responseMilliseconds: responseMilliseconds)
            guard gateways[row.gatewayText] != nil else { continue }
            living.insert(row.gatewayText)
            if !broken.contains(.dispatchUnrecorded) { dispatches.append(row) }
        }
        return living
    }

    package func listDispatches(before batch: ClaimedBatch) -> [Dispatch] {
        let earlier = dispatches.filter {
            $0.batch == batch.id && $0.fence < batch.fence.value && !$0.seqs.isEmpty
        }
        return Dictionary(grouping: earlier, by: \.gatewayText).sorted { $0.key < $1.key }.map { _, rows in
            Dispatch(
                gateway: rows[0].gateway, incarnation: rows[0].incarnation, seqs: Set(rows.flatMap(\.seqs)).sorted(),
                sendBefore: rows.map(\.sendBefore).max() ?? 0,
                responseMilliseconds: rows.map(\.responseMilliseconds).max() ?? 0,
                isGatewayAlive: gateways[rows[0].gatewayText] != nil)
        }
    }

    package func settleDispatches(of batch: ClaimedBatch) {
        guard held(batch) != nil else { return }
        dispatches.removeAll { $0.batch == batch.id }
    }

    func hasDispatches(_ batch: BatchID) -> Bool { dispatches.contains { $0.batch == batch } }

    // MARK: Items

    package func listOpenItems(of batch: ClaimedBatch) -> [OpenItem] {
        guard let found = held(batch) else { return [] }
        let row = jobs[found.job].batches[found.batch]
        let seqs = row.seqs ?? Array(row.firstSeq...row.lastSeq)
        return seqs.compactMap { seq in
            let item = jobs[found.job].items[Int(seq)]
            guard item.batch == row.batch, item.state == .pending else { return nil }
            return OpenItem(seq: seq, deviceID: item.deviceID, attempt: item.attempt)
        }
    }

    package func recordResults(_ results: [ItemResult], of batch: ClaimedBatch, shard: Int64) -> JobStore.Execution {
        guard let found = held(batch, anyFence: broken.contains(.resultsUnderAnyFence)) else { return .leaseLost }
        var (succeeded, failed): (Int64, Int64) = (0, 0)
        let writer = Writer(batch: batch.id, fence: batch.fence.value)
        for result in results {
            let item = jobs[found.job].items[Int(result.seq)]
            guard item.batch == batch.id.batch, item.state == .pending else { continue }
            jobs[found.job].items[Int(result.seq)].attempt += 1
            jobs[found.job].items[Int(result.seq)].response = result.response
            write(found.job, result.seq, result.error == nil ? .succeeded : .failed, result.error, by: writer)
            if result.error == nil { succeeded += 1 } else { failed += 1 }
        }
        count(found.job, shard: shard, succeeded: succeeded, failed: failed)
        let left = settle(found, by: succeeded + failed)
        return .recorded(succeeded: succeeded, failed: failed, open: left, changed: [])
    }

    /// What is open in the batch; nil when nothing was changed.
    package func parkItems(_ seqs: [Int64], of batch: ClaimedBatch) -> Int64? {
        guard let found = held(batch), isRunningUnderEpoch(found) else { return nil }
        var parked: Int64 = 0
        for seq in seqs {
            let item = jobs[found.job].items[Int(seq)]
            guard item.batch == batch.id.batch, item.state == .pending else { continue }
            jobs[found.job].items[Int(seq)].batch = -1
            waiting.append(WaitingRow(deviceID: item.deviceID, job: batch.id.job, seq: seq))
            changes.append(.moved(job: batch.id.job, seq: seq, to: -1))
            parked += 1
        }
        return settle(found, by: broken.contains(.parkForgetsOpen) ? 0 : parked)
    }

    package func unparkDevices(_ devices: [String], batchSize: Int) -> [BatchID] {
        var created: [BatchID] = []
        for index in jobs.indices where jobs[index].row.state == .running && !jobs[index].row.isExpired {
            let job = jobs[index].row.job
            let woken = waiting.filter { $0.job == job && devices.contains($0.deviceID) }.map(\.seq).sorted()
            waiting.removeAll { $0.job == job && woken.contains($0.seq) }
            for start in stride(from: 0, to: woken.count, by: batchSize) {
                let seqs = Array(woken[start..<min(start + batchSize, woken.count)])
                let batch = nextListBatch
                nextListBatch += 1
                jobs[index].batches.append(
                    BatchRow(
                        batch: batch, firstSeq: seqs[0], lastSeq: seqs[seqs.count - 1], seqs: seqs,
                        open: Int64(seqs.count)))
                for seq in seqs {
                    jobs[index].items[Int(seq)].batch = batch
                    changes.append(.moved(job: job, seq: seq, to: batch))
                }
                created.append(BatchID(job: job, batch: batch))
            }
        }
        return created
    }

    package func listWaiting() -> [String] { Set(waiting.map(\.deviceID)).sorted() }

    package func endWaiting(job: Int64, limit: Int, isCancelled: Bool) -> Int64 {
        guard let index = index(of: job), jobs[index].isEnding else { return 0 }
        let picked = waiting.filter { $0.job == job }.map(\.seq).sorted().prefix(limit)
        waiting.removeAll { $0.job == job && picked.contains($0.seq) }
        var ended: Int64 = 0
        for seq in picked where jobs[index].items[Int(seq)].state == .pending {
            end(index, seq, isCancelled)
            ended += 1
        }
        count(index, shard: 0, failed: isCancelled ? 0 : ended, cancelled: isCancelled ? ended : 0)
        return ended
    }

    // MARK: Gateways and sessions

    package func leaveGateways(_ gateway: String) { gateways[gateway] = nil }

    package func joinGateways(_ gateway: String) { gateways[gateway] = clock }

    /// False when others have declared this life ended.
    package func recordBeat(_ gateway: String) -> Bool {
        guard gateways[gateway] != nil else { return false }
        gateways[gateway] = clock
        return true
    }

    @discardableResult
    package func removeSilentGateways(_ beats: [GatewayBeatRecord]) -> Set<String> {
        let gone = Set(beats.filter { gateways[$0.text] == $0.seen }.map(\.text))
        for gateway in gone {
            gateways[gateway] = nil
            for (device, row) in sessions where row.gateway == gateway { sessions[device]?.isConnected = false }
        }
        return gone
    }

    package func listGateways() -> Set<String> { Set(gateways.keys) }

    /// What list_gateways tells of the time.
    package func listGatewayBeats() -> [GatewayBeatRecord] {
        gateways.sorted { $0.key < $1.key }.map { text, seen in
            let parts = text.split(separator: "~").map(String.init)
            return GatewayBeatRecord(gateway: parts[0], incarnation: parts[1], seen: seen)
        }
    }

    /// The number of the new session.
    package func openSession(of device: String, gateway: String) -> Int64 {
        let session = sessions[device].map { $0.session + 1 } ?? clock
        sessions[device] = SessionRow(session: session, gateway: gateway, isConnected: true)
        return session
    }

    package func closeSession(_ session: Int64, of device: String, gateway: String) {
        if sessions[device]?.session == session, sessions[device]?.gateway == gateway {
            sessions[device]?.isConnected = false
        }
    }

    /// Those that have a newer session elsewhere.
    package func findLostSessions(_ open: [(device: String, session: Int64)]) -> [String] {
        open.filter { sessions[$0.device]?.session != $0.session }.map(\.device)
    }
}
