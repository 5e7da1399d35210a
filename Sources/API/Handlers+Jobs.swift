// Jobs: create, read, list, cancel (wire contract, section 1).

import HTTP
import JSON
import JobModel
import JobStore
import ServiceKit

extension APIServer {
    /// The same PUT again is the same job; another body under the same id is a conflict.
    func createJob(_ text: String, _ request: HTTPRequest, actor: String) async throws -> HTTPResponse {
        let body = try RequestBody.object(request, limit: APILimits.jobBodyBytes)
        let definition = try JobRequestParser.parse(body, jobID: text)
        let creation = try await create(definition, actor: actor)
        await wakeCoordinators()
        switch creation {
        case .created(let job): return .json(.object(job.createdDocument))
        case .same(let job): return .json(.object(job.minimalDocument))
        case .conflict:
            throw APIError(.jobAlreadyExists, "A job with id '\(text)' exists already, with another body.")
        }
    }

    /// Stored or not? After a lost answer the same request again settles it.
    private func create(_ definition: JobDefinition, actor: String) async throws(StoreError) -> JobStore.Creation {
        do {
            return try await jobs.create(definition, actor: actor)
        } catch {
            guard error.effect == .unknown else { throw error }
            return try await jobs.create(definition, actor: actor)
        }
    }

    func readJob(_ text: String) async throws -> HTTPResponse {
        guard let job = try await jobs.get(try knownID(text)) else { throw Self.jobNotFound(text) }
        return .json(.object(job.document))
    }

    func cancelJob(_ text: String, actor: String) async throws -> HTTPResponse {
        switch try await jobs.cancel(try knownID(text), actor: actor, strict: configuration.isStrictHub) {
        case .cancelled(let job):
            await wakeCoordinators()
            return .json(.object(job.document))
        case .unknownJob: throw Self.jobNotFound(text)
        case .notAllowed(let job):
            throw APIError(
                .operationNotAllowedInCurrentState,
                "A job in status \(job.state.wireStatus) cannot be cancelled.")
        }
    }

    /// Newest first. One more job than the page holds is read, so that no token leads to an empty page.
    func listJobs(_ request: HTTPRequest) async throws -> HTTPResponse {
        let filter = try JobListFilter(request)
        let page = try PageRequest(request, maximum: Limits.pageSizeMaximum)
        var after: JobStore.ListPosition?
        if let text = page.continuation {
            after = try Self.listPosition(try Continuation(text, binding: Self.listBinding))
        }
        var found: [JobRecord] = []
        if !filter.matchesNothing {
            found = try await jobs.list(type: filter.type, states: filter.states, after: after, limit: page.size + 1)
        }
        let shown = found.prefix(page.size)
        var response = HTTPResponse.json(.array(shown.map { .object($0.document) }))
        response.headers.set("x-ms-item-type", "JobResponse")
        if found.count > page.size, let last = shown.last {
            let key: JSONValue = [.integer(last.createdTime), .string(last.jobID.text)]
            response.headers.set("x-ms-continuation", Continuation(after: key).text(binding: Self.listBinding))
        }
        return response
    }

    private static let listBinding = "jobs"

    private static func listPosition(_ continuation: Continuation) throws(APIError) -> JobStore.ListPosition {
        guard let key = continuation.after.arrayValue, key.count == 2, let created = key[0].integerValue,
            let id = key[1].stringValue
        else { throw APIError(.argumentInvalid, "The continuation token does not belong to a list of jobs.") }
        return JobStore.ListPosition(createdTime: created, jobID: id)
    }

    /// An id that no job can have names no job.
    private func knownID(_ text: String) throws(APIError) -> JobID {
        do {
            return try JobID(text)
        } catch {
            throw Self.jobNotFound(text)
        }
    }

    private static func jobNotFound(_ text: String) -> APIError {
        APIError(.jobNotFound, "There is no job with id '\(text.prefix(64))'.")
    }
}
