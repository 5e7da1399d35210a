// Which operation a request asks for: exact paths, nothing else. Paths are compared by decoded segments, so an id may
// hold any character.

package enum Operation: Sendable, Hashable {
    case bulkDevices
    case cancelJob(String)
    case createJob(String)
    case deleteDevice(String)
    case deviceStatistics
    case invokeMethod(String)
    case live
    case listDevices
    case listJobs
    case metrics
    case patchTwin(String)
    case putDevice(String)
    case queryDevices
    case readDevice(String)
    case readJob(String)
    case readTwin(String)
    case ready
    case replaceTwin(String)
    case serviceStatistics
}

package enum Router {
    package enum Answer: Sendable, Equatable {
        case operation(Operation)
        case failure(APIError, ErrorForm)
    }

    package static func route(method: String, segments: [String]) -> Answer {
        switch segments.count > 0 ? segments[0] : "" {
        case "devices": devices(method, Array(segments.dropFirst()))
        case "jobs": jobs(method, Array(segments.dropFirst()))
        case "twins": twins(method, Array(segments.dropFirst()))
        case "statistics" where segments.count == 2 && segments[1] == "devices":
            choose(method, ["GET": .deviceStatistics])
        case "statistics" where segments.count == 2 && segments[1] == "service":
            choose(method, ["GET": .serviceStatistics])
        case "livez" where segments.count == 1: choose(method, ["GET": .live])
        case "readyz" where segments.count == 1: choose(method, ["GET": .ready])
        case "metrics" where segments.count == 1: choose(method, ["GET": .metrics])
        default: unknown()
        }
    }

    private static func devices(_ method: String, _ rest: [String]) -> Answer {
        switch rest.count {
        case 0: return choose(method, ["GET": .listDevices, "POST": .bulkDevices])
        // A device may be called `query`: only POST means the query, which no device route uses.
        case 1 where rest[0] == "query" && method == "POST": return .operation(.queryDevices)
        case 1 where !rest[0].isEmpty:
            let id = rest[0]
            return choose(method, ["GET": .readDevice(id), "PUT": .putDevice(id), "DELETE": .deleteDevice(id)])
        case 2... where rest[1] == "modules": return noModules(.plain)
        default: return unknown()
        }
    }

    private static func jobs(_ method: String, _ rest: [String]) -> Answer {
        guard rest.first == "v2" else {
            return .failure(
                APIError(.genericNotFound, "Import and export jobs are not part of this service; use /jobs/v2."), .plain
            )
        }
        switch rest.count {
        case 2 where rest[1] == "query" && method == "GET": return .operation(.listJobs)
        case 2 where !rest[1].isEmpty:
            return choose(method, ["GET": .readJob(rest[1]), "PUT": .createJob(rest[1])])
        case 3 where rest[2] == "cancel" && !rest[1].isEmpty: return choose(method, ["POST": .cancelJob(rest[1])])
        default: return unknown()
        }
    }

    private static func twins(_ method: String, _ rest: [String]) -> Answer {
        switch rest.count {
        case 1 where !rest[0].isEmpty:
            let id = rest[0]
            return choose(
                method, ["GET": .readTwin(id), "PATCH": .patchTwin(id), "PUT": .replaceTwin(id)], form: .nested)
        case 2 where rest[1] == "methods" && !rest[0].isEmpty:
            return choose(method, ["POST": .invokeMethod(rest[0])], form: .nested)
        case 2... where rest[1] == "modules": return noModules(.nested)
        default: return unknown()
        }
    }

    private static func choose(
        _ method: String, _ operations: [String: Operation], form: ErrorForm = .plain
    ) -> Answer {
        if let operation = operations[method] { return .operation(operation) }
        let allowed = operations.keys.sorted()
        let text = "This path answers \(allowed.joined(separator: ", ")); the request is a \(method.prefix(20))."
        return .failure(APIError(.genericMethodNotAllowed, text, allowedMethods: allowed), form)
    }

    private static func unknown() -> Answer {
        .failure(APIError(.genericNotFound, "There is no such path."), .plain)
    }

    private static func noModules(_ form: ErrorForm) -> Answer {
        .failure(APIError(.moduleNotFound, "Modules are not part of this service."), form)
    }
}
