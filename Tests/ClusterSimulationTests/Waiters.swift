// Blocking commands of Redis: BLPOP on wake-up tokens and BLMPOP on inboxes. A waiter is served by whatever script brings
// what it waits for.

import ClusterModel
import LeaseStore
import RouteStore
import ServiceKit

/// A process that waits.
struct Waiter {
    enum Want {
        case token(LeaseStore.Sleeper, (Result<Bool, StoreError>) -> Void)
        case messages(String, (Result<[RedisModel.InboxMessage], StoreError>) -> Void)
    }

    let number: Int
    let process: Process
    let life: Int
    let want: Want
}

extension World {
    /// BLPOP on a list of wake-up tokens.
    func sleep(
        _ sleeper: LeaseStore.Sleeper, of process: Process, timeout: Int64,
        _ reply: @escaping (Result<Bool, StoreError>) -> Void
    ) {
        call(redisServer, "blpop", from: process, { .success(self.run { $0.takeToken(sleeper) }) }) { result in
            guard case .success(false) = result else { return reply(result) }
            self.wait(process, .token(sleeper, reply), timeout) { reply(.success(false)) }
        }
    }

    /// BLMPOP on an inbox.
    func receive(
        _ owner: String, of process: Process, timeout: Int64,
        _ reply: @escaping (Result<[RedisModel.InboxMessage], StoreError>) -> Void
    ) {
        call(redisServer, "blmpop", from: process, { .success(self.run { $0.receive(owner) }) }) { result in
            guard case .success(let messages) = result, messages.isEmpty else { return reply(result) }
            self.wait(process, .messages(owner, reply), timeout) { reply(.success([])) }
        }
    }

    private func wait(_ process: Process, _ want: Waiter.Want, _ timeout: Int64, _ timedOut: @escaping () -> Void) {
        waiterNumber += 1
        let number = waiterNumber
        waiters.append(Waiter(number: number, process: process, life: process.life, want: want))
        process.after(timeout) {
            guard let index = self.waiters.firstIndex(where: { $0.number == number }) else { return }
            self.waiters.remove(at: index)
            timedOut()
        }
        serveWaiters()
    }

    /// Hands out what is there.
    func serveWaiters() {
        var index = 0
        while index < waiters.count {
            let waiter = waiters[index]
            // The connection of a process that died is closed.
            guard waiter.process.isAlive, waiter.process.life == waiter.life else {
                waiters.remove(at: index)
                continue
            }
            guard let answer = answer(waiter.want) else {
                index += 1
                continue
            }
            waiters.remove(at: index)
            events.push(at: now + random.time(100...2000), for: waiter.process, life: waiter.life, answer)
        }
    }

    /// Nil when it has to wait on.
    private func answer(_ want: Waiter.Want) -> (() -> Void)? {
        switch want {
        case .token(let sleeper, let reply):
            guard redis.takeToken(sleeper) else { return nil }
            return { reply(.success(true)) }
        case .messages(let owner, let reply):
            let messages = redis.receive(owner)
            // What was taken for a reader whose connection breaks is lost.
            let isLost = isFaulty && !messages.isEmpty && random.chance(faultRate / 2)
            let lost = StoreError(code: .unavailable, effect: .unknown, operation: "blmpop", message: "simulated")
            return messages.isEmpty ? nil : { reply(isLost ? .failure(lost) : .success(messages)) }
        }
    }
}
