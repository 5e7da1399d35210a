// A job's document as the commands read it, and as people see it.

import CommandLineKit
import JSON

struct JobView {
    let document: JSONValue

    var id: String { document["jobId"]?.stringValue ?? "-" }
    var type: String { document["type"]?.stringValue ?? "-" }
    var status: String { document["status"]?.stringValue ?? "unknown" }
    var isEnded: Bool { ["completed", "failed", "cancelled"].contains(status) }
    var reason: String? { (document["failureReason"] ?? document["statusMessage"])?.stringValue }

    func count(_ name: String) -> Int { document["deviceJobStatistics"]?[name]?.integerValue.map { Int($0) } ?? 0 }
    var devices: Int { count("deviceCount") }
    var endedDevices: Int { count("failedCount") + count("succeededCount") + count("cancelledCount") }

    /// Yes only when every device succeeded: that is what a script that waits for a rollout needs to know.
    var exitCode: ExitCode { status == "completed" && count("failedCount") == 0 ? .success : .negative }

    var text: String {
        var rows: [(String, String)] = [("Job", id), ("Type", type), ("Status", status)]
        if let reason { rows.append(("Reason", reason)) }
        if let condition = document["queryCondition"]?.stringValue { rows.append(("Condition", condition)) }
        for (title, name) in [("Created", "createdTime"), ("Start", "startTime"), ("End", "endTime")] {
            if document[name] != nil { rows.append((title, Cell.time(document[name]) + " UTC")) }
        }
        if let seconds = document["maxExecutionTimeInSeconds"]?.integerValue {
            rows.append(("Time limit", ProgressMeter.text(seconds: Double(seconds))))
        }
        for (title, name) in [("Twin patch", "updateTwin"), ("Method", "cloudToDeviceMethod")] {
            if let action = document[name] { rows.append((title, action.text)) }
        }
        rows.append(("Devices", counts))
        return rows.map { title, text in
            title.padding(to: 12) + Printable.text(text) + "\n"
        }.joined()
    }

    var counts: String {
        let names = [
            ("succeededCount", "succeeded"), ("failedCount", "failed"), ("runningCount", "running"),
            ("pendingCount", "pending"), ("cancelledCount", "cancelled"),
        ]
        let parts = names.filter { count($0.0) > 0 }.map { "\(count($0.0)) \($0.1)" }
        return parts.isEmpty ? "\(devices)" : "\(devices) (\(parts.joined(separator: ", ")))"
    }
}

extension String {
    func padding(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
