// `POST /devices`: up to a hundred changes of identities and twins in one request (wire contract 6.4).
//
// A malformed request changes nothing. Entries that the registry refuses (the id exists, no such device, another etag)
// are listed in the reply; the others are done. Each kind of change is one set-based statement or transaction.

import HTTP
import JSON
import TwinModel
import TwinStore

extension APIServer {
    func bulkDevices(_ request: HTTPRequest) async throws -> HTTPResponse {
        let entries = try BulkEntry.parse(try RequestBody.array(request, limit: APILimits.bulkBodyBytes))
        var failures: [DeviceID: APIError] = [:]
        try await create(entries, &failures)
        try await update(entries, &failures)
        try await delete(entries, &failures)
        try await updateTwins(entries, &failures)
        let errors = entries.compactMap { entry in
            failures[entry.deviceID].map { error -> JSONValue in
                [
                    "deviceId": .string(entry.deviceID.text), "errorCode": .string(error.code.name),
                    "errorStatus": .string(error.text), "moduleId": "", "operation": .string(entry.mode.rawValue),
                ]
            }
        }
        var response = HTTPResponse.json(
            status: errors.isEmpty ? 200 : 400,
            ["isSuccessful": .bool(errors.isEmpty), "errors": .array(errors), "warnings": []])
        if !errors.isEmpty { response.headers.set("iothub-errorcode", ErrorCode.bulkRegistryOperationFailure.name) }
        return response
    }

    private func create(_ entries: [BulkEntry], _ failures: inout [DeviceID: APIError]) async throws {
        let devices = entries.compactMap { entry -> NewDevice? in
            guard case .create(let definition, let tags, let desired) = entry.wish else { return nil }
            return NewDevice(
                deviceID: entry.deviceID, generationID: Self.generationID(), definition: Self.withKeys(definition),
                tags: tags, desired: desired)
        }
        guard !devices.isEmpty else { return }
        let created = try await twins.createDevices(devices)
        for device in devices where created[device.deviceID] == nil {
            failures[device.deviceID] = APIError(
                .deviceAlreadyExists, "A device with id '\(device.deviceID)' exists already.")
        }
    }

    private func update(_ entries: [BulkEntry], _ failures: inout [DeviceID: APIError]) async throws {
        let updates = entries.compactMap { entry -> DeviceUpdate? in
            guard case .update(let definition, let condition) = entry.wish else { return nil }
            return DeviceUpdate(
                deviceID: entry.deviceID, condition: condition, definition: definition, generatedKeys: Self.newKeys())
        }
        guard !updates.isEmpty else { return }
        let outcomes = try await twins.updateDevices(updates)
        await endSessions(updates.filter { $0.definition.status == .disabled }.map(\.deviceID.text))
        for update in updates {
            failures[update.deviceID] = Self.failure(outcomes[update.deviceID]?.outcome ?? .absent, update.deviceID)
        }
    }

    private func delete(_ entries: [BulkEntry], _ failures: inout [DeviceID: APIError]) async throws {
        let devices = entries.compactMap { entry -> (deviceID: DeviceID, condition: ETagCondition)? in
            guard case .delete(let condition) = entry.wish else { return nil }
            return (entry.deviceID, condition)
        }
        guard !devices.isEmpty else { return }
        let outcomes = try await twins.deleteDevices(devices)
        await endSessions(devices.filter { outcomes[$0.deviceID] == .done }.map(\.deviceID.text))
        for device in devices {
            failures[device.deviceID] = Self.failure(outcomes[device.deviceID] ?? .absent, device.deviceID)
        }
    }

    private func updateTwins(_ entries: [BulkEntry], _ failures: inout [DeviceID: APIError]) async throws {
        let changes = entries.compactMap { entry -> TwinChange? in
            guard case .updateTwin(let patch, let condition) = entry.wish else { return nil }
            return TwinChange(deviceID: entry.deviceID, patch: patch, condition: condition)
        }
        guard !changes.isEmpty else { return }
        let outcomes = try await twins.changeTwins(changes)
        await notify(changes.filter { $0.patch.desired != nil }.map(\.deviceID.text))
        for change in changes {
            switch outcomes[change.deviceID] ?? .absent {
            case .done: break
            case .absent: failures[change.deviceID] = Self.notFound(change.deviceID)
            case .mismatch: failures[change.deviceID] = Self.etagMismatch
            case .refused(let error): failures[change.deviceID] = APIError(error)
            }
        }
    }

    private static func failure(_ outcome: TwinStore.WriteOutcome, _ id: DeviceID) -> APIError? {
        switch outcome {
        case .done: nil
        case .absent: notFound(id)
        case .mismatch: etagMismatch
        }
    }
}
