// What a device may subscribe to: four filters, which are compared as text. The raw values are stored, so that a
// session's subscriptions survive its connection.

package enum HubSubscription: String, Sendable, CaseIterable {
    case methods
    case twinResults
    case desired
    case deviceBound

    /// Nil: a filter that is not granted.
    package init?(filter: String, deviceID: String) {
        guard let known = Self.allCases.first(where: { filter.hasSameBytes(as: $0.filter(deviceID: deviceID)) }) else {
            return nil
        }
        self = known
    }

    package func filter(deviceID: String) -> String {
        switch self {
        case .methods: "$iothub/methods/POST/#"
        case .twinResults: "$iothub/twin/res/#"
        case .desired: "$iothub/twin/PATCH/properties/desired/#"
        case .deviceBound: "\(TopicPrefix.devices)\(deviceID)/messages/devicebound/#"
        }
    }
}
