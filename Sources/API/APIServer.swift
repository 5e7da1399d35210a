// The HTTP API of one process: every request goes through `handle`, which routes, authenticates, checks the api-version,
// lets the operation answer, and writes one log line and one sample.
//
// Stateless but for a few seconds of policies: any number of processes serve the same fleet at the same time. What an
// operation does stands in Handlers+<theme>.swift.

import Access
package import HTTP
import JSON
package import JobStore
package import Notices
package import ServiceKit
package import Sockets
import Synchronization
package import TwinStore

package struct APIConfiguration: Sendable {
    package var http: HTTPServer.Configuration
    /// Names under which clients address this hub; tokens for other hosts are refused. Ports do not matter. A name that
    /// clients use and that is missing here makes every token fail.
    package var hostNames: [String]
    /// Restores the service's refusals where Muster does more: a running job cannot be cancelled.
    package var isStrictHub = false
    /// Requests in work at the same time; more are answered 503. Probes are not counted against it.
    package var concurrentRequests = APILimits.concurrentRequests

    package init(http: HTTPServer.Configuration, hostNames: [String] = []) {
        self.http = http
        self.hostNames = ["localhost", "127.0.0.1", "[::1]"] + hostNames
    }
}

/// One thing that must work before a process may get requests: PostgreSQL, Redis, the schema.
package struct ReadinessCheck: Sendable {
    package let name: String
    /// Throws when it does not work. It must end by itself soon after it is cancelled: the probe's answer waits for it.
    package let check: @Sendable () async throws -> Void

    package init(_ name: String, _ check: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.check = check
    }
}

package final class APIServer: Sendable {
    let configuration: APIConfiguration
    let twins: TwinStore
    let jobs: JobStore
    let methods: MethodInvoker
    private let notifier: DesiredNotifier
    private let receiver = Mutex<Task<Void, Never>?>(nil)
    let checks: [ReadinessCheck]
    let log: Log
    let metrics: Metrics
    let clock: any ServiceClock
    /// Tells the coordinators that a job came or changed. A hint: they also look by themselves.
    let wakeCoordinators: @Sendable () async -> Void
    private let random: any RandomSource
    private let authenticator: Authenticator
    private let inWork = Mutex(0)
    private let server = Mutex<HTTPServer?>(nil)

    package init(
        configuration: APIConfiguration, twins: TwinStore, jobs: JobStore, methods: MethodInvoker,
        notifier: DesiredNotifier,
        checks: [ReadinessCheck], log: Log, metrics: Metrics, clock: any ServiceClock, random: any RandomSource,
        wakeCoordinators: @escaping @Sendable () async -> Void
    ) {
        self.configuration = configuration
        self.twins = twins
        self.jobs = jobs
        self.methods = methods
        self.notifier = notifier
        self.checks = checks
        self.log = log
        self.metrics = metrics
        self.clock = clock
        self.random = random
        self.wakeCoordinators = wakeCoordinators
        authenticator = Authenticator(hosts: configuration.hostNames, clock: clock) { () async throws(StoreError) in
            try await twins.policies()
        }
    }

    /// Listens and serves; returns the address with the port that was chosen.
    package func start() async throws -> SocketAddress {
        var http = configuration.http
        http.errorResponse = { [clock, random] error in
            APIError(error).response(
                form: .plain, tracking: TrackingID(random: random, unixTime: clock.unixTime))
        }
        let server = HTTPServer(configuration: http, log: log, metrics: metrics, clock: clock) { [weak self] request in
            guard let self else { return HTTPResponse(status: 503) }
            return await self.handle(request)
        }
        self.server.withLock { $0 = server }
        let address = try await server.start()
        receiver.withLock { $0 = Task { [methods] in await methods.run() } }
        return address
    }

    /// Stops accepting, lets running requests finish for `grace`, then drops them.
    package func shutdown(grace: Duration) async {
        let server = server.withLock { $0 }
        await server?.shutdown(grace: grace)
        let receiver = receiver.withLock { $0 }
        receiver?.cancel()
        await receiver?.value
    }

    /// The answer to one request. Never throws: every failure is a reply.
    package func handle(_ request: HTTPRequest) async -> HTTPResponse {
        let started = clock.now
        let tracking = TrackingID(random: random, unixTime: clock.unixTime)
        var record = RequestRecord(method: request.method)
        let response: HTTPResponse
        switch Router.route(method: request.method, segments: request.segments) {
        case .failure(let error, let form):
            record.error = error
            response = error.response(form: form, tracking: tracking)
        case .operation(let operation):
            record.operation = operation
            response = await answer(operation, request, tracking, &record)
        }
        finish(record, status: response.status, tracking: tracking, duration: clock.now - started)
        return response
    }

    private func answer(
        _ operation: Operation, _ request: HTTPRequest, _ tracking: TrackingID, _ record: inout RequestRecord
    ) async -> HTTPResponse {
        let isAdmitted = inWork.withLock { count in
            if operation.isWaiting { return true }
            guard count < configuration.concurrentRequests || operation.permission == nil else { return false }
            count += 1
            return true
        }
        guard isAdmitted else {
            let error = APIError(
                .serverBusy, "The service works on \(configuration.concurrentRequests) requests already.",
                retryAfterSeconds: 1)
            record.error = error
            return error.response(form: operation.errorForm, tracking: tracking)
        }
        defer { if !operation.isWaiting { inWork.withLock { $0 -= 1 } } }
        do {
            let caller = try await authenticate(operation, request, &record)
            try RequestBody.checkSize(request, limit: operation.bodyLimit)
            return try await perform(operation, request, caller)
        } catch {
            let failure = Self.apiError(error, &record)
            record.error = failure
            // Authentication is answered in the plain form everywhere.
            let form = failure.code == .iotHubUnauthorizedAccess ? .plain : operation.errorForm
            return failure.response(form: form, tracking: tracking)
        }
    }

    /// Nil for the operations that are open to everyone; they need no api-version either.
    private func authenticate(
        _ operation: Operation, _ request: HTTPRequest, _ record: inout RequestRecord
    ) async throws -> Caller? {
        guard let permission = operation.permission else { return nil }
        let caller: Caller
        do {
            caller = try await authenticator.caller(
                authorization: request.headers.first("Authorization"), resource: request.segments,
                permission: permission)
        } catch {
            switch error {
            case .store(let error): throw error
            case .refused(let reason):
                record.refusal = reason
                metrics.count(
                    "muster_http_unauthorized_total", "Requests whose token was refused, by reason",
                    labels: [("reason", reason.rawValue)])
                throw APIError(.iotHubUnauthorizedAccess, "Unauthorized")
            }
        }
        record.policy = caller.policyName
        try APIVersion.check(request.queryValue("api-version"))
        return caller
    }

    private func perform(
        _ operation: Operation, _ request: HTTPRequest, _ caller: Caller?
    ) async throws -> HTTPResponse {
        switch operation {
        case .bulkDevices: try await bulkDevices(request)
        case .cancelJob(let id): try await cancelJob(id, actor: caller?.policyName ?? "")
        case .createJob(let id): try await createJob(id, request, actor: caller?.policyName ?? "")
        case .deleteDevice(let id): try await deleteDevice(id, request)
        case .deviceStatistics: try await deviceStatistics()
        case .listDevices: try await listDevices(request)
        case .listJobs: try await listJobs(request)
        case .invokeMethod(let id): try await invokeMethod(id, request)
        case .live: HTTPResponse.text("ok\n")
        case .metrics: HTTPResponse.text(metrics.render(), type: "text/plain; version=0.0.4; charset=utf-8")
        case .patchTwin(let id): try await patchTwin(id, request)
        case .putDevice(let id): try await putDevice(id, request)
        case .queryDevices: try await queryDevices(request)
        case .readDevice(let id): try await readDevice(id)
        case .readJob(let id): try await readJob(id)
        case .readTwin(let id): try await readTwin(id)
        case .ready: await ready()
        case .replaceTwin(let id): try await replaceTwin(id, request)
        case .serviceStatistics: try await serviceStatistics()
        }
    }

    /// Tells connected devices of what was changed. A failure is not the client's: the change is made, its mark stands,
    /// and the leader's sweep tells the device.
    func notify(_ devices: [String]) async {
        do {
            try await notifier.publishNotices(of: devices, twins)
        } catch {
            log.warning("notify_failed", [("error", .string(error.description))])
        }
    }

    /// Sessions of deleted and disabled devices end at once; should nobody hear of it, their gateway finds out.
    func endSessions(_ devices: [String]) async {
        guard !devices.isEmpty else { return }
        do {
            try await notifier.registryChanged(devices)
        } catch {
            log.warning("registry_notice_failed", [("error", .string(error.description))])
        }
    }

    /// What an error of any kind means to the client.
    private static func apiError(_ error: any Error, _ record: inout RequestRecord) -> APIError {
        switch error {
        case let error as APIError: return error
        case let error as StoreError:
            record.storeError = error
            return APIError(error)
        default:
            record.unexpected = String(describing: type(of: error))
            return APIError(.serverError, "The service failed to carry out the request.")
        }
    }
}

extension HTTPResponse {
    package static func text(status: Int = 200, _ text: String, type: String = "text/plain; charset=utf-8")
        -> HTTPResponse
    {
        HTTPResponse(status: status, headers: HTTPHeaders([("Content-Type", type)]), body: Array(text.utf8))
    }
}
