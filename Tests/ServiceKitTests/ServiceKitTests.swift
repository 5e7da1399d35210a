// Goal: the foundations that everything else takes for granted. Method: tables and seeded runs.

import ServiceKit
import Testing

@Suite struct TimestampFormatterTests {
    let formatter = TimestampFormatter()

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-01-01T00:00:00Z", 1_767_225_600_000_000),
        ("2031-05-06T07:08:09.1234567Z", 1_935_817_689_123_456), ("2024-02-29T23:59:59.5+01:00", 1_709_247_599_500_000),
        ("1969-12-31T23:59:59.999999Z", -1), ("0001-01-01T00:00:00", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ])
    func reads(_ text: String, _ microseconds: Int64) {
        #expect(formatter.microseconds(text) == microseconds)
        #expect(formatter.microseconds(formatter.text(microseconds: microseconds)) == microseconds)
    }

    @Test(arguments: [
        "", "2031-05-06", "2031-05-06 07:08:09Z", "2031-13-01T00:00:00Z", "2031-02-29T00:00:00Z",
        "2031-05-06T24:00:00Z",
        "2031-05-06T07:60:09Z", "2031-05-06T07:08:09.Z", "2031-05-06T07:08:09.1234567890Z", "2031-05-06T07:08:09X",
        "2031-05-06T07:08:09+0100", "0000-01-01T00:00:00Z", "2031-05-0éT07:08:09Z", "tomorrow",
    ])
    func refuses(_ text: String) { #expect(formatter.microseconds(text) == nil) }
}

@Suite struct BackoffTests {
    @Test func growsWithinItsBounds() {
        let random = SeededRandom(seed: 1)
        var backoff = Backoff(initial: .milliseconds(50), maximum: .seconds(5))
        for attempt in 0..<200 {
            let full = min(50.0 * Double(1 << min(attempt, 20)), 5000)
            let wait = backoff.next(random)
            #expect(wait >= .milliseconds(Int(full / 2)) - .milliseconds(1))
            #expect(wait <= .milliseconds(Int(full) + 1))
        }
        backoff.reset()
        #expect(backoff.next(random) <= .milliseconds(50))
    }
}

@Suite struct MetricsTests {
    @Test func rendersPrometheusText() {
        let metrics = Metrics()
        metrics.count("muster_a_total", "A", labels: [("kind", "x\"y\\z\n")])
        metrics.count("muster_a_total", "A", by: 2, labels: [("kind", "x\"y\\z\n")])
        metrics.gauge("muster_b", "B", 1.5)
        metrics.observe("muster_c_seconds", "C", .milliseconds(3))
        let text = metrics.render()
        #expect(text.contains("# TYPE muster_a_total counter\nmuster_a_total{kind=\"x\\\"y\\\\z\\n\"} 3\n"))
        #expect(text.contains("muster_b 1.5\n"))
        #expect(text.contains("muster_c_seconds_bucket{le=\"0.0025\"} 0\nmuster_c_seconds_bucket{le=\"0.005\"} 1\n"))
        #expect(text.contains("muster_c_seconds_count 1\n"))
    }
}

@Suite struct RandomTests {
    @Test func seedsReplay() {
        let numbers = { (seed: UInt64) in
            let random = SeededRandom(seed: seed)
            return (0..<5).map { _ in random.next() }
        }
        #expect(numbers(7) == numbers(7))
        #expect(numbers(7) != numbers(8))
        let random = SeededRandom(seed: 3)
        for _ in 0..<1000 {
            let wait = random.jittered(.seconds(4))
            #expect(wait >= .seconds(3) && wait <= .seconds(5))
        }
    }
}
