// One request in the log and in the metrics. A refused request is information, a failed service is an error; bodies,
// tokens and ids of devices are in neither.

import Access
import JSON
import ServiceKit

/// What is known of a request when it has been answered.
struct RequestRecord {
    let method: String
    var operation: Operation?
    var policy: String?
    var error: APIError?
    var refusal: SASError?
    var storeError: StoreError?
    /// The type of an error that no store throws: a defect.
    var unexpected: String?

    init(method: String) { self.method = method }
}

extension APIServer {
    func finish(_ record: RequestRecord, status: Int, tracking: TrackingID, duration: Duration) {
        let name = record.operation?.name ?? "unknown"
        metrics.count(
            "muster_http_requests_total", "Requests answered",
            labels: [("operation", name), ("status", String(status))])
        metrics.observe(
            "muster_http_request_seconds", "Time from a complete request to its answer", duration,
            labels: [("operation", name)])
        var fields: [(String, JSONValue)] = [
            ("method", .string(String(record.method.prefix(20)))), ("operation", .string(name)),
            ("status", .integer(Int64(status))), ("duration_ms", .integer(duration.milliseconds)),
            ("tracking", .string(tracking.id)),
        ]
        if let policy = record.policy { fields.append(("policy", .string(policy))) }
        if let error = record.error { fields.append(("code", .string(error.code.name))) }
        if let refusal = record.refusal { fields.append(("reason", .string(refusal.rawValue))) }
        if let error = record.storeError { fields.append(("store", .string(error.description))) }
        if let unexpected = record.unexpected { fields.append(("error_type", .string(unexpected))) }
        switch status {
        case 500...: log.error("request_failed", fields)
        case 400...: log.info("request_refused", fields)
        default: log.debug("request", fields)
        }
    }
}
