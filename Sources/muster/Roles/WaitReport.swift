// What a job that has not ended waits for, in words and as JSON, for `muster verify JOB`.

import CommandLineKit
import JSON
import JobModel
import JobStore
import LeaseStore
import ServiceKit

struct WaitReport: Sendable {
    private let job: JobExplanation
    /// Claimed batches without a lease; nil when Redis does not answer.
    private let unleased: Set<BatchID>?

    init(_ job: JobExplanation, leases: LeaseStore) async {
        self.job = job
        let claimed = job.waits.filter { $0.worker != nil }.flatMap(\.batches)
        var unleased: Set<BatchID>?
        do {
            unleased = Set(try await leases.unleased(claimed))
        } catch {
            // Said in the text: a Redis that cannot be reached is itself what everything waits for.
        }
        self.unleased = unleased
    }

    private var reasons: [(kind: String, wait: ItemWait?, text: String)] {
        var reasons: [(String, ItemWait?, String)] = stateTexts.map { ("job", nil, $0) }
        reasons += absences.map { ("absent", nil, $0) }
        for wait in job.waits { reasons.append((wait.kind.rawValue, wait, text(wait))) }
        return reasons
    }

    var lines: [String] { reasons.map { Printable.text($0.text) } }

    var document: [JSONValue] {
        reasons.map { kind, wait, text in
            var object: JSONObject = ["reason": .string(kind), "text": .string(text)]
            guard let wait else { return .object(object) }
            object["items"] = .integer(wait.items)
            object["exampleDeviceId"] = .string(wait.device)
            if let worker = wait.worker { object["worker"] = .string(worker) }
            if let gateway = wait.gateway { object["gateway"] = .string(gateway) }
            if let since = wait.since { object["since"] = .string(Self.time(since)) }
            if let until = wait.until { object["until"] = .string(Self.time(until)) }
            return .object(object)
        }
    }

    // MARK: The job

    private var stateTexts: [String] {
        let leader = job.leader ?? "nobody"
        switch job.state {
        case .scheduled where !job.isDue: return ["the job waits for its start time, \(Self.time(job.startTime))"]
        case .queued where job.runningJobs >= Int64(Limits.runningJobs):
            return ["the job is due and waits for one of \(job.runningJobs) running jobs to end"]
        case .scheduled, .queued: return ["the job is due and waits to be started by the leader, \(leader)"]
        case .cancelling: return ["the job was cancelled; its open items are ended by the leader, \(leader)"]
        case .running where job.isExpired:
            return ["the deadline has struck; open items are ended by the leader, \(leader)"]
        case .running where !job.isExpanded:
            let so = job.lastDevice.map { "\(job.devices) so far, the last is \($0)" } ?? "none so far"
            return ["the devices are being selected by the leader, \(leader): \(so)"]
        case .running where job.waits.isEmpty:
            return ["every item has an outcome; the job waits to be ended by the leader, \(leader)"]
        case .running, .completed, .failed, .cancelled: return []
        }
    }

    /// Who is missing, if anybody is.
    private var absences: [String] {
        var texts: [String] = []
        if job.leader == nil { texts.append("no coordinator leads: nothing starts, expands, is swept or ends") }
        if job.workers == 0 { texts.append("no worker lives") }
        if job.type == .deviceMethod, job.gateways == 0 { texts.append("no gateway lives") }
        if unleased == nil { texts.append("Redis does not answer: nothing can be leased, and leases are not known") }
        return texts
    }

    // MARK: Items

    private func text(_ wait: ItemWait) -> String {
        let (items, example) = (Self.count(wait.items), "such as \(wait.device)")
        switch wait.kind {
        case .parked:
            let device =
                switch (wait.isAlive, wait.since) {
                case (true?, let time?): "which has been connected since \(Self.time(time)): the sweep finds it"
                case (false?, let time?): "which has not been connected since \(Self.time(time))"
                default: "which has never been connected"
                }
            return
                "\(items) until \(wait.items == 1 ? "its device connects" : "their devices connect"), \(example), \(device)"
        case .ready:
            return "\(items) for a worker to lease \(Self.batches(wait)), \(example)"
        case .claimed:
            return "\(items) for worker \(worker(wait)), which claimed \(Self.batches(wait))\(since(wait)), \(example)"
        case .dispatched:
            let gateway = "\(wait.gateway ?? "unknown") (\(wait.isAlive == true ? "alive" : "gone"))"
            let until = wait.until.map { ", at the latest \(Self.time($0))" } ?? ""
            if wait.worker == nil {
                return "\(items) for a worker to ask gateway \(gateway) what became of the calls, \(example)"
            }
            let what = wait.isAlive == true ? "the answer from" : "the word that nobody knows, after"
            return "\(items) for \(what) gateway \(gateway)\(until), held by worker \(worker(wait)), \(example)"
        }
    }

    /// Its name, whether it lives, and whether its leases do.
    private func worker(_ wait: ItemWait) -> String {
        let heard = wait.workerSeen.map { "last heard of \(Self.time($0))" } ?? "gone"
        let lost = unleased.map { wait.batches.filter($0.contains).count }
        let lease =
            switch lost {
            case nil: "lease not known"
            case 0?: "lease alive"
            case wait.batches.count?: "lease expired: the sweep gives its work to others"
            case let some?: "\(some) of \(wait.batches.count) leases expired: the sweep gives that work to others"
            }
        return "\(wait.worker ?? "") (\(heard); \(lease))"
    }

    private func since(_ wait: ItemWait) -> String { wait.since.map { " at \(Self.time($0))" } ?? "" }

    private static func count(_ items: Int64) -> String { items == 1 ? "1 item waits" : "\(items) items wait" }

    private static func batches(_ wait: ItemWait) -> String {
        wait.batches.count == 1 ? "its batch" : "\(wait.batches.count) batches"
    }

    private static func time(_ microseconds: Int64) -> String {
        TimestampFormatter().text(microseconds: microseconds)
    }
}
