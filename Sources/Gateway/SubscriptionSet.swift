// The subscriptions of one session, in one byte; as words they outlive the connection.

import MQTT
import RouteStore

struct SubscriptionSet: OptionSet, Sendable, Hashable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ subscription: HubSubscription) {
        rawValue =
            switch subscription {
            case .methods: 1
            case .twinResults: 2
            case .desired: 4
            case .deviceBound: 8
            }
    }

    /// Words of another release that this one does not know are left out.
    init(words: [String]) {
        self = words.reduce(into: []) { set, word in
            if let subscription = HubSubscription(rawValue: word) { set.insert(SubscriptionSet(subscription)) }
        }
    }

    var words: [String] { HubSubscription.allCases.filter { contains(SubscriptionSet($0)) }.map(\.rawValue) }

    var flags: RouteFlags {
        var flags: RouteFlags = []
        if contains(SubscriptionSet(.methods)) { flags.insert(.methods) }
        if contains(SubscriptionSet(.desired)) { flags.insert(.desired) }
        return flags
    }
}
