// What a device may publish. An id is compared as text: it may hold `+`, `#` and `%`, which mean nothing here.

package enum DevicePublish: Sendable, Equatable {
    case twinGet(rid: String)
    /// The version is the one the device believes to be current, where it sends one.
    case reported(rid: String, version: Int64?)
    case methodResult(status: Int32, rid: String)
    /// The property bag as it came, percent-encoded; may be empty.
    case telemetry(bag: String)

    /// Nil: a topic that this device may not publish to; the connection is closed.
    package init?(topic: String, deviceID: String) {
        guard let known = TopicText.read(topic, { Self.read(&$0, deviceID) }) else { return nil }
        self = known
    }

    private static func read(_ text: inout TopicText, _ deviceID: String) -> DevicePublish? {
        if text.skip(TopicPrefix.methodResult) {
            guard let digits = text.take(upTo: "/"), let status = TopicText.number(digits, Int32.self),
                text.skip("?"), let rid = text.pairs()?.rid
            else { return nil }
            return .methodResult(status: status, rid: rid)
        } else if text.skip(TopicPrefix.twinGet) {
            guard let rid = text.pairs()?.rid else { return nil }
            return .twinGet(rid: rid)
        } else if text.skip(TopicPrefix.reported) {
            guard let pairs = text.pairs(), let rid = pairs.rid else { return nil }
            return .reported(rid: rid, version: pairs.version)
        } else if text.skip(TopicPrefix.devices) {
            guard text.skip(deviceID), text.skip(TopicPrefix.events), text.isAtEnd || text.skip("/") else { return nil }
            guard !text.rest.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }) else {
                return nil
            }
            return .telemetry(bag: TopicText.text(text.rest))
        } else {
            return nil
        }
    }

    /// As the device sends it. The rid may hold neither `&` nor a wildcard.
    package func topic(deviceID: String) -> String {
        switch self {
        case .twinGet(let rid): "\(TopicPrefix.twinGet)$rid=\(rid)"
        case .reported(let rid, let version?): "\(TopicPrefix.reported)$rid=\(rid)&$version=\(version)"
        case .reported(let rid, nil): "\(TopicPrefix.reported)$rid=\(rid)"
        case .methodResult(let status, let rid): "\(TopicPrefix.methodResult)\(status)/?$rid=\(rid)"
        case .telemetry(let bag): "\(TopicPrefix.devices)\(deviceID)\(TopicPrefix.events)/\(bag)"
        }
    }
}
