// Imports devices in bulk requests, several in flight on kept-alive connections.
//
// A record that is refused never stops the others: the service's reply names devices it refused one by one, and when it
// refuses a whole request because of one malformed entry, that entry is taken out and the rest sent again. What stops
// the import is an error that the next request would meet too: no permission, no service.

import JSON

package struct DeviceImport: Sendable {
    package enum Mode: String, Sendable, CaseIterable {
        case create
        case delete
        case update
        case updateTwin
    }

    package struct Summary: Sendable {
        package var imported = 0
        package var failed = 0
        /// Why the import ended before its input did.
        package var stopped: OperatorError?
        package var handled: Int { imported + failed }
    }

    package enum Event: Sendable {
        case failure(ImportFailure)
        case progress(Summary)
    }

    struct Batch: Sendable {
        var records: [DeviceRecord] = []
        var bytes = 0

        func hasRoom(for size: Int) -> Bool {
            records.isEmpty
                || (records.count < ImportLimits.devicesPerRequest && bytes + size <= ImportLimits.bytesPerRequest)
        }
    }

    struct BatchOutcome: Sendable {
        var imported = 0
        var failures: [ImportFailure] = []
        var stopped: OperatorError?
    }

    private let client: OperatorClient
    /// For records that do not name their own.
    private let mode: Mode

    package init(client: OperatorClient, mode: Mode) {
        self.client = client
        self.mode = mode
    }

    /// Reads `file` to its end. Throws only when the input itself cannot be read; devices sent until then stay.
    package func run(_ file: ImportFile, _ report: (Event) -> Void) async throws -> Summary {
        var summary = Summary()
        func take(_ outcome: BatchOutcome) {
            summary.imported += outcome.imported
            summary.failed += outcome.failures.count
            if summary.stopped == nil { summary.stopped = outcome.stopped }
            for failure in outcome.failures { report(.failure(failure)) }
            report(.progress(summary))
        }
        try await withThrowingTaskGroup(of: BatchOutcome.self) { group in
            var batch = Batch()
            var inFlight = 0
            func send() async throws {
                if inFlight == ImportLimits.requestsInFlight, let outcome = try await group.next() {
                    inFlight -= 1
                    take(outcome)
                }
                let full = batch
                batch = Batch()
                inFlight += 1
                group.addTask { await self.send(full) }
            }
            while summary.stopped == nil, let items = try await file.next() {
                for item in items where summary.stopped == nil {
                    switch item {
                    case .failure(let failure):
                        take(BatchOutcome(failures: [failure]))
                    case .record(var record):
                        if record.entry["importMode"] == nil { record.entry["importMode"] = .string(mode.rawValue) }
                        let size = JSONValue.object(record.entry).bytes.count + 1
                        if !batch.hasRoom(for: size) { try await send() }
                        batch.records.append(record)
                        batch.bytes += size
                    }
                }
            }
            if summary.stopped == nil, !batch.records.isEmpty { try await send() }
            for try await outcome in group { take(outcome) }
        }
        return summary
    }

    private func send(_ batch: Batch) async -> BatchOutcome {
        var outcome = BatchOutcome()
        var rest = batch.records
        while !rest.isEmpty {
            let body = JSONValue.array(rest.map { .object($0.entry) })
            do {
                let answer = try await client.send(
                    "POST", RequestPath(["devices"]), body: body.bytes, .always, accepted: [400])
                if answer.body["isSuccessful"] != nil {
                    let failures = Self.failures(answer, rest)
                    outcome.failures += failures
                    outcome.imported += rest.count - failures.count
                    return outcome
                }
                let error = OperatorError(answer.response)
                guard let index = Self.index(error.message), index < rest.count else {
                    outcome.failures += rest.map { Self.failure($0, error) }
                    return outcome
                }
                outcome.failures.append(Self.failure(rest.remove(at: index), error))
            } catch let error as OperatorError where error.kind == .invalid {
                outcome.failures += rest.map { Self.failure($0, error) }
                return outcome
            } catch let error as OperatorError {
                outcome.stopped = error
                return outcome
            } catch {
                outcome.stopped = OperatorError(.unavailable, "interrupted: \(error)", mayHaveBeenProcessed: true)
                return outcome
            }
        }
        return outcome
    }

    private static func failure(_ record: DeviceRecord, _ error: OperatorError) -> ImportFailure {
        ImportFailure(line: record.line, deviceID: record.deviceID, code: error.code, withoutIndex(error.message))
    }

    /// What the service refused of a request whose other entries it carried out.
    static func failures(_ answer: Answer, _ records: [DeviceRecord]) -> [ImportFailure] {
        var byID: [String: DeviceRecord] = [:]
        for record in records { byID[record.deviceID] = record }
        return (answer.body["errors"]?.arrayValue ?? []).compactMap { error in
            guard let id = error["deviceId"]?.stringValue, let record = byID.removeValue(forKey: id) else { return nil }
            let code = error["errorCode"]?.stringValue
            var text = error["errorStatus"]?.stringValue ?? code ?? "refused"
            if answer.attempt > 1, code == "DeviceAlreadyExists" {
                text += " The request was repeated after a lost answer, so this import may have created it."
            }
            return ImportFailure(line: record.line, deviceID: id, code: code, text)
        }
    }

    /// N of a message that begins `devices[N].`, which is how the service names the malformed entry.
    static func index(_ message: String) -> Int? {
        guard message.hasPrefix("devices["), let end = message.firstIndex(of: "]") else { return nil }
        return Int(message[..<end].dropFirst("devices[".count)).flatMap { $0 >= 0 ? $0 : nil }
    }

    /// The line says which entry it is; the position in a request that nobody sees would only confuse.
    static func withoutIndex(_ message: String) -> String {
        guard index(message) != nil, let end = message.firstIndex(of: "]") else { return message }
        return String(message[end...].dropFirst().drop { $0 == "." || $0 == " " })
    }
}
