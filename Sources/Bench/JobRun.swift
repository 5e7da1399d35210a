// Puts a job through the HTTP API and waits for what is to be timed. The times are PostgreSQL's, from the job's own row.

internal import JSON
internal import OperatorClient
internal import Postgres
internal import ServiceKit

struct JobTimes: Sendable {
    let state: String
    let devices: Int
    let succeeded: Int
    let failed: Int
    /// Seconds from the job's creation; nil while it has not come.
    let expanded: Double?
    let ended: Double?

    fileprivate init(_ row: Row) throws(StoreError) {
        state = try row.get("state")
        devices = try row.get("devices")
        succeeded = try row.get("succeeded")
        failed = try row.get("failed")
        expanded = try row.get("expanded")
        ended = try row.get("ended")
    }
}

extension BenchCluster {
    /// Seldom enough to cost nothing: the times do not depend on it.
    private static let pollInterval: Duration = .milliseconds(200)
    private static let jobPatience: Duration = .seconds(3600)

    func put(_ id: String, _ body: JSONObject) async throws {
        var body = body
        body["jobId"] = .string(id)
        _ = try await client.createJob(id, .object(body))
    }

    func times(_ id: String) async throws -> JobTimes? {
        try await pool.run(Statements.readJobTimes, [.text(id)]).first.map { try JobTimes($0) }
    }

    func cancel(_ id: String) async throws { _ = try await client.cancelJob(id) }

    /// PostgreSQL's clock, in seconds since 1970.
    var serverTime: Double {
        get async throws {
            guard let row = try await pool.run(Statements.readClock).first else {
                throw BenchError.jobFailed("PostgreSQL does not tell the time.")
            }
            return try row.get("now")
        }
    }

    func callsInFlight(_ id: String) async throws -> Int64 {
        try await pool.run(Statements.readCallsInFlight, [.text(id)]).first?.get("calls") ?? 0
    }

    /// Of the dispatches that are not settled; in seconds since 1970.
    func lastDispatch(_ id: String) async throws -> Double? {
        try await pool.run(Statements.readLastDispatch, [.text(id)]).first?.get("last")
    }

    /// From the first creation to the last end.
    func seconds(_ ids: [String]) async throws -> Double? {
        try await pool.run(Statements.readJobsSeconds, [.textArray(ids.map { Optional($0) })]).first?.get("seconds")
    }

    /// Polls until `condition` holds.
    func wait(for id: String, _ label: String, until condition: (JobTimes) -> Bool) async throws -> JobTimes {
        let deadline = context.clock.now + Self.jobPatience
        while context.clock.now < deadline {
            if let times = try await times(id) {
                if condition(times) { return times }
                guard times.ended == nil else {
                    throw BenchError.jobFailed("Job \(id) ended as \(times.state) after \(times.succeeded) devices.")
                }
                context.progress("\(label): \(times.devices) devices, \(times.succeeded + times.failed) done")
            }
            try await context.clock.sleep(for: Self.pollInterval)
        }
        throw BenchError.jobFailed("Job \(id) did not come to its end within \(Self.jobPatience).")
    }
}
