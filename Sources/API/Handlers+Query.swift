// `POST /devices/query`: statements over devices and over the device records of jobs (wire contract, section 3).

import HTTP
import JSON
import JobModel
import JobStore
import ServiceKit
import TwinQuery
import TwinStore

extension APIServer {
    func queryDevices(_ request: HTTPRequest) async throws -> HTTPResponse {
        let body = try RequestBody.object(request, limit: APILimits.queryBodyBytes)
        guard let text = try MemberReader(body).string("query") else {
            throw APIError(.argumentNull, "query is missing.")
        }
        let query = try Self.parse(text)
        let page = try PageRequest(request, maximum: Limits.pageSizeMaximum)
        // A token belongs to the text of its query.
        let binding = "query\n\(text)"
        var after: JSONValue?
        if let token = page.continuation { after = try Continuation(token, binding: binding).after }
        let (items, next) =
            query.source == .jobs
            ? try await deviceRecords(query, after: after, limit: page.size)
            : try await devices(query, after: after, limit: page.size)
        var response = HTTPResponse.json(.array(items))
        response.headers.set("x-ms-item-type", query.itemType.rawValue)
        if let next { response.headers.set("x-ms-continuation", Continuation(after: next).text(binding: binding)) }
        return response
    }

    private static func parse(_ text: String) throws(APIError) -> Query {
        let count = text.unicodeScalars.count
        guard count <= QueryLimits.textLength else {
            throw APIError(
                .argumentInvalid, "query is longer than \(QueryLimits.textLength) characters; it has \(count).")
        }
        do {
            return try parseStatement(text)
        } catch {
            throw APIError(.argumentInvalid, "query does not parse: \(error.description).")
        }
    }

    private static let foreignToken = APIError(
        .argumentInvalid, "The continuation token does not belong to this query; begin without a token.")

    private func devices(
        _ query: Query, after: JSONValue?, limit: Int
    ) async throws -> (items: [JSONValue], next: JSONValue?) {
        var position: QueryPosition?
        if let after {
            guard let key = after.arrayValue, key.count == 2, let count = key[1].integerValue else {
                throw Self.foreignToken
            }
            position = QueryPosition(deviceID: key[0].stringValue, count: Int(count))
        }
        let page = try await twins.query(query, after: position, limit: limit) {
            TimestampFormatter().text(microseconds: $0)
        }
        return (
            page.items,
            page.next.map { [$0.deviceID.map { .string($0) } ?? .null, .integer(Int64($0.count))] }
        )
    }

    private func deviceRecords(
        _ query: Query, after: JSONValue?, limit: Int
    ) async throws -> (items: [JSONValue], next: JSONValue?) {
        var position: ResultPosition?
        var seen = 0
        if let after {
            guard let key = after.arrayValue, key.count == 3, let job = key[0].integerValue,
                let seq = key[1].integerValue, let count = key[2].integerValue
            else { throw Self.foreignToken }
            position = ResultPosition(job: job, seq: seq)
            seen = Int(count)
        }
        let size = min(limit, query.top.map { max(0, $0 - seen) } ?? limit)
        guard size > 0 else { return ([], nil) }
        let compiled = query.compiled(firstParameter: JobStore.resultConditionFirstParameter)
        let results = try await jobs.deviceResults(
            matching: SQLFragment(text: compiled.condition, parameters: compiled.parameters), jobIDs: query.jobIDs,
            after: position, limit: size + 1)
        let shown = results.prefix(size)
        let count = seen + shown.count
        var next: JSONValue?
        if results.count > size, query.top.map({ count < $0 }) ?? true, let last = shown.last?.position {
            next = [.integer(last.job), .integer(last.seq), .integer(Int64(count))]
        }
        return (shown.map { .object($0.result.document) }, next)
    }
}
