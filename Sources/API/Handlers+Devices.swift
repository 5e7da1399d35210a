// Single device identities (wire contract, section 6).

import Crypto
import HTTP
import JSON
import ServiceKit
import TwinModel
import TwinStore

extension APIServer {
    func readDevice(_ text: String) async throws -> HTTPResponse {
        let id = try deviceID(text)
        guard let device = try await twins.readDevice(id) else { throw Self.notFound(id) }
        return .json(document(device))
    }

    func listDevices(_ request: HTTPRequest) async throws -> HTTPResponse {
        var limit = TwinLimits.listDevices
        if let text = request.queryValue("top"), !text.isEmpty {
            guard let number = Int(text) else {
                throw APIError(
                    .argumentInvalid,
                    "top must be an integer from 1 to \(TwinLimits.listDevices); it is '\(text.prefix(40))'.")
            }
            // The contract counts every number outside as the maximum.
            if (1...TwinLimits.listDevices).contains(number) { limit = number }
        }
        return .json(.array(try await twins.listDevices(limit: limit).map { document($0) }))
    }

    /// Without `If-Match` it creates, with it it updates.
    func putDevice(_ text: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let id = try deviceID(text)
        let body = try RequestBody.object(request, limit: APILimits.deviceBodyBytes)
        if let own = try MemberReader(body).string("deviceId"), own != text {
            throw APIError(
                .argumentInvalid,
                "deviceId in the body is '\(own.prefix(128))', in the path it is '\(text)'; they must agree.")
        }
        let definition = try Self.definition(body)
        guard let header = request.headers.first("If-Match") else {
            let device = NewDevice(
                deviceID: id, generationID: Self.generationID(), definition: Self.withKeys(definition))
            guard let created = try await twins.createDevices([device])[id] else {
                throw APIError(.deviceAlreadyExists, "A device with id '\(id)' exists already.")
            }
            return .json(document(created))
        }
        guard definition.status != nil else {
            throw APIError(.argumentInvalid, "status is missing; an update must say enabled or disabled.")
        }
        let update = DeviceUpdate(
            deviceID: id, condition: ETagCondition(header), definition: definition, generatedKeys: Self.newKeys())
        switch try await twins.updateDevices([update])[id] {
        case (.done, let device?)?:
            if definition.status == .disabled { await endSessions([id.text]) }
            return .json(document(device))
        case (.mismatch, _)?: throw Self.etagMismatch
        case (.absent, _)?, (.done, nil)?, nil: throw Self.notFound(id)
        }
    }

    func deleteDevice(_ text: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let id = try deviceID(text)
        let condition = request.headers.first("If-Match").map { ETagCondition($0) } ?? .any
        switch try await twins.deleteDevices([(id, condition)])[id] {
        case .done?:
            await endSessions([id.text])
            return HTTPResponse(status: 204)
        case .mismatch?: throw Self.etagMismatch
        case .absent?, nil: throw Self.notFound(id)
        }
    }

    func deviceID(_ text: String) throws(APIError) -> DeviceID {
        do {
            return try DeviceID(text)
        } catch {
            throw APIError(error)
        }
    }

    static func definition(_ body: JSONObject, field: String = "") throws(APIError) -> DeviceDefinition {
        do {
            return try DeviceDefinition.parse(body, field: field) { Base64.decode($0)?.count }
        } catch {
            throw APIError(error)
        }
    }

    /// A device with symmetric keys gets those that its creator did not choose.
    static func withKeys(_ definition: DeviceDefinition) -> DeviceDefinition {
        var definition = definition
        guard (definition.authenticationType ?? .sas) == .sas else {
            definition.primaryKey = nil
            definition.secondaryKey = nil
            return definition
        }
        let keys = newKeys()
        definition.primaryKey = definition.primaryKey ?? keys.primary
        definition.secondaryKey = definition.secondaryKey ?? keys.secondary
        return definition
    }

    static func newKeys() -> (primary: String, secondary: String) {
        (Base64.encode(SecureRandom.bytes(32)), Base64.encode(SecureRandom.bytes(32)))
    }

    /// Eighteen random digits: unlike any earlier life of the same id.
    static func generationID() -> String {
        let number = SecureRandom.bytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return String(100_000_000_000_000_000 + number % 900_000_000_000_000_000)
    }

    static func notFound(_ id: DeviceID) -> APIError { APIError(.deviceNotFound, id.text) }

    static let etagMismatch = APIError(.preconditionFailed, "The etag in If-Match is not the current one.")

    private func document(_ device: DeviceRecord) -> JSONValue {
        .object(device.document { TimestampFormatter().text(microseconds: $0) })
    }
}
