// Single twins (wire contract, section 4).

import HTTP
import JSON
import ServiceKit
import TwinModel
import TwinStore

extension APIServer {
    func readTwin(_ text: String) async throws -> HTTPResponse {
        try await twinResponse(deviceID(text))
    }

    func patchTwin(_ text: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let id = try deviceID(text)
        let body = try RequestBody.object(request, limit: APILimits.twinBodyBytes)
        let patch: TwinPatch
        do {
            patch = try TwinPatch.parse(twinPatch: .object(body))
        } catch {
            throw APIError(error)
        }
        switch try await twins.changeTwins([
            TwinChange(deviceID: id, patch: patch, condition: Self.condition(request))
        ])[id] {
        case .done?:
            if patch.desired != nil { await notify([id.text]) }
            return try await twinResponse(id)
        case .mismatch?: throw Self.etagMismatch
        case .refused(let error)?: throw APIError(error)
        case .absent?, nil: throw Self.notFound(id)
        }
    }

    func replaceTwin(_ text: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let id = try deviceID(text)
        let body = try RequestBody.object(request, limit: APILimits.twinBodyBytes)
        let (tags, desired): (JSONObject, JSONObject)
        do {
            (tags, desired) = try TwinPatch.parse(twinReplacement: .object(body))
        } catch {
            throw APIError(error)
        }
        switch try await twins.replaceTwin(id, tags: tags, desired: desired, condition: Self.condition(request)) {
        case .done:
            await notify([id.text])
            return try await twinResponse(id)
        case .mismatch: throw Self.etagMismatch
        case .absent: throw Self.notFound(id)
        }
    }

    private static func condition(_ request: HTTPRequest) -> ETagCondition {
        request.headers.first("If-Match").map { ETagCondition($0) } ?? .any
    }

    private func twinResponse(_ id: DeviceID) async throws -> HTTPResponse {
        guard let twin = try await twins.readTwin(id) else { throw Self.notFound(id) }
        return .json(.object(twin.document { TimestampFormatter().text(microseconds: $0) }))
    }
}
