// The one place where Muster asks what time it is, waits, and draws random numbers. Everything else takes a
// `ServiceClock` and a `RandomSource` as parameters, so that a test can steer both.
//
// A monotonic `Instant` is the only time that decisions inside a process use (invariant I8); wall-clock time is for
// display, log lines and the expiry of tokens.

internal import Foundation
private import Synchronization

/// A moment on the monotonic clock of this process; only differences mean anything.
package struct Instant: Sendable, Hashable, Comparable {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
    package static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(nanoseconds: instant.nanoseconds + duration.nanoseconds)
    }
    package static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(nanoseconds: instant.nanoseconds - duration.nanoseconds)
    }
    package static func - (left: Instant, right: Instant) -> Duration {
        .nanoseconds(left.nanoseconds - right.nanoseconds)
    }
}

extension Duration {
    /// Whole nanoseconds; good for about 292 years.
    package var nanoseconds: Int64 {
        // One division of 128 bits; the components take two.
        Int64(attoseconds / 1_000_000_000)
    }
    package var milliseconds: Int64 { nanoseconds / 1_000_000 }
    package var inSeconds: Double { Double(nanoseconds) / 1e9 }
}

package protocol ServiceClock: Sendable {
    var now: Instant { get }
    /// Seconds since 1970-01-01 UTC by the host's clock.
    var unixTime: Double { get }
    /// Returns after the duration, or throws `CancellationError` as soon as the task is cancelled.
    func sleep(for duration: Duration) async throws
}

package struct SystemClock: ServiceClock {
    package init() {}

    package var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    package var unixTime: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    package func sleep(for duration: Duration) async throws {
        try await Task.sleep(for: duration)
    }
}

/// Random numbers that a seed can replay. Safe to share between tasks.
package protocol RandomSource: Sendable {
    func next() -> UInt64
}

extension RandomSource {
    /// Uniform in 0 ..< 1.
    package func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// `duration` times a factor between 1 − `spread` and 1 + `spread`: keeps polls of many processes apart.
    package func jittered(_ duration: Duration, spread: Double = 0.25) -> Duration {
        .nanoseconds(Int64(Double(duration.nanoseconds) * (1 - spread + 2 * spread * unit())))
    }
}

package struct SystemRandom: RandomSource {
    package init() {}
    package func next() -> UInt64 { UInt64.random(in: .min ... .max) }
}

/// SplitMix64: the same seed gives the same numbers on every machine.
package final class SeededRandom: RandomSource {
    private let state: Mutex<UInt64>

    package init(seed: UInt64) { state = Mutex(seed) }

    package func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
