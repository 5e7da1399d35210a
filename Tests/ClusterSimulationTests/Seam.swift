// The seam to the stores: a request goes there, the store acts, an answer comes back, and on both ways anything can
// happen. What the caller is told of a failure is `none` or `unknown` as the product's stores tell it (invariant I10).

import ClusterModel
import JobModel
import LeaseStore
import ServiceKit

/// One of the two servers, as the network sees it.
final class StoreServer {
    let name: String
    /// Refuses connections until then.
    var downUntil: Int64 = 0
    /// Answers slowly until then.
    var slowUntil: Int64 = 0

    init(name: String) { self.name = name }
}

/// What becomes of one request.
private enum Fate {
    case done
    /// It never left: known not to be done.
    case refused
    /// It was lost on the way: not done, but the caller cannot know.
    case requestLost
    /// Done, and the answer is lost.
    case replyLost
    /// The caller gives up; it is done later all the same.
    case late
}

extension World {
    /// `work`: how long the store may take for it on a bad day.
    func call<T>(
        _ server: StoreServer, _ name: StaticString, from process: Process, work: Int64 = 0,
        _ execute: @escaping () -> Result<T, StoreError>, _ reply: @escaping (Result<T, StoreError>) -> Void
    ) {
        let life = process.life
        let fate = fate(of: server)
        let there = latency(to: server) + (isFaulty && random.chance(0.3) ? random.time(0...work) : 0)
        func tell(after delay: Int64, _ result: Result<T, StoreError>) {
            events.push(at: now + delay, for: process, life: life) { reply(result) }
        }
        func failure(_ code: StoreError.Code, _ effect: StoreError.Effect) -> Result<T, StoreError> {
            .failure(StoreError(code: code, effect: effect, operation: "\(name)", message: "simulated"))
        }
        func act(after delay: Int64, _ then: @escaping (Result<T, StoreError>) -> Void) {
            // Nobody's event: a request that is under way survives its sender.
            events.push(at: now + delay, for: nil, life: 0) { [unowned self] in
                let result = execute()
                note("\(process.name): \(name)")
                then(result)
            }
        }
        if fate != .done { note("\(process.name): \(name) will be \(fate)") }
        switch fate {
        case .done:
            act(after: there) { [unowned self] result in
                events.push(at: now + latency(to: server), for: process, life: life) { reply(result) }
            }
        case .refused:
            tell(after: there, failure(.unavailable, .none))
        case .requestLost:
            tell(after: random.time(.milliseconds(2) ... .seconds(4)), failure(.timeout, .unknown))
        case .replyLost:
            act(after: there) { _ in }
            tell(after: there + random.time(.milliseconds(2) ... .seconds(4)), failure(.unavailable, .unknown))
        case .late:
            let patience = random.time(.milliseconds(2) ... .seconds(4))
            tell(after: patience, failure(.timeout, .unknown))
            let delay = patience + random.time(.milliseconds(1) ... .seconds(16))
            lastLate = max(lastLate, now + delay)
            act(after: delay) { _ in }
        }
    }

    private func fate(of server: StoreServer) -> Fate {
        if server.downUntil > now { return random.chance(0.8) ? .refused : .requestLost }
        guard isFaulty, random.chance(faultRate) else { return .done }
        return random.pick([.refused, .requestLost, .replyLost, .replyLost, .late])
    }

    private func latency(to server: StoreServer) -> Int64 {
        if server.slowUntil > now { return random.time(.milliseconds(100) ... .milliseconds(1500)) }
        if isFaulty, !isGentle, random.chance(0.03) { return random.time(.milliseconds(10) ... .milliseconds(400)) }
        return random.time(100...2000)
    }

    // MARK: What the stores do

    /// One commit; the checker looks at what it left.
    func commit<T>(_ rule: (PostgresModel) -> T) -> T {
        postgres.clock = postgresClock
        let result = rule(postgres)
        checker.committed()
        return result
    }

    func look<T>(_ rule: (PostgresModel) -> T) -> T {
        postgres.clock = postgresClock
        return rule(postgres)
    }

    func run<T>(_ script: (RedisModel) -> T) -> T {
        redis.clock = redisClock
        let result = script(redis)
        serveWaiters()
        checker.looked(at: redis)
        return result
    }
}
