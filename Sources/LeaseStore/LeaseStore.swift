// Leases of batches and wake-ups, in Redis.
//
// Redis says who may work now; PostgreSQL is the truth. The whole content of Redis can vanish or come back old at any
// time: then batches are offered again from PostgreSQL, workers re-create the leases whose fence is still theirs, and
// nothing is lost but seconds. Lease time is Redis' clock (invariant I8). Each operation is one script in Scripts/.
//
//     ready ──take──▶ leases/holders ──release──▶ (closed, or returned and offered again)
//                          │ expires: the sweep returns the batch in PostgreSQL and offers it again

package import JobModel
package import Redis
package import ServiceKit

/// What a round trip that looks at leases also tells: which life of Redis' content answered. It changes when Redis
/// lost its content (the key is gone or new) or was restarted, perhaps with old content (another run id).
package struct RedisIncarnation: Sendable, Hashable {
    package let name: String
    package let runID: String

    package init(name: String, runID: String) {
        self.name = name
        self.runID = runID
    }
}

package struct LeaseStore: Sendable {
    private let redis: RedisClient
    private let keys: Keys

    /// `prefix` keeps several Musters, or tests, apart on one Redis. It stands in a hash tag, so that all keys live on
    /// one node of a Redis cluster and a script may touch them together.
    package init(redis: RedisClient, prefix: String = "muster") {
        self.redis = redis
        keys = Keys(prefix: prefix)
    }

    private struct Keys {
        let ready: String
        let leases: String
        let holders: String
        let turn: String
        let incarnation: String
        let wakeWorkers: String
        let wakeCoordinators: String

        init(prefix: String) {
            ready = "{\(prefix)}:ready"
            leases = "{\(prefix)}:leases"
            holders = "{\(prefix)}:holders"
            turn = "{\(prefix)}:turn"
            incarnation = "{\(prefix)}:incarnation"
            wakeWorkers = "{\(prefix)}:wake:workers"
            wakeCoordinators = "{\(prefix)}:wake:coordinators"
        }
    }

    // MARK: Offers

    /// Offers ready batches; those that are offered or leased already stay as they are. Returns how many were new.
    @discardableResult
    package func offer(_ batches: [BatchID]) async throws(StoreError) -> Int {
        guard !batches.isEmpty else { return 0 }
        let reply = try await redis.run(
            Scripts.offerBatches, keys: [keys.ready, keys.leases, keys.wakeWorkers],
            arguments: [.integer(Int64(Limits.wakeTokens)), .integer(Limits.leaseDuration.milliseconds)]
                + batches.map { .text($0.leaseMember) })
        return Int(try reply.integer(in: "offer_batches"))
    }

    /// Takes a job that is being ended out of the offers. Returns how many of its batches were offered.
    package func forget(job: Int64) async throws(StoreError) -> Int {
        let reply = try await redis.run(
            Scripts.forgetJob, keys: [keys.ready], arguments: [.text(BatchID.digits(job))])
        return Int(try reply.integer(in: "forget_job"))
    }

    // MARK: Leases

    /// Takes up to `count` batches, turning between jobs; those in `passing` only when no other job has work, those in
    /// `excluding` not at all.
    package func take(
        worker: WorkerID, count: Int, passing jobs: [Int64], excluding excluded: [Int64] = []
    ) async throws(StoreError) -> (batches: [BatchID], incarnation: RedisIncarnation) {
        let reply = try await redis.run(
            Scripts.takeBatches, keys: [keys.ready, keys.leases, keys.holders, keys.turn, keys.incarnation],
            arguments: [
                .text(worker.text), .integer(Limits.leaseDuration.milliseconds), .integer(Int64(count)),
                .integer(Int64(jobs.count)),
            ] + (jobs + excluded).map { .text(BatchID.digits($0)) })
        return try members(reply, "take_batches")
    }

    /// Renews leases; returns those that are lost.
    package func renew(
        worker: WorkerID, batches: [BatchID]
    ) async throws(StoreError) -> (lost: [BatchID], incarnation: RedisIncarnation) {
        let reply = try await redis.run(
            Scripts.renewLeases, keys: [keys.leases, keys.holders, keys.incarnation],
            arguments: [.text(worker.text), .integer(Limits.leaseDuration.milliseconds)]
                + batches.map { .text($0.leaseMember) })
        let (lost, incarnation) = try members(reply, "renew_leases")
        return (lost, incarnation)
    }

    package func release(worker: WorkerID, batches: [BatchID]) async throws(StoreError) {
        guard !batches.isEmpty else { return }
        _ = try await redis.run(
            Scripts.releaseLeases, keys: [keys.leases, keys.holders],
            arguments: [.text(worker.text)] + batches.map { .text($0.leaseMember) })
    }

    /// Re-creates leases after Redis lost them; the caller has asked PostgreSQL that the fences are still its own.
    /// Returns those that somebody else holds.
    package func recreate(worker: WorkerID, batches: [BatchID]) async throws(StoreError) -> [BatchID] {
        guard !batches.isEmpty else { return [] }
        let reply = try await redis.run(
            Scripts.recreateLeases, keys: [keys.ready, keys.leases, keys.holders],
            arguments: [.text(worker.text), .integer(Limits.leaseDuration.milliseconds)]
                + batches.map { .text($0.leaseMember) })
        return try batchIDs(try reply.elements(in: "recreate_leases"), "recreate_leases")
    }

    /// Which of these batches have no live lease.
    package func unleased(_ batches: [BatchID]) async throws(StoreError) -> [BatchID] {
        guard !batches.isEmpty else { return [] }
        let reply = try await redis.run(
            Scripts.findUnleased, keys: [keys.leases],
            arguments: [.integer(Limits.leaseDuration.milliseconds)] + batches.map { .text($0.leaseMember) })
        return try batchIDs(try reply.elements(in: "find_unleased"), "find_unleased")
    }

    /// Forgets leases that ran out a minute ago.
    package func prune() async throws(StoreError) {
        _ = try await redis.run(
            Scripts.pruneLeases, keys: [keys.leases, keys.holders],
            arguments: [.integer(60_000), .integer(Int64(Limits.sweepBatches))])
    }

    // MARK: Incarnation

    /// The incarnation in force; `candidate` becomes its name if the content has none.
    package func identify(candidate: String) async throws(StoreError) -> RedisIncarnation {
        let reply = try await redis.run(Scripts.identify, keys: [keys.incarnation], arguments: [.text(candidate)])
        guard let name = reply.text else { throw unexpected("identify") }
        return RedisIncarnation(name: name, runID: redis.serverRunID ?? "")
    }

    // MARK: Wake-ups

    package enum Sleeper: Sendable {
        case workers, coordinators
    }

    /// Wakes one sleeper. A wake-up is a hint: sleepers also look by themselves.
    package func wake(_ sleeper: Sleeper) async throws(StoreError) {
        let tokens = sleeper == .workers ? Limits.wakeTokens : Limits.wakeTokensCoordinators
        _ = try await redis.run(Scripts.wake, keys: [key(sleeper)], arguments: [.integer(Int64(tokens))])
    }

    /// Waits for a wake-up, at most `timeout`; true if there was one. Returns early when the task is cancelled.
    package func sleep(_ sleeper: Sleeper, timeout: Duration) async throws(StoreError) -> Bool {
        try await redis.blockingPop([key(sleeper)], timeout: timeout) != nil
    }

    private func key(_ sleeper: Sleeper) -> String {
        switch sleeper {
        case .workers: keys.wakeWorkers
        case .coordinators: keys.wakeCoordinators
        }
    }

    // MARK: Replies

    private func members(
        _ reply: RedisReply, _ operation: String
    ) throws(StoreError) -> ([BatchID], RedisIncarnation) {
        let elements = try reply.elements(in: operation)
        guard let name = elements.first?.text else { throw unexpected(operation) }
        let incarnation = RedisIncarnation(name: name, runID: redis.serverRunID ?? "")
        return (try batchIDs(Array(elements.dropFirst()), operation), incarnation)
    }

    private func batchIDs(_ replies: [RedisReply], _ operation: String) throws(StoreError) -> [BatchID] {
        var batches: [BatchID] = []
        for reply in replies {
            guard let text = reply.text, let batch = BatchID(text) else { throw unexpected(operation) }
            batches.append(batch)
        }
        return batches
    }
}

private func unexpected(_ operation: String) -> StoreError {
    StoreError(code: .fatal, effect: .unknown, operation: operation, message: "a reply of an unexpected form")
}

extension RedisReply {
    fileprivate func integer(in operation: String) throws(StoreError) -> Int64 {
        guard case .integer(let value) = self else { throw unexpected(operation) }
        return value
    }

    fileprivate func elements(in operation: String) throws(StoreError) -> [RedisReply] {
        guard case .array(let elements) = self else { throw unexpected(operation) }
        return elements
    }
}

extension BatchID {
    /// How a batch is called in Redis: digits of equal length, so that the order of members is the order of jobs and batches.
    package var leaseMember: String { "\(Self.digits(job)):\(Self.digits(Int64(batch), width: 10))" }

    fileprivate static func digits(_ number: Int64, width: Int = 19) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
}
