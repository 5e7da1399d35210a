// What a device is told when its twin request fails: the status in the topic, and the same as JSON with an errorCode,
// because some SDKs look at one and some at the other (wire contract 8.8).

import JSON
import MQTT
import ServiceKit
import SessionStore
import TwinModel

struct TwinRefusal: Error, Sendable {
    /// Codes of the wire contract's 9.3; the first three digits are the status.
    enum Code: Int64, Sendable {
        case invalid = 400_004
        case notFound = 404_001
        case versionMismatch = 412_001
        case tooLarge = 413_001
        case throttled = 429_001
        case failed = 500_001
        case unavailable = 503_001
    }

    let code: Code
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: any Error) {
        let isTransient = (error as? StoreError)?.isTransient ?? false
        let isInvalid = (error as? StoreError)?.code == .invalidData
        self =
            isInvalid
            ? TwinRefusal(.invalid, "The request holds a value that cannot be stored.")
            : isTransient
                ? TwinRefusal(.unavailable, "The service cannot reach its store now.")
                : TwinRefusal(.failed, "The service failed to carry out the request.")
    }

    static let noDevice = TwinRefusal(.notFound, "The device is not registered any more.")
    static let throttled = TwinRefusal(.throttled, "Too many twin requests wait; try again later.")
}

struct TwinErrors: Sendable {
    let clock: any ServiceClock
    let random: any RandomSource

    func answer(_ refusal: TwinRefusal, rid: String) -> MQTTPublish {
        let time = TimestampFormatter().text(unixTime: clock.unixTime)
        let body: JSONValue = [
            "errorCode": .integer(refusal.code.rawValue), "trackingId": .string(trackingID(time)),
            "message": .string(refusal.message), "timestampUtc": .string(time),
        ]
        let topic = HubPublish.twinResult(status: Int(refusal.code.rawValue / 1000), rid: rid, version: nil).topic
        return MQTTPublish(topic: topic, payload: body.bytes)
    }

    func answer(_ outcome: ReportedOutcome, rid: String) -> MQTTPublish {
        switch outcome {
        case .done(let version):
            MQTTPublish(topic: HubPublish.twinResult(status: 204, rid: rid, version: version).topic)
        case .absent:
            answer(TwinRefusal.noDevice, rid: rid)
        case .mismatch(let version):
            answer(TwinRefusal(.versionMismatch, "The reported properties have version \(version)."), rid: rid)
        case .refused(let error):
            answer(TwinRefusal(.invalid, error.message), rid: rid)
        }
    }

    /// `<32 hex>-G:0-TimeStamp:MM/DD/YYYY HH:MM:SS`, as the HTTP API writes it.
    private func trackingID(_ time: String) -> String {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        let iso = Array(time)
        func part(_ range: Range<Int>) -> String { String(iso[range]) }
        return hex(random.next()) + hex(random.next())
            + "-G:0-TimeStamp:\(part(5..<7))/\(part(8..<10))/\(part(0..<4)) \(part(11..<19))"
    }
}
