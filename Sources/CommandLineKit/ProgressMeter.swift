// The text of a progress line from numbers: bar, percentage, rate over the last seconds, estimate. Pure; who shows it
// and when is the caller's business.

package struct ProgressMeter: Sendable {
    /// The rate is taken over this many seconds, so that it follows changes and does not jump.
    private static let windowSeconds = 10.0

    private let unit: String
    private var samples: [(seconds: Double, done: Int)] = []

    /// `unit` in the plural, such as `devices`.
    package init(unit: String) { self.unit = unit }

    /// Done things per second; nil until two moments with different times are known.
    package var rate: Double? {
        guard let first = samples.first, let last = samples.last, last.seconds > first.seconds else { return nil }
        return Double(last.done - first.done) / (last.seconds - first.seconds)
    }

    /// `seconds` on any clock that only goes forward.
    package mutating func record(done: Int, seconds: Double) {
        samples.append((seconds, done))
        while samples.count > 2, seconds - samples[1].seconds >= Self.windowSeconds { samples.removeFirst() }
    }

    /// `[########............]  40 %   4000 of 10000 devices   1200/s   about 5 s left`
    package func line(done: Int, total: Int?, width: Int) -> String {
        var parts: [String] = []
        if let total {
            let share = total > 0 ? min(1, Double(done) / Double(total)) : 1
            // Rounded down: 100 % means all.
            let percent = String(Int(share * 100))
            let size = max(10, min(40, width - 60))
            let filled = Int(share * Double(size))
            parts.append(
                "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: size - filled) + "]")
            parts.append(String(repeating: " ", count: 3 - percent.count) + percent + " %")
            parts.append("\(done) of \(total) \(unit)")
        } else {
            parts.append("\(done) \(unit)")
        }
        if let rate, rate > 0 {
            parts.append(rate >= 10 ? "\(Int(rate))/s" : "\((rate * 10).rounded() / 10)/s")
            if let total, total > done {
                parts.append("about \(Self.text(seconds: Double(total - done) / rate)) left")
            }
        }
        let line = parts.joined(separator: "  ")
        return line.count > width ? String(line.prefix(max(0, width))) : line
    }

    /// `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d`
    package static func text(seconds: Double) -> String {
        let whole = Int(min(seconds.rounded(.up), 8_640_000))
        return switch whole {
        case ..<60: "\(whole) s"
        case ..<3600: "\(whole / 60) min \(whole % 60) s"
        case ..<172_800: "\(whole / 3600) h \(whole / 60 % 60) min"
        default: "\(whole / 86_400) d"
        }
    }
}
