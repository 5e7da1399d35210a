// The model and the real store side by side: each operation is done on both, and the answers are compared.

import ClusterModel
import JSON
import JobModel
import JobStore
import ServiceKit
import SessionStore
import Testing
import TwinModel

final class ModelPair {
    static let devices = (0..<9).map { "d-000000\($0)" }
    /// What the patch makes of this twin cannot be stored.
    static let refused = devices[5]
    /// Deleted before the jobs run.
    static let missing = devices[7]
    static let patch = JobStore.BatchPatch(TwinUpdate(stored: ["tags": ["a": 1]]))
    static let gateways = ["g0", "g1"]

    let world: JobWorld
    let store: JobStore
    let model = PostgresModel()
    let random: SeededRandom
    private(set) var difference: String?
    var log: [String] = []
    /// How often each operation did something.
    private(set) var effects: [String: Int] = [:]
    /// The jobs of this sequence.
    var jobs: [Int64] = []
    /// All claims that were ever made in it: the older ones are those of zombies.
    var claims: [ClaimedBatch] = []
    var expansions: [(job: Int64, real: ExpansionState, model: PostgresModel.Expansion)] = []
    var leadership: Leadership?
    let holder = "leader"

    init(_ world: JobWorld, seed: UInt64) {
        self.world = world
        store = world.store
        random = SeededRandom(seed: seed)
        model.clock = 1_000_000_000
        for device in Self.devices { model.twins[device] = .init(isRefused: device == Self.refused) }
        model.twins[Self.missing] = nil
    }

    /// Devices, and a twin that PostgreSQL refuses to change.
    static func prepare(_ world: JobWorld) async throws {
        try await world.addDevices(devices.count) { _ in [:] }
        try await world.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'numeric_value_out_of_range'; END $$
            """)
        try await world.execute(
            """
            CREATE TRIGGER refuse BEFORE UPDATE ON twins FOR EACH ROW WHEN (NEW.device_id = '\(refused)')
            EXECUTE FUNCTION refuse()
            """)
    }

    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    func some<T>(_ values: [T]) -> [T] { values.filter { _ in below(2) == 0 } }

    // MARK: Comparing

    /// One operation on both; an error is an answer like any other.
    func compare<T: Equatable>(
        _ name: String, _ arguments: String, real: () async throws(StoreError) -> T,
        model: () throws(StoreError) -> T, isEffect: (T) -> Bool
    ) async throws -> T? {
        effects[name, default: 0] += 0
        var answers: [String] = []
        var values: [T] = []
        do {
            values.append(try await real())
            answers.append("\(values[0])")
        } catch {
            guard !error.isTransient else { throw error }
            answers.append(error.code.rawValue)
        }
        do {
            let value = try model()
            answers.append("\(value)")
            if values.count == 1, values[0] == value { values.append(value) }
        } catch {
            answers.append(error.code.rawValue)
        }
        log.append("\(name)(\(arguments)) → \(answers[0])")
        if answers[0] != answers[1], values.count < 2 {
            difference = difference ?? "\(name)(\(arguments)): real \(answers[0]), model \(answers[1])"
        }
        guard values.count == 2 else { return nil }
        if isEffect(values[0]) { effects[name, default: 0] += 1 }
        return values[0]
    }

    func compareRows() async throws {
        let real = try await ModelRows.real(world, jobs: jobs, devices: Self.devices)
        let rows = ModelRows.model(model, jobs: jobs, devices: Self.devices)
        for (left, right) in zip(real, rows) where left != right {
            difference = difference ?? "real \(left), model \(right)"
        }
        if real.count != rows.count {
            difference = difference ?? "\(real.count) real rows, \(rows.count) rows of the model"
        }
        for job in jobs {
            let findings = model.recount(model.jobs[Int(job) - 1])
            if let finding = findings.first { difference = difference ?? "the model's recount: \(finding)" }
        }
    }

    // MARK: Life of a sequence

    func join() async throws {
        let sessions = SessionStore(world.pool)
        for gateway in Self.gateways {
            try await sessions.join(.init(gateway: gateway, incarnation: "1"))
            model.joinGateways("\(gateway)~1")
        }
    }

    /// A twin job and a method job.
    func begin() async throws {
        let number = model.jobs.count
        try await world.execute("INSERT INTO twins (device_id) VALUES ('\(Self.missing)') ON CONFLICT DO NOTHING")
        (jobs, claims, expansions) = ([], [], [])
        log.append("begin")
        for (index, action) in [
            JobAction.updateTwin(["tags": ["a": 1]]), .deviceMethod(["methodName": "m", "payload": nil]),
        ].enumerated() {
            let definition = JobDefinition(
                jobID: try JobID("j\(number + index)"), action: action, queryCondition: "*", startTime: nil,
                maxExecutionTimeInSeconds: 3600)
            guard case .created(let record) = try await store.create(definition, actor: "test") else {
                throw StoreError(code: .conflict, effect: .none, operation: "create", message: "taken")
            }
            let job = model.insertJob(type: action.type, selected: Self.devices, startAt: nil, seconds: 3600)
            #expect(job == record.job)
            jobs.append(job)
            _ = try await store.assignSlot(job: job, isLarge: false)
        }
        _ = try await start()
        leadership =
            try await compare(
                "acquire_leadership", holder,
                real: { () throws(StoreError) in try await store.acquireLeadership(role: "r", holder: holder) },
                model: { () throws(StoreError) in
                    model.acquireLeadership(
                        role: "r", holder: holder, milliseconds: Limits.leadershipDuration.milliseconds)
                }, isEffect: { $0 != nil }) ?? nil
        _ = try await compare(
            "acquire_leadership", "other",
            real: { () throws(StoreError) in try await store.acquireLeadership(role: "r", holder: "other") },
            model: { () throws(StoreError) in model.acquireLeadership(role: "r", holder: "other", milliseconds: 1) },
            isEffect: { $0 != nil })
        try await world.execute("DELETE FROM twins WHERE device_id = '\(Self.missing)'")
    }

    /// Ends what is left, so that the next sequence begins with nothing.
    func end() async throws {
        for job in jobs {
            try await cancel(job)
            try await endWaiting(job, isCancelled: true)
            try await world.execute("DELETE FROM dispatches WHERE job = \(job)")
            model.dispatches.removeAll { $0.batch.job == job }
            for batch in model.listClaimedBatches() where batch.id.job == job {
                try await giveBack([(batch.id, batch.fence)])
            }
            try await endBatches(job, isCancelled: true)
            try await finish(job)
            for key in Self.devices { model.twins[key]?.patches[job] = nil }
        }
        try await world.execute("UPDATE twins SET etag = 1 WHERE device_id <> '\(Self.refused)'")
    }

    func expandAll() async throws {
        for job in jobs { for _ in 0..<3 { try await expand(job, isStale: false) } }
        for job in jobs { try await complete(job) }
    }

    /// Moves the deadlines of the sequence's jobs, relative to now.
    func setDeadlines(milliseconds: Int64) async throws {
        for job in jobs {
            try await world.execute(
                """
                UPDATE jobs SET deadline = clock_timestamp() + \(milliseconds) * interval '1 millisecond' WHERE job = \(job)
                """)
            model.jobs[Int(job) - 1].row.deadline = model.clock + milliseconds
        }
    }

    func start() async throws -> [Int64]? {
        try await compare(
            "start_jobs", "", real: { () throws(StoreError) in try await store.startDueJobs(actor: "test") },
            model: { () throws(StoreError) in
                defer { model.queueJobs() }
                return model.startJobs(limit: Limits.runningJobs)
            }, isEffect: { !$0.isEmpty })
    }
}
