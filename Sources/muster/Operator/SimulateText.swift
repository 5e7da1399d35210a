// What `muster simulate` prints.

import CommandLineKit
import JSON
import ServiceKit
import Simulator

enum SimulateText {
    static func ready(
        _ counters: FleetCounters, seconds: Double, _ command: ParsedCommand, _ context: CommandContext
    ) {
        if command.flag("json") {
            let event: JSONValue = [
                "event": "ready", "connected": .integer(Int64(counters.everReady)), "seconds": rounded(seconds),
            ]
            return context.console.line(event.text)
        }
        let offline = counters.devices - counters.online
        context.console.line(
            "Ready: \(counters.everReady) devices connected in \((seconds * 10).rounded() / 10) s"
                + (offline > 0 ? "; \(offline) stay offline." : "."))
    }

    static func progress(_ counters: FleetCounters) -> String {
        "\(counters.calls) calls, \(counters.answers) answers"
    }

    /// Progress for programs: a line when something has changed, not too often.
    struct News {
        private static let interval: Duration = .milliseconds(500)

        private var last: FleetCounters?
        private var shownAt: Instant?

        mutating func show(_ counters: FleetCounters, _ context: CommandContext) {
            let now = context.clock.now
            guard counters != last, shownAt.map({ now - $0 >= Self.interval }) ?? true else { return }
            (last, shownAt) = (counters, now)
            let event: JSONValue = [
                "event": "progress", "connected": .integer(Int64(counters.ready)),
                "calls": .integer(Int64(counters.calls)), "answers": .integer(Int64(counters.answers)),
                "notifications": .integer(Int64(counters.notifications)),
            ]
            context.console.line(event.text)
        }
    }

    static func report(
        _ counters: FleetCounters, _ summary: CallSummary, seconds: Double, _ command: ParsedCommand,
        _ context: CommandContext
    ) {
        if command.flag("json") {
            var event: JSONObject = ["event": "report", "seconds": rounded(seconds)]
            for (name, value) in counters.document(summary).members { event[name] = value }
            return context.console.line(JSONValue.object(event).text)
        }
        for (label, text) in lines(counters, summary) {
            let name = label + ":" + String(repeating: " ", count: max(0, 12 - label.count))
            context.console.line(name + " " + Printable.text(text))
        }
    }

    private static func lines(_ counters: FleetCounters, _ summary: CallSummary) -> [(String, String)] {
        var refused = counters.refusals.sorted { $0.key < $1.key }.map { "\($0.value) refused with CONNACK \($0.key)" }
        if counters.refusedSubscriptions > 0 {
            refused.append("\(counters.refusedSubscriptions) subscriptions refused")
        }
        var lines: [(String, String)] = [
            (
                "Devices",
                "\(counters.devices), \(counters.online) meant to be online, \(counters.everReady) were, \(counters.ready) at the end"
            ),
            (
                "Connections",
                (["\(counters.connects) accepted", "\(counters.losses) lost", "\(counters.failedConnects) failed"]
                    + refused)
                    .joined(separator: ", ")
            ),
            (
                "Calls",
                "\(counters.calls) received, \(counters.answers) answered (\(counters.simulatedFailures) with the simulated 500)"
                    + ", \(counters.unanswered) never"
            ),
            (
                "Called",
                "\(summary.devicesOnce) devices once, \(summary.devicesRepeatedly) more than once, "
                    + "\(summary.devicesNever) not at all; \(summary.repeatedRIDs) calls came twice with the same rid"
            ),
        ]
        for (name, method) in summary.methods.sorted(by: { $0.key < $1.key }) {
            lines.append(
                (
                    "  \(name)",
                    "\(method.received) received; \(method.devicesOnce) devices once, \(method.devicesRepeatedly) more than once"
                ))
        }
        let highest = counters.highestVersion.map { ", highest version \($0)" } ?? ""
        lines.append(
            (
                "Desired",
                "\(counters.notifications) notifications\(highest), \(counters.staleNotifications) stale, \(counters.gaps) gaps; "
                    + "\(counters.twinReads) twin reads, \(counters.failedTwinReads) failed"
            ))
        if counters.reports > 0 {
            lines.append(
                (
                    "Reported",
                    "\(counters.reports) sent, \(counters.acceptedReports) accepted, \(counters.refusedReports) refused"
                ))
        }
        return lines
    }

    private static func rounded(_ seconds: Double) -> JSONValue { .number((seconds * 1000).rounded() / 1000) }
}
