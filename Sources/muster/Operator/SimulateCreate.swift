// The part of `muster simulate --create` that registers the devices: bulk requests, several in flight.

import CommandLineKit
import JSON
import OperatorClient
import Simulator

enum SimulateCreate {
    /// Tags that a job's condition can select by: ten sites, and four rings as a rollout uses them.
    private static let sites = 10
    private static let rings = 4

    static func run(_ settings: FleetSettings, _ command: ParsedCommand, _ context: CommandContext) async throws {
        let further = try JSONInput.object(command, "tags") ?? JSONObject()
        let client = try ServiceOptions.client(command, context, connections: ImportLimits.requestsInFlight)
        defer { client.close() }
        var display = ProgressDisplay(context, unit: "devices registered")
        var created = 0
        var done = 0
        try await withThrowingTaskGroup(of: (count: Int, created: Int).self) { group in
            var inFlight = 0
            func take(_ outcome: (count: Int, created: Int)?) {
                guard let outcome else { return }
                inFlight -= 1
                done += outcome.count
                created += outcome.created
                if command.flag("progress") { display.update(done: done, total: settings.count) }
            }
            for start in stride(from: 0, to: settings.count, by: ImportLimits.devicesPerRequest) {
                if inFlight == ImportLimits.requestsInFlight { take(try await group.next()) }
                let numbers = start..<min(start + ImportLimits.devicesPerRequest, settings.count)
                let entries = numbers.map { entry(settings.first + $0, settings, further) }
                inFlight += 1
                group.addTask { try await send(entries, client) }
            }
            while inFlight > 0 { take(try await group.next()) }
        }
        display.end()
        context.console.note("Registered \(created) devices; \(done - created) existed.")
    }

    private static func entry(_ number: Int, _ settings: FleetSettings, _ further: JSONObject) -> JSONValue {
        var tags: JSONObject = [
            "site": .string("s\(number % sites)"), "ring": .integer(Int64(number % rings)),
        ]
        for (name, value) in further.members { tags[name] = value }
        return [
            "id": .string(settings.deviceID(number)), "importMode": "create", "status": "enabled",
            "tags": .object(tags),
        ]
    }

    /// Devices that exist already are what is wanted; any other refusal is not.
    private static func send(_ entries: [JSONValue], _ client: OperatorClient) async throws -> (
        count: Int, created: Int
    ) {
        let body = JSONValue.array(entries)
        let answer = try await client.send(
            "POST", RequestPath(["devices"]), body: body.bytes, .always, accepted: [400])
        guard answer.body["isSuccessful"] != nil else { throw OperatorError(answer.response) }
        let errors = answer.body["errors"]?.arrayValue ?? []
        for error in errors where error["errorCode"]?.stringValue != "DeviceAlreadyExists" {
            let text = error["errorStatus"]?.stringValue ?? "refused"
            throw OperatorError(.invalid, code: error["errorCode"]?.stringValue, text)
        }
        return (entries.count, entries.count - errors.count)
    }
}
