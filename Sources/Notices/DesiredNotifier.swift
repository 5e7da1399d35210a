// Tells connected devices of new desired properties (wire contract 4.7): at least once, each with its `$version`, which
// makes repeats harmless. Whoever changes a twin marks it in the same commit; the mark goes when the gateways have the
// notice. A process that dies in between leaves the mark to the leader's sweep.

package import JSON
internal import JobModel
package import JobStore
package import RouteStore
package import ServiceKit
package import TwinStore

package struct DesiredNotifier: Sendable {
    /// Marks younger than this belong to a process that is about to publish them.
    private static let sweepAge: Duration = .seconds(5)
    /// Batches and single notices of one sweep; more wait for the next.
    private static let sweepBatches = 20
    private static let sweepNotices = 1000

    private let routes: RouteStore
    private let metrics: Metrics

    package init(routes: RouteStore, metrics: Metrics) {
        self.routes = routes
        self.metrics = metrics
    }

    // MARK: One patch for many devices

    /// Hands one message to each gateway that holds some of the devices; false when an inbox was full.
    package func publish(
        _ patch: JSONObject, to devices: [(deviceID: String, version: Int64)]
    ) async throws(StoreError) -> Bool {
        var isComplete = true
        for start in stride(from: 0, to: devices.count, by: RouteLimits.routesPerCall) {
            let some = Array(devices[start..<min(start + RouteLimits.routesPerCall, devices.count)])
            let (found, _) = try await routes.find(some.map(\.deviceID))
            var groups: [GatewayID: [(String, Int64)]] = [:]
            for (device, route) in zip(some, found) {
                guard let route, route.flags.contains(.desired) else { continue }
                groups[route.gateway, default: []].append(device)
            }
            for (gateway, group) in groups {
                let isSent = try await routes.send(.desired(DesiredPart(patch: patch, devices: group)), to: gateway)
                isComplete = isComplete && isSent
                if isSent {
                    metrics.count(
                        "muster_desired_notices_total", "Desired changes handed to gateways", by: group.count)
                }
            }
        }
        return isComplete
    }

    // MARK: Single twins

    /// After a change of these twins.
    package func publishNotices(of devices: [String], _ twins: TwinStore) async throws(StoreError) {
        try await publish(try await twins.notices(of: devices, age: .zero, limit: Self.sweepNotices), twins)
    }

    private func publish(_ notices: [TwinNotice], _ twins: TwinStore) async throws(StoreError) {
        var told: [TwinNotice] = []
        for notice in notices
        where try await publish(notice.patch, to: [(notice.deviceID, notice.version)]) { told.append(notice) }
        try await twins.remove(told)
    }

    // MARK: Registry

    /// Tells the gateways of these devices to look whether their sessions may stay. A hint: each looks by itself, too.
    package func registryChanged(_ devices: [String]) async throws(StoreError) {
        for start in stride(from: 0, to: devices.count, by: RouteLimits.routesPerCall) {
            let some = Array(devices[start..<min(start + RouteLimits.routesPerCall, devices.count)])
            var groups: [GatewayID: [String]] = [:]
            for (device, route) in zip(some, try await routes.find(some).routes) {
                if let route { groups[route.gateway, default: []].append(device) }
            }
            for (gateway, group) in groups { _ = try await routes.send(.registryChanged(group), to: gateway) }
        }
    }

    // MARK: Sweep

    /// Publishes what was left behind; returns how many devices were looked at.
    package func sweep(_ jobs: JobStore, _ twins: TwinStore) async throws(StoreError) -> Int {
        let notices = try await twins.notices(of: nil, age: Self.sweepAge, limit: Self.sweepNotices)
        try await publish(notices, twins)
        var count = notices.count
        for batch in try await jobs.unnotifiedBatches(age: Self.sweepAge, limit: Self.sweepBatches) {
            var isComplete = true
            for twin in try await jobs.changedTwins(of: batch) {
                // The version that the job's patch made is not known any more. All present values under the present
                // version say at least as much.
                let patch = Self.restated(twin.desired, after: batch.desired)
                if try await !publish(patch, to: [(twin.deviceID, twin.version)]) { isComplete = false }
                count += 1
            }
            if isComplete { try await jobs.clearNotify([batch.id]) }
        }
        return count
    }

    /// The present document, and null for what the patch deleted and nobody has set since.
    static func restated(_ current: JSONObject, after patch: JSONObject) -> JSONObject {
        var result = current
        for member in patch.members {
            switch member.value {
            case .null:
                if result[member.name] == nil { result[member.name] = .null }
            case .object(let inner):
                guard let present = result[member.name]?.objectValue else { continue }
                result[member.name] = .object(restated(present, after: inner))
            case .bool, .integer, .number, .string, .array:
                continue
            }
        }
        return result
    }
}
