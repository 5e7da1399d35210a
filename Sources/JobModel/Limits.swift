// Every limit of the job machinery with the reason for its number (invariant I9). Limits of the wire's bodies stand in
// `HTTP/HTTPLimits.swift`, of the query language in `TwinQuery`, of twin documents in `TwinModel`.

package enum Limits {
    // MARK: Requests

    /// Longest job id, from the wire contract.
    package static let jobIDLength = 64
    /// Longest query condition in characters, from the wire contract.
    package static let queryConditionLength = 8192
    /// What the Node SDK fills in when the caller gave no limit.
    package static let maxExecutionSecondsDefault: Int64 = 3600
    /// Ten years: longer than any rollout, and small enough that a deadline stays a valid timestamp.
    package static let maxExecutionSecondsMaximum: Int64 = 315_360_000
    /// Method payload in bytes, each way, from the wire contract.
    package static let methodPayloadBytes = 128 * 1024
    /// No documented limit; SDK samples stay far below, and it must fit an MQTT topic.
    package static let methodNameLength = 100
    package static let responseTimeoutSeconds: ClosedRange<Int64> = 5...300
    package static let responseTimeoutSecondsDefault: Int64 = 30
    package static let connectTimeoutSeconds: ClosedRange<Int64> = 0...300
    /// Largest page of a list or a query, from the wire contract; larger requests get this.
    package static let pageSizeMaximum = 100

    // MARK: Jobs

    /// Jobs that run at the same time; more wait in `queued`. Bounds the leader's round per second.
    package static let runningJobs = 1000
    /// `seq` is a PostgreSQL integer; a job may hold this many devices.
    package static let devicesPerJob = 2_000_000_000

    // MARK: Expansion

    /// Up to this many devices a job is expanded from one list and shares the day's partition; a larger one gets a
    /// partition of its own. A list of this size is a few hundred kilobytes.
    package static let smallJobDevices = 10_000
    /// Devices per chunk: the first is small, so that work starts at once, and they grow to this, where the cost of a
    /// commit and of finding the next device no longer shows.
    package static let chunkDevicesFirst = 1000
    package static let chunkDevicesMaximum = 50_000
    package static let chunkGrowth = 5
    /// Work items per batch: the unit that is leased. For calls the size hardly matters: µs of CPU a call of all processes
    /// together, medians of eight on a busy machine: 87 at 250, 89 at 500, 96 at 1,000, 92 at 2,000.
    package static let batchItems = 500
    /// Work items per batch of a twin job that has turned out to be large; a batch is one transaction. PostgreSQL's µs of
    /// CPU a device: 19.6 at 500, 19.2 at 1,000, 18.7 at 2,000, 18.7 at 5,000. It takes some 40 ms, which is what a
    /// small job may have to wait for.
    package static let twinBatchItems = 2000
    /// Chunks of at least this many devices are cut into `twinBatchItems`.
    package static let largeChunkDevices = 50_000
    /// A small job is cut finer, so that several workers share it and no device waits for 499 others.
    package static let batchItemsMinimum = 20
    /// Batches that a job of at most `smallJobDevices` is cut into, if its size allows.
    package static let batchesSmallJob = 8
    /// Expansions that run at the same time on the leader, so that a small job need not wait for a large one; each holds
    /// up to two of the leader's connections.
    package static let concurrentExpansions = 4
    /// Connections of the leader's loops: two for each expansion, and some for the rounds, the sweep and the election.
    package static let leaderConnections = 12

    // MARK: Leases

    /// A worker that is silent for this long loses its batches.
    package static let leaseDuration: Duration = .seconds(6)
    /// Three chances within one lease.
    package static let leaseRenewalInterval: Duration = .seconds(2)
    /// Counted from when the last successful renewal was *sent*: the worker gives up well before the sweep may act.
    package static let leaseTrust: Duration = .seconds(4)
    /// After a new or older Redis: time for workers to re-create their leases before the sweep judges.
    package static let sweepGrace: Duration = .seconds(4)
    package static let sweepInterval: Duration = .seconds(1)
    /// Batches that one sweep looks at; the rest waits for the next second.
    package static let sweepBatches = 5000
    /// Ready batches are offered again this often, in case Redis forgot them; an offer of a known batch is no-op.
    package static let reofferInterval: Duration = .seconds(5)
    /// Wake-up tokens that may wait in Redis: as many as any fleet has workers that sleep. Of the coordinators only the
    /// leader sleeps, and one more round sees all that came before it.
    package static let wakeTokens = 64
    package static let wakeTokensCoordinators = 1

    // MARK: Leadership

    /// Longer than a renewal that hits a slow commit, short enough for a takeover within 10 s.
    package static let leadershipDuration: Duration = .seconds(6)
    package static let leadershipRenewalInterval: Duration = .seconds(2)
    /// Counted from when the last successful renewal was sent.
    package static let leadershipTrust: Duration = .seconds(4)

    // MARK: Polls behind the wake-ups

    /// How long an idle worker or leader waits for a wake-up before it looks by itself; jittered.
    package static let idlePoll: Duration = .seconds(2)
    /// The same while jobs wait for calls in flight to end.
    package static let exhaustedPoll: Duration = .milliseconds(50)

    // MARK: Workers

    /// Batches that one worker works on at the same time: two connections keep a two-core PostgreSQL busy.
    package static let concurrentBatches = 2
    /// A worker that is busy tells the leader at most this often that jobs may be done: far below the second in which a
    /// small job beside a large one is to end, and few rounds of the leader.
    package static let closedInterval: Duration = .milliseconds(50)
    /// Counters are sharded by worker over this many rows a job.
    package static let counterShards = 16
    /// Times a batch is repeated after a deadlock or a serialization failure before it goes back to the queue.
    package static let batchRepeats = 5
    /// A drain waits this long for batches in work before the process ends anyway.
    package static let drainDuration: Duration = .seconds(20)
    package static let heartbeatInterval: Duration = .seconds(5)
    /// A worker that was not heard of for this long is called silent: three beats. Its leases are over much earlier.
    package static let workerSilence: Duration = .seconds(15)

    // MARK: Direct methods

    /// Calls that a job alone may have in flight in one worker. Whatever it is told, a worker has at least one batch of
    /// a job in flight, and the most is what its memory carries: about a kilobyte a call.
    package static let callsInFlight = 10_000
    package static let callsInFlightAllowed = batchItems...200_000
    /// Of all jobs of a worker together, in multiples of that. A job may hold no more than are left free, so devices that
    /// never answer cannot keep another job from starting.
    package static let callsInFlightShares = 2
    /// From the dispatch to the last moment at which a gateway may write the call. Short, so that nothing is sent later
    /// than two seconds after a cancel (invariant I7); long enough for a commit and two hops through Redis.
    package static let sendWindow: Duration = .milliseconds(1500)
    /// Nothing is dispatched with less time left to the job's deadline.
    package static let dispatchTimeLeft: Duration = .seconds(2)
    /// A call's response timeout ends this long before the job's deadline, so that nothing is in flight then.
    package static let deadlineMargin: Duration = .seconds(1)
    /// A gateway remembers an invocation for this long after its answer can no longer come.
    package static let invocationMemory: Duration = .seconds(60)
    /// After the last moment of an answer: how long a worker waits for the gateway's word before it hands the batch to
    /// the inquiry. Covers a stalled Redis round trip.
    package static let answerSlack: Duration = .seconds(3)
    /// How often a holder asks a gateway again what became of the calls of an earlier holder.
    package static let inquiryInterval: Duration = .seconds(1)
    /// Outcomes are recorded when this many wait, when the oldest has waited for `resultDelay`, or when no more can come.
    /// Each recording costs PostgreSQL 250 µs of CPU besides its items, its commit included: a job of 10,000 devices took
    /// 50 recordings with a delay of 20 ms on a busy machine, 32 with 100. The last ones of a batch do not wait.
    package static let resultsPerCommit = 500
    package static let resultDelay: Duration = .milliseconds(100)
    /// A device that its route names and its gateway does not know is looked up again this often, this many times, and
    /// then parked.
    package static let routeRetryDelay: Duration = .milliseconds(200)
    package static let routeRetries = 5
    /// A gateway that has not been heard of in PostgreSQL for this long is gone, and so is what it held.
    package static let gatewaySilence: Duration = .seconds(8)
    /// Of the time between two looks at the gateways this much counts as silence at most: PostgreSQL may have been away.
    package static let gatewayLookCredit: Duration = .seconds(2)
    /// The leader looks for silent gateways this often, and compares the parked items with the directory.
    package static let deviceSweepInterval: Duration = .seconds(5)
    /// Waiting devices that one sweep looks up; the next goes on behind them.
    package static let sweepDevices = 20_000
    /// Calls in flight to one device; what the contract recommends.
    package static let callsPerDevice = 32

    // MARK: Ending

    /// Items that one statement of cancel or deadline ends: about a tenth of a second of locks.
    package static let endChunkItems = 20_000
    /// The same in batches, each as large as one can be.
    package static let endChunkBatches = endChunkItems / twinBatchItems

    // MARK: Recovery

    /// By this much fences, terms, versions, etags and job numbers rise after a restore: more than lost commits can have
    /// used up (a fence rises at most twice a second, so this is days of them), and far from the end of any type.
    package static let recoveryJump: Int64 = 1_000_000
    /// The same for epochs, which only a cancel or an end raises: once or twice in a job's life.
    package static let recoveryEpochJump: Int64 = 1000
    /// How long heartbeats are watched before a process counts as gone: the slowest beat and a slow commit.
    package static let recoveryWatch: Duration = .milliseconds(6500)
    /// A beat of this age needs no watching: every process that lives has beaten since.
    package static let recoverySilence: Duration = .seconds(15)
    /// Items that a recovery lists; the rest is counted, and the runbook has the query for all.
    package static let recoveryListing = 10_000
    /// Items and sessions are written in one transaction, so that nobody meets half of a recovery; a million items take
    /// about half a minute.
    package static let recoveryTimeout: Duration = .seconds(3600)
}
