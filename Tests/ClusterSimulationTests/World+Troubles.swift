// What a seed lets happen to its world: jobs that are created and cancelled, and the faults of the safety phase.

import ClusterModel
import JobModel
import LeaseStore
import ServiceKit

extension World {
    /// Twins, jobs and faults.
    func prepare() {
        let ids = (0..<(6 + random.below(7))).map { "d\($0 < 10 ? "0" : "")\($0)" }
        for device in ids where !random.chance(0.05) {
            postgres.twins[device] = PostgresModel.TwinRow(isRefused: random.chance(0.1))
        }
        let hasAbsent = random.chance(0.3)
        devices = ids.map {
            SimulatedDevice(
                self, id: $0, isAbsent: hasAbsent && random.chance(0.3), isSilent: random.chance(0.1))
        }
        for device in devices where random.chance(0.8) {
            events.push(at: random.time(0 ... .seconds(3)), for: nil, life: 0) { device.connect() }
        }
        for _ in 0..<2 {
            let selected = ids.filter { _ in random.chance(0.9) }
            workPrepared += 1
            let type: JobType = random.chance(0.5) ? .updateTwin : .deviceMethod
            // Some devices never come; then a method job needs a deadline.
            let isShort = hasAbsent && type == .deviceMethod || random.chance(0.2)
            let seconds: Int64 = isShort ? random.time(3...25) : 3600
            let startsLater = random.chance(0.2)
            events.push(at: random.time(0 ... .seconds(4)), for: nil, life: 0) { [unowned self] in
                workPrepared -= 1
                create(type, selected, seconds, startsLater: startsLater)
            }
        }
        var at = random.time(.milliseconds(500) ... .seconds(3))
        while at < faultsEnd {
            events.push(at: at, for: nil, life: 0) { [unowned self] in trouble() }
            at += random.time(.milliseconds(200) ... .seconds(4))
        }
    }

    private func create(_ type: JobType, _ selected: [String], _ seconds: Int64, startsLater: Bool) {
        let job = commit {
            $0.insertJob(
                type: type, selected: selected, startAt: startsLater ? postgresClock + 2000 : nil,
                seconds: seconds)
        }
        note("\(type) job \(job) is created with \(selected.count) devices, \(seconds) s")
        run { $0.wake(.coordinators) }
        if random.chance(0.3) {
            events.push(at: now + random.time(0 ... .seconds(6)), for: nil, life: 0) { [unowned self] in
                let state = commit { $0.cancelJob(job) }
                note("job \(job) is cancelled: \(state.map { "\($0)" } ?? "not allowed")")
                run { $0.wake(.coordinators) }
            }
        }
    }

    // MARK: Faults

    private func trouble() {
        guard isFaulty else { return }
        if isGentle || random.chance(0.15) { return ask() }
        switch random.below(20) {
        case 12, 13: kill(random.pick(gateways))
        case 14: stop(random.pick(gateways))
        case 15, 16, 17, 18: random.pick(devices).leave(isNoticed: random.chance(0.5))
        case 19: random.pick(devices).connect()
        case 0, 1, 2: kill(random.pick(workers))
        case 3, 4: stop(random.pick(workers))
        case 5: kill(random.pick(coordinators))
        case 6: stop(random.pick(coordinators))
        case 7:
            note("PostgreSQL is down")
            postgresServer.downUntil = now + random.time(.milliseconds(200) ... .seconds(5))
        case 8:
            note("Redis is down")
            redisServer.downUntil = now + random.time(.milliseconds(200) ... .seconds(8))
        case 9:
            random.pick([postgresServer, redisServer]).slowUntil = now + random.time(.seconds(1) ... .seconds(6))
        case 10: loseContent()
        default: jump()
        }
    }

    /// What happens on a good day.
    private func ask() {
        switch random.below(8) {
        case 0, 1: random.pick(workers).drain()
        case 2: random.pick(coordinators).drain()
        case 3, 4: random.pick(gateways).drain()
        default: random.pick(devices).leave(isNoticed: true)
        }
    }

    func kill(_ process: Process) {
        guard process.isAlive else { return }
        process.crash()
        restart(process)
    }

    /// Longer than a lease, more often than not.
    func stop(_ process: Process) {
        let duration = random.time(.seconds(1) ... .seconds(14))
        note("\(process.name) is stopped for \(duration / 1000) ms")
        process.stop(until: now + duration)
    }

    /// A restart with nothing, a flush, or a restart with an old dump.
    private func loseContent() {
        switch random.below(4) {
        case 0:
            note("Redis is flushed")
            redis.content = .init()
        case 1:
            note("Redis is restarted empty")
            redis.content = .init()
            redis.runID = "run\(random.below(1 << 30))"
        case 2:
            note("Redis writes a dump")
            dump = redis.content
        default:
            note("Redis is restarted with \(dump == nil ? "nothing" : "an old dump")")
            redis.content = dump ?? .init()
            redis.content.wakeTokens = [:]
            redis.runID = "run\(random.below(1 << 30))"
        }
    }

    private func jump() {
        let jump = random.time(-60_000...60_000)
        note("Redis' clock jumps by \(jump) ms")
        redisJump += jump
        if jump < 0 { hasJumpedBack = true }
    }
}
