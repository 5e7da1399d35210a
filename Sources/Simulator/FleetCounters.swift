// Sums over devices, kept while the simulation runs.

package struct FleetCounters: Sendable, Equatable {
    /// Devices, and those of them that are meant to connect.
    package var devices = 0
    package var online = 0
    /// Connected and subscribed now, and at any time so far.
    package var ready = 0
    package var everReady = 0
    /// Connections that the gateway accepted, and those that ended without the device wanting it.
    package var connects = 0
    package var losses = 0
    /// Connections that were never accepted, for whatever reason; among them those with a CONNACK other than 0, by its
    /// code; and refused subscriptions.
    package var failedConnects = 0
    package var refusals: [UInt8: Int] = [:]
    package var refusedSubscriptions = 0
    /// Packets that a device cannot make sense of.
    package var strangePackets = 0
    package var calls = 0
    package var answers = 0
    /// Of the answers, those with the status 500 that the failure rate asks for.
    package var simulatedFailures = 0
    /// Calls that are never answered, because the device is silent or the method has no handler.
    package var unanswered = 0
    package var resentAnswers = 0
    package var notifications = 0
    package var highestVersion: Int64?
    /// Notifications with a version that was known already, and those before which one is missing.
    package var staleNotifications = 0
    package var gaps = 0
    package var twinReads = 0
    package var failedTwinReads = 0
    package var reports = 0
    package var acceptedReports = 0
    package var refusedReports = 0

    package init() {}

    package static func += (left: inout FleetCounters, right: FleetCounters) {
        for path in sums { left[keyPath: path] += right[keyPath: path] }
        left.refusals.merge(right.refusals, uniquingKeysWith: +)
        left.highestVersion = [left.highestVersion, right.highestVersion].compactMap { $0 }.max()
    }

    private static var sums: [WritableKeyPath<FleetCounters, Int>] {
        [
            \.devices, \.online, \.ready, \.everReady, \.connects, \.losses, \.failedConnects, \.refusedSubscriptions,
            \.strangePackets, \.calls, \.answers, \.simulatedFailures, \.unanswered, \.resentAnswers, \.notifications,
            \.staleNotifications, \.gaps, \.twinReads, \.failedTwinReads, \.reports, \.acceptedReports,
            \.refusedReports,
        ]
    }
}
