// Shows a meter on the console, often on a terminal and seldom elsewhere.

import CommandLineKit
import ServiceKit

struct ProgressDisplay {
    private let console: Console
    private let clock: any ServiceClock
    private let start: Instant
    private var meter: ProgressMeter
    private var lastShown: Instant?
    private var lastText = ""

    init(_ context: CommandContext, unit: String) {
        console = context.console
        clock = context.clock
        start = clock.now
        meter = ProgressMeter(unit: unit)
    }

    var seconds: Double { (clock.now - start).inSeconds }

    /// `prefix` stands before the bar. What is forced is shown whatever was shown just before.
    mutating func update(prefix: String = "", done: Int, total: Int?, isForced: Bool = false) {
        let now = clock.now
        meter.record(done: done, seconds: (now - start).inSeconds)
        let pause: Duration = console.isTerminal ? .milliseconds(100) : .seconds(5)
        if !isForced, let lastShown, now - lastShown < pause { return }
        let lead = prefix.isEmpty ? "" : prefix + "  "
        // One column stays free: some terminals wrap as soon as the last one is filled.
        let width = console.isTerminal ? console.width - 1 : 120
        let text = lead + meter.line(done: done, total: total, width: max(0, width - lead.count))
        if text == lastText, !console.isTerminal { return }
        (lastShown, lastText) = (now, text)
        console.progress(text)
    }

    /// A text without a bar, such as "queued"; shown when it differs from the last.
    mutating func update(text: String) {
        guard text != lastText else { return }
        (lastShown, lastText) = (clock.now, text)
        console.progress(text)
    }

    func end() { console.endProgress() }
}
