// `muster simulate`: a fleet of devices that connect over real MQTT, answer calls and keep account of what they saw.

import CommandLineKit
import Foundation
import JSON
import OperatorClient
import ServiceKit
import Simulator
import Sockets
import Synchronization

enum SimulateCommand {
    /// How often the fleet is looked at.
    private static let interval: Duration = .milliseconds(50)
    /// A source address of this machine has about so many ports towards one target.
    private static let portsOfOneAddress = 28_000

    static let spec = CommandSpec(
        name: "simulate", summary: "Simulate devices that connect over MQTT and answer calls",
        discussion: """
            Each device connects with its own token, subscribes to methods, twin results and desired properties, and reads
            its twin. Every call is counted and answered, even one that comes twice. Devices that lose their connection come
            back with growing pauses. How a device behaves depends on --seed and its number only.

            Prints a line when all devices that are meant to be online are connected and subscribed, and at the end (after
            --duration, Ctrl-C or SIGTERM) an account of what the devices saw. With --json both are one line of JSON:
            {"event":"ready","connected":…} and {"event":"report",…}; --progress adds {"event":"progress",…} about twice a
            second while something changes. --report-file gets one line for each device.

            The policy that signs the devices' tokens needs the permission DeviceConnect: the policy 'device' in
            --device-policy, or that of --connection-string. Ends with 1 when a device that was meant to be online never
            was, and with 5 when none was.
            """,
        options: SimulateOptions.all,
        examples: [
            "muster simulate --devices 1000 --mqtt localhost:8883 --tls-ca hub-ca.pem --create",
            "# answers after 10 to 80 ms, 2 % of them failing; one device in ten is offline\nmuster simulate --devices 10000 --mqtt 127.0.0.1:1883 --plain --latency 10ms..80ms --failure-rate 0.02 --offline 0.1",
            "# a method of its own, the rest unknown to the devices; for a test\nmuster simulate --devices 200 --mqtt 127.0.0.1:1883 --plain --method 'reboot=200:{\"ok\":true}' --method '*=404' --duration 60s --json --report-file seen.ndjson",
        ])

    static let run: Action = { command, context in
        let settings = try SimulateOptions.settings(command)
        try checkDescriptors(settings, command)
        let lines = try reportFile(command)
        let target = try await SimulateOptions.target(command, settings)
        if settings.count > portsOfOneAddress, !target.isThisMachine {
            context.console.note(
                "Warning: \(settings.count) devices share one address, which has too few ports for them.")
        }
        if command.flag("plain"), !target.isThisMachine {
            context.console.note("Warning: --plain sends the devices' tokens unencrypted.")
        }
        let fleet = await Fleet(settings, target: target, clock: context.clock) { problem in
            context.console.note(Printable.text(problem))
        }
        let failure = Mutex<(any Error)?>(nil)
        let signals = TerminationSignals { exit(TerminationSignals.secondSignalExitCode) }
        let start = context.clock.now
        try await signals.run {
            do {
                if command.flag("create") { try await SimulateCreate.run(settings, command, context) }
                try await simulate(fleet, command, context)
            } catch {
                // What a signal interrupted is no failure.
                if !Task.isCancelled { failure.withLock { $0 = error } }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        let connected = await fleet.counters.ready
        await fleet.stop()
        var counters = await fleet.counters
        counters.ready = connected
        let summary = await fleet.summary
        try await write(fleet, to: lines)
        let seconds = (context.clock.now - start).inSeconds
        SimulateText.report(counters, summary, seconds: seconds, command, context)
        return counters.everReady == counters.online ? .success : counters.everReady == 0 ? .unavailable : .negative
    }

    /// Until the time is over or the task is cancelled.
    private static func simulate(_ fleet: Fleet, _ command: ParsedCommand, _ context: CommandContext) async throws {
        let end = command.optionalDuration("duration").map { context.clock.now + $0 }
        var display = ProgressDisplay(context, unit: "devices")
        var news = SimulateText.News()
        var isReady = false
        let start = context.clock.now
        fleet.start()
        while true {
            let counters = await fleet.counters
            if !isReady, counters.everReady == counters.online {
                isReady = true
                display.end()
                let seconds = (context.clock.now - start).inSeconds
                SimulateText.ready(counters, seconds: seconds, command, context)
            }
            if command.flag("progress") {
                if command.flag("json") {
                    news.show(counters, context)
                } else {
                    display.update(
                        prefix: SimulateText.progress(counters), done: counters.ready, total: counters.online)
                }
            }
            if let end, context.clock.now >= end { break }
            try await context.clock.sleep(for: interval)
        }
        display.end()
    }

    private static func checkDescriptors(_ settings: FleetSettings, _ command: ParsedCommand) throws {
        DescriptorLimit.raise()
        let needed = settings.count + SimulatorLimits.reservedDescriptors
        let limit = DescriptorLimit.current
        guard limit < needed else { return }
        throw command.mistake(
            "devices",
            "needs \(needed) open files, and this process may have \(limit): raise the hard limit (ulimit -Hn), or "
                + "simulate the fleet in several processes with --first.")
    }

    /// Made at the start, so that a name that cannot be written is known before the simulation.
    private static func reportFile(_ command: ParsedCommand) throws -> FileHandle? {
        guard let path = command.optionalText("report-file") else { return nil }
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
        else {
            throw command.mistake("report-file", "cannot be written: \(path): \(String(cString: strerror(errno))).")
        }
        return file
    }

    private static func write(_ fleet: Fleet, to file: FileHandle?) async throws {
        guard let file else { return }
        try await fleet.writeLines { text in try file.write(contentsOf: Data(text.utf8)) }
        try file.close()
    }
}
