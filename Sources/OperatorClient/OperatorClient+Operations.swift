// The operations of the service API (wire contract, sections 1, 3.1, 4.2 and 6), one function each.

import HTTP
package import JSON

extension OperatorClient {
    /// The service's largest page.
    package static let pageSizeMaximum = 100

    // MARK: Jobs

    /// The same body under the same id is the same job, so this may be repeated.
    package func createJob(_ id: String, _ body: JSONValue) async throws -> JSONValue {
        try await send("PUT", RequestPath(["jobs", "v2", id]), body: body.bytes, .always).body
    }

    package func job(_ id: String) async throws -> JSONValue {
        try await send("GET", RequestPath(["jobs", "v2", id]), .always).body
    }

    package func cancelJob(_ id: String) async throws -> JSONValue {
        try await send("POST", RequestPath(["jobs", "v2", id, "cancel"]), .ifNotProcessed).body
    }

    package func jobs(type: String?, status: String?, pageSize: Int = pageSizeMaximum) -> Pages {
        let query = [("jobType", type), ("jobStatus", status)].compactMap { name, value in value.map { (name, $0) } }
        return pages("GET", RequestPath(["jobs", "v2", "query"], query: query), pageSize: pageSize)
    }

    /// What became of each device of a job.
    package func jobResults(_ id: String, status: String?, pageSize: Int = pageSizeMaximum) -> Pages {
        var text = "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = \(QueryText.string(id))"
        if let status { text += " AND devices.jobs.status = \(QueryText.string(status))" }
        return query(text, pageSize: pageSize)
    }

    // MARK: Queries

    package func query(_ text: String, pageSize: Int = pageSizeMaximum) -> Pages {
        pages("POST", RequestPath(["devices", "query"]), body: ["query": .string(text)], pageSize: pageSize)
    }

    // MARK: Devices and twins

    package func device(_ id: String) async throws -> JSONValue {
        try await send("GET", RequestPath(["devices", id]), .always).body
    }

    /// A bulk request of one entry.
    package func bulk(_ entry: JSONObject) async throws {
        let answer = try await send(
            "POST", RequestPath(["devices"]), body: JSONValue.array([.object(entry)]).bytes, .ifNotProcessed,
            accepted: [400])
        guard answer.response.status == 400 else { return }
        guard let error = answer.body["errors"]?.arrayValue?.first else {
            let error = OperatorError(answer.response)
            throw OperatorError(
                error.kind, status: error.status, code: error.code, DeviceImport.withoutIndex(error.message))
        }
        let code = error["errorCode"]?.stringValue
        let kind: OperatorError.Kind =
            switch code {
            case "DeviceAlreadyExists", "PreconditionFailed": .conflict
            case "DeviceNotFound": .notFound
            default: .invalid
            }
        throw OperatorError(kind, code: code, error["errorStatus"]?.stringValue ?? "The service refused the device.")
    }

    /// `etag` nil: whatever its state.
    package func deleteDevice(_ id: String, etag: String?) async throws {
        _ = try await send("DELETE", RequestPath(["devices", id]), headers: [Self.condition(etag)], .ifNotProcessed)
    }

    /// Called at most once: repeated only when the service certainly did nothing.
    package func callMethod(_ id: String, _ call: JSONValue) async throws -> JSONValue {
        try await send("POST", RequestPath(["twins", id, "methods"]), body: call.bytes, .ifNotProcessed).body
    }

    package func twin(_ id: String) async throws -> JSONValue {
        try await send("GET", RequestPath(["twins", id]), .always).body
    }

    package func patchTwin(_ id: String, _ patch: JSONValue, etag: String?) async throws -> JSONValue {
        // With an etag a second try is refused if the first was done; without, a patch twice gives the same twin.
        try await send(
            "PATCH", RequestPath(["twins", id]), headers: [Self.condition(etag)], body: patch.bytes,
            etag == nil ? .always : .ifNotProcessed
        ).body
    }

    private static func condition(_ etag: String?) -> (String, String) {
        ("If-Match", etag.map { "\"\($0)\"" } ?? "*")
    }
}

package enum QueryText {
    /// A string literal of the query language.
    package static func string(_ text: String) -> String {
        var literal = "'"
        for scalar in text.unicodeScalars {
            switch scalar {
            case "'": literal += "\\'"
            case "\\": literal += "\\\\"
            case "\n": literal += "\\n"
            case "\r": literal += "\\r"
            default: literal.unicodeScalars.append(scalar)
            }
        }
        return literal + "'"
    }
}
