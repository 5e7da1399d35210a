// Counters, gauges and histograms of one process, rendered in Prometheus' text form. Names start with `muster_`.

private import Synchronization

package final class Metrics: Sendable {
    private struct Family {
        let help: String
        let kind: String
        var samples: [String: Double] = [:]
        var histograms: [String: Histogram] = [:]
    }

    private struct Histogram {
        var counts: [Int]
        var sum = 0.0
    }

    /// Upper bounds in seconds: from a fast statement to a slow takeover.
    private static let buckets: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    package func count(_ name: String, _ help: String, by amount: Int = 1, labels: [(String, String)] = []) {
        update(name, help, "counter") { $0.samples[Self.render(labels), default: 0] += Double(amount) }
    }

    package func gauge(_ name: String, _ help: String, _ value: Double, labels: [(String, String)] = []) {
        update(name, help, "gauge") { $0.samples[Self.render(labels)] = value }
    }

    package func observe(_ name: String, _ help: String, _ duration: Duration, labels: [(String, String)] = []) {
        update(name, help, "histogram") { family in
            let key = Self.render(labels)
            var histogram =
                family.histograms[key] ?? Histogram(counts: Array(repeating: 0, count: Self.buckets.count + 1))
            let seconds = duration.inSeconds
            histogram.counts[Self.buckets.firstIndex { seconds <= $0 } ?? Self.buckets.count] += 1
            histogram.sum += seconds
            family.histograms[key] = histogram
        }
    }

    /// The value of a counter or gauge; nil before its first use. For tests.
    package func value(_ name: String, labels: [(String, String)] = []) -> Double? {
        families.withLock { $0[name]?.samples[Self.render(labels)] }
    }

    /// Prometheus text format 0.0.4.
    package func render() -> String {
        families.withLock { families in
            var text = ""
            for (name, family) in families.sorted(by: { $0.key < $1.key }) {
                text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind)\n"
                for (labels, value) in family.samples.sorted(by: { $0.key < $1.key }) {
                    text += "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(Self.number(value))\n"
                }
                for (labels, histogram) in family.histograms.sorted(by: { $0.key < $1.key }) {
                    text += Self.render(histogram, name: name, labels: labels)
                }
            }
            return text
        }
    }

    private static func render(_ histogram: Histogram, name: String, labels: String) -> String {
        var text = ""
        var total = 0
        let prefix = labels.isEmpty ? "" : labels + ","
        for (index, count) in histogram.counts.enumerated() {
            total += count
            let bound = index < buckets.count ? number(buckets[index]) : "+Inf"
            text += "\(name)_bucket{\(prefix)le=\"\(bound)\"} \(total)\n"
        }
        let suffix = labels.isEmpty ? "" : "{\(labels)}"
        return text + "\(name)_sum\(suffix) \(histogram.sum)\n\(name)_count\(suffix) \(total)\n"
    }

    private static func number(_ value: Double) -> String {
        Int64(exactly: value).map(String.init) ?? "\(value)"
    }

    private func update(_ name: String, _ help: String, _ kind: String, _ body: (inout Family) -> Void) {
        families.withLock { families in
            var family = families[name] ?? Family(help: help, kind: kind)
            precondition(family.kind == kind, "metric \(name) is a \(family.kind), not a \(kind)")
            body(&family)
            families[name] = family
        }
    }

    private static func render(_ labels: [(String, String)]) -> String {
        labels.map { name, value in
            let escaped = value.map { character in
                switch character {
                case "\\": "\\\\"
                case "\"": "\\\""
                case "\n": "\\n"
                default: String(character)
                }
            }.joined()
            return "\(name)=\"\(escaped)\""
        }.joined(separator: ",")
    }
}
