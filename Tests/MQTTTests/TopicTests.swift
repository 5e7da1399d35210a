// Goal: the hub's topics and user names are read exactly as the devices' SDKs write them, ids are compared byte by byte,
// and whatever else comes is nothing.

import MQTT
import ServiceKit
import Testing

@Suite struct TopicTests {
    static let publishes: [(String, DevicePublish)] = [
        ("$iothub/twin/GET/?$rid=7", .twinGet(rid: "7")),
        ("$iothub/twin/GET/?$rid=0b8c5bb4-9a5c", .twinGet(rid: "0b8c5bb4-9a5c")),
        ("$iothub/twin/GET/?$rid=%41 é/?=", .twinGet(rid: "%41 é/?=")),
        ("$iothub/twin/PATCH/properties/reported/?$rid=9", .reported(rid: "9", version: nil)),
        ("$iothub/twin/PATCH/properties/reported/?$rid=9&$version=12", .reported(rid: "9", version: 12)),
        ("$iothub/twin/PATCH/properties/reported/?$version=0&$rid=9", .reported(rid: "9", version: 0)),
        ("$iothub/methods/res/200/?$rid=1", .methodResult(status: 200, rid: "1")),
        ("$iothub/methods/res/-2147483648/?$rid=1", .methodResult(status: .min, rid: "1")),
        ("$iothub/methods/res/404/?$rid=18446744073709551615&x=y&z", .methodResult(status: 404, rid: "\(UInt64.max)")),
        ("devices/d1/messages/events/", .telemetry(bag: "")),
        ("devices/d1/messages/events", .telemetry(bag: "")),
        ("devices/d1/messages/events/%24.mid=m1&k%201=v%2F1", .telemetry(bag: "%24.mid=m1&k%201=v%2F1")),
    ]

    @Test(arguments: publishes) func devicePublish(_ topic: String, _ expected: DevicePublish) throws {
        let read = try #require(DevicePublish(topic: topic, deviceID: "d1"))
        #expect(read == expected)
        #expect(DevicePublish(topic: read.topic(deviceID: "d1"), deviceID: "d1") == read)
    }

    static let unknownPublishes = [
        "", "a", "$iothub", "$iothub/twin/GET", "$iothub/twin/GET/", "$iothub/twin/GET/?", "$iothub/twin/GET/?$rid=",
        "$iothub/twin/GET/?rid=1", "$iothub/twin/GET/?$rid=1&$rid=2", "$iothub/twin/GET/?$rid=1&$version=x",
        "$iothub/twin/get/?$rid=1", "/$iothub/twin/GET/?$rid=1", "$iothub/twin/res/200/?$rid=1",
        "$iothub/twin/PATCH/properties/desired/?$rid=1", "$iothub/twin/PATCH/properties/reported/?$version=1",
        "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=", "$iothub/methods/res/?$rid=1",
        "$iothub/methods/res/2147483648/?$rid=1", "$iothub/methods/res/+1/?$rid=1", "$iothub/methods/res/1.5/?$rid=1",
        "$iothub/methods/res/200/$rid=1", "$iothub/methods/res/200/?", "$iothub/methods/res/200",
        "$iothub/methods/POST/x/?$rid=1", "devices/d1", "devices/d1/messages", "devices/d1/messages/eventsx",
        "devices/d2/messages/events/", "devices/d1x/messages/events/", "devices/d1/messages/devicebound/",
        "devices/d1/messages/events/#", "devices/d1/messages/events/+", "devices//messages/events/",
        "devices/d1/modules/m/messages/events/",
    ]

    @Test(arguments: unknownPublishes) func unknownTopics(_ topic: String) {
        #expect(DevicePublish(topic: topic, deviceID: "d1") == nil)
    }

    @Test("A rid that would not fit the topic of the reply is refused")
    func longRequestIDs() {
        let rid = String(repeating: "r", count: MQTTLimits.requestIDBytes)
        #expect(DevicePublish(topic: "$iothub/twin/GET/?$rid=\(rid)", deviceID: "d") == .twinGet(rid: rid))
        #expect(DevicePublish(topic: "$iothub/twin/GET/?$rid=\(rid)r", deviceID: "d") == nil)
        let version = String(repeating: "0", count: 40)
        #expect(DevicePublish(topic: "$iothub/twin/GET/?$rid=1&$version=\(version)", deviceID: "d") == nil)
    }

    /// Ids with every character that means something elsewhere. The last two are equivalent for Unicode.
    static let ids = ["a#b", "a+b", "a%2Fb", "a?b", "$a", "#", "K1", "\u{212A}1"]

    @Test func idsAreComparedAsText() {
        for id in Self.ids {
            for other in Self.ids {
                let isSame = id.utf8.elementsEqual(other.utf8)
                let topic = DevicePublish.telemetry(bag: "").topic(deviceID: id)
                #expect((DevicePublish(topic: topic, deviceID: other) != nil) == isSame, "\(id) \(other)")
                let filter = HubSubscription.deviceBound.filter(deviceID: id)
                #expect((HubSubscription(filter: filter, deviceID: other) != nil) == isSame, "\(id) \(other)")
            }
        }
    }

    @Test func subscriptions() {
        let filters = HubSubscription.allCases.map { $0.filter(deviceID: "d1") }
        #expect(
            filters == [
                "$iothub/methods/POST/#", "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
                "devices/d1/messages/devicebound/#",
            ])
        #expect(filters.map { HubSubscription(filter: $0, deviceID: "d1") } == HubSubscription.allCases)
        for filter in [
            "", "#", "+", "$iothub/#", "$iothub/methods/POST/+", "$iothub/methods/POST/", "$iothub/methods/POST/#/",
            "$iothub/twin/res/?#", "devices/+/messages/devicebound/#", "devices/d2/messages/devicebound/#",
            "devices/d1/messages/devicebound/", "devices/d1/#", "$iothub/twin/res/# ",
        ] { #expect(HubSubscription(filter: filter, deviceID: "d1") == nil, "\(filter)") }
    }

    static let hubPublishes: [(HubPublish, String)] = [
        (.method(name: "reboot", rid: "1"), "$iothub/methods/POST/reboot/?$rid=1"),
        (.method(name: "a b.é-_~$&=😀", rid: "1"), "$iothub/methods/POST/a b.é-_~$&=😀/?$rid=1"),
        (.method(name: "a/b?c#d+e%f", rid: "1"), "$iothub/methods/POST/a%2Fb%3Fc%23d%2Be%25f/?$rid=1"),
        (.method(name: "\0\n\u{7F}", rid: "1"), "$iothub/methods/POST/%00%0A%7F/?$rid=1"),
        (.twinResult(status: 200, rid: "x-1", version: nil), "$iothub/twin/res/200/?$rid=x-1"),
        (.twinResult(status: 204, rid: "7", version: 3), "$iothub/twin/res/204/?$rid=7&$version=3"),
        (.desired(version: 12), "$iothub/twin/PATCH/properties/desired/?$version=12"),
    ]

    @Test(arguments: hubPublishes) func hubPublish(_ publish: HubPublish, _ topic: String) {
        #expect(publish.topic == topic)
        #expect(HubPublish(topic: topic) == publish)
        let packet = MQTTPacket.publish(MQTTPublish(topic: publish.topic))
        #expect(Outcome(whole: packet.encoded).packets == [packet], "a legal topic")
    }

    @Test(arguments: [
        "", "$iothub/methods/POST/", "$iothub/methods/POST//?$rid=1", "$iothub/methods/POST/a/?",
        "$iothub/methods/POST/%4",
        "$iothub/methods/POST/%4/?$rid=1", "$iothub/methods/POST/%FF/?$rid=1", "$iothub/methods/POST/%GG/?$rid=1",
        "$iothub/methods/POST/a/$rid=1", "$iothub/twin/res/x/?$rid=1", "$iothub/twin/res/200/?",
        "$iothub/twin/PATCH/properties/desired/?$version=", "$iothub/twin/PATCH/properties/desired/?$rid=1",
    ]) func unknownHubTopics(_ topic: String) {
        #expect(HubPublish(topic: topic) == nil)
    }

    @Test(arguments: [
        ("localhost/d1/?api-version=2019-10-01&DeviceClientType=py%2F2.14.0%28x%29", "localhost", "d1", "2019-10-01"),
        ("h/d1/api-version=2016-11-14", "h", "d1", "2016-11-14"),
        ("h/d1/api-version=1&DeviceClientType=a%2Fb", "h", "d1", "1"),
        ("h/d1?api-version=1", "h", "d1", "1"),
        ("h/d1/?DeviceClientType=c&api-version=2", "h", "d1", "2"),
        ("h/d1/?x=y", "h", "d1", nil), ("h/d1/", "h", "d1", nil), ("h/d1", "h", "d1", nil),
        ("h:8883/d?1/?api-version=3", "h:8883", "d?1", "3"),
        ("h/d1/m1/?api-version=4", "h", "d1/m1", "4"),
        ("h/a%20b#+/?api-version=", "h", "a%20b#+", ""),
    ]) func userNames(_ text: String, _ host: String, _ id: String, _ version: String?) throws {
        let name = try #require(HubUserName(text))
        #expect(name.host == host && name.deviceID == id && name.apiVersion == version)
    }

    @Test(arguments: [
        "", "h", "h/", "/", "/d1/?api-version=1", "h//?api-version=1", "h//api-version=1", "h/?api-version=1",
    ])
    func badUserNames(_ text: String) {
        #expect(HubUserName(text) == nil)
    }

    @Test func mutations() {
        let seed: UInt64 = 20_270_312
        let random = SeededRandom(seed: seed)
        let samples =
            Self.publishes.map(\.0) + Self.hubPublishes.map(\.1) + ["h/d1/?api-version=1", "h/d1/api-version=1"]
        for _ in 0..<20_000 {
            var bytes = Array(samples[Int(random.next() % UInt64(samples.count))].utf8)
            for _ in 0...Int(random.next() % 3) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            let topic = String(decoding: bytes, as: UTF8.self)
            if let publish = DevicePublish(topic: topic, deviceID: "d1") {
                #expect(DevicePublish(topic: publish.topic(deviceID: "d1"), deviceID: "d1") == publish, "seed \(seed)")
            }
            if let publish = HubPublish(topic: topic) {
                #expect(HubPublish(topic: publish.topic) == publish, "seed \(seed)")
            }
            _ = HubUserName(topic)
        }
    }
}
