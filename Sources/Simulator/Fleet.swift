// A fleet of simulated devices over all event loops of the process: start it, look at it, stop it, read its account.

package import ServiceKit
package import Sockets
private import Synchronization

package final class Fleet: Sendable {
    private let shards: [LoopBound<FleetShard>]
    private let clock: any ServiceClock

    /// Makes the devices; none connects before `start`. `tell` hears each kind of problem once, for people.
    package init(
        _ settings: FleetSettings, target: FleetTarget, loops: [EventLoop] = EventLoopGroup.shared.loops,
        clock: any ServiceClock, tell: @escaping @Sendable (String) -> Void
    ) async {
        self.clock = clock
        let told = ToldProblems()
        let tellOnce: SessionContext.ProblemTeller = { kind, text in if told.isNews(kind) { tell(text) } }
        var shards: [LoopBound<FleetShard>] = []
        for (index, loop) in loops.enumerated() {
            let numbers = stride(from: index, to: settings.count, by: loops.count).map { settings.first + $0 }
            let rate = Double(settings.rampUp) / Double(loops.count)
            shards.append(
                await loop.run { reactor in
                    LoopBound(
                        FleetShard(numbers: numbers, rate: rate, settings: settings, target: target, tell: tellOnce),
                        on: reactor)
                })
        }
        self.shards = shards
    }

    package func start() {
        for shard in shards { shard.loop.execute { shard.value(on: $0).start($0) } }
    }

    package var counters: FleetCounters {
        get async {
            var sum = FleetCounters()
            for shard in shards { sum += await shard.loop.run { shard.value(on: $0).context.counters } }
            return sum
        }
    }

    /// Disconnects all devices. Returns when they are gone or have taken too long.
    package func stop() async {
        for shard in shards { shard.loop.execute { shard.value(on: $0).stop($0) } }
        let end = clock.now + SimulatorLimits.farewellTimeout
        while await open > 0, clock.now < end {
            do {
                try await clock.sleep(for: .milliseconds(20))
            } catch {
                return
            }
        }
    }

    private var open: Int {
        get async {
            var sum = 0
            for shard in shards { sum += await shard.loop.run { shard.value(on: $0).open } }
            return sum
        }
    }

    // MARK: The account

    /// What all devices were called, by method.
    package var summary: CallSummary {
        get async {
            var summary = CallSummary()
            for shard in shards { summary += await shard.loop.run { shard.value(on: $0).summary } }
            return summary
        }
    }

    /// One line of JSON for each device, in the order of their numbers.
    package func writeLines(_ write: (String) throws -> Void) async throws {
        var start = 0
        while true {
            let range = start..<start + SimulatorLimits.linesPerChunk
            var chunks: [[String]] = []
            for shard in shards { chunks.append(await shard.loop.run { shard.value(on: $0).lines(range) }) }
            // Device i is the (i / n)th of loop i % n.
            let longest = chunks.map(\.count).max() ?? 0
            guard longest > 0 else { return }
            var text = ""
            for index in 0..<longest {
                for chunk in chunks where index < chunk.count { text += chunk[index] + "\n" }
            }
            try write(text)
            start = range.upperBound
        }
    }
}

/// Kinds of problems that one of the loops has told.
private final class ToldProblems: Sendable {
    private let kinds = Mutex<Set<String>>([])

    func isNews(_ kind: String) -> Bool { kinds.withLock { $0.insert(kind).inserted } }
}
