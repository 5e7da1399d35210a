// How long a device takes to answer: nothing, a fixed time, a uniform range, or an exponential distribution.

internal import CommandLineKit
private import Glibc

package enum Latency: Sendable, Equatable {
    case none
    case fixed(Duration)
    case uniform(ClosedRange<Duration>)
    /// With this mean. Cut at twenty times the mean, beyond which one in 500 million would lie.
    case exponential(mean: Duration)

    package static let forms = "0, 20ms, 10ms..80ms (evenly between the two), or exp:50ms (exponential with this mean)"
    /// Longer than any caller waits (300 s), so that late answers can be simulated too.
    static let maximum: Duration = .seconds(3600)
    private static let cut = 20.0

    /// Nil for what is none of `forms`.
    package init?(_ text: String) {
        if text == "0" {
            self = .none
        } else if text.hasPrefix("exp:") {
            guard let mean = Self.duration(text.dropFirst(4)), mean > .zero else { return nil }
            self = .exponential(mean: mean)
        } else if let dots = Self.split(text) {
            guard let low = Self.duration(dots.0, unitOf: dots.1), let high = Self.duration(dots.1), low <= high else {
                return nil
            }
            self = low == high ? .fixed(low) : .uniform(low...high)
        } else {
            guard let value = Self.duration(text[...]) else { return nil }
            self = value == .zero ? .none : .fixed(value)
        }
    }

    /// `unit` is uniform in 0 ..< 1.
    package func draw(_ unit: Double) -> Duration {
        switch self {
        case .none: .zero
        case .fixed(let duration): duration
        case .uniform(let range): range.lowerBound + (range.upperBound - range.lowerBound) * unit
        case .exponential(let mean): mean * min(Self.cut, -log(1 - unit))
        }
    }

    private static func split(_ text: String) -> (Substring, Substring)? {
        var index = text.startIndex
        while index < text.endIndex {
            if text[index...].hasPrefix("..") {
                return (text[..<index], text[index...].dropFirst(2))
            }
            index = text.index(after: index)
        }
        return nil
    }

    /// `10..80ms` means milliseconds for both.
    private static func duration(_ text: Substring, unitOf other: Substring? = nil) -> Duration? {
        var written = String(text)
        if let other, let last = text.last, last.isNumber { written += other.drop { $0.isNumber || $0 == "." } }
        guard let value = written == "0" ? .zero : DurationText.parse(written), value <= maximum else { return nil }
        return value
    }
}
