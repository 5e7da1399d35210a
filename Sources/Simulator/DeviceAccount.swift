// What one device saw. Nothing is deduplicated: two calls of one method, or two with one rid, are two.

import Crypto
import JSON
import TwinModel

struct DeviceAccount {
    struct Call {
        /// In the loop's `TextTable`s.
        let method: UInt32
        let payload: UInt32
        let rid: String
        /// What was answered; nil while nothing was.
        var status: Int32?
    }

    /// Accepted connections.
    var connects = 0
    /// The first `SimulatorLimits.recordsPerDevice`.
    private(set) var calls: [Call] = []
    private(set) var callCount = 0
    var answerCount = 0
    /// Versions of the notifications in the order of their arrival, at most `recordsPerDevice`.
    private(set) var notified: [Int64] = []
    private(set) var notificationCount = 0
    private(set) var highestVersion: Int64?
    /// The desired properties as compact JSON without `$version`, and their version: read, then patched.
    private(set) var desired: [UInt8]?
    private(set) var desiredVersion: Int64?

    /// Returns the place of the record, nil when there are too many.
    mutating func record(_ call: Call) -> Int? {
        callCount += 1
        guard calls.count < SimulatorLimits.recordsPerDevice else { return nil }
        calls.append(call)
        return calls.count - 1
    }

    mutating func recordAnswer(_ record: Int?, status: Int32) {
        answerCount += 1
        if let record { calls[record].status = status }
    }

    mutating func recordNotification(_ version: Int64) {
        notificationCount += 1
        highestVersion = max(highestVersion ?? version, version)
        if notified.count < SimulatorLimits.recordsPerDevice { notified.append(version) }
    }

    /// Takes a notification in if it follows directly on what is known.
    mutating func apply(_ patch: JSONObject, version: Int64) -> Bool {
        guard let desiredVersion, version == desiredVersion + 1, let known = desiredDocument else { return false }
        var patch = patch
        patch["$version"] = nil
        replaceDesired(TwinMerge.merged(known, patch), version: version)
        return true
    }

    /// Nil while the twin has not been read.
    var desiredDocument: JSONObject? {
        guard let desired else { return nil }
        do {
            return try JSONValue(parsing: desired).objectValue
        } catch {
            preconditionFailure("JSON that was written here cannot be read: \(error)")
        }
    }

    mutating func replaceDesired(_ document: JSONObject, version: Int64) {
        var document = document
        document["$version"] = nil
        desired = JSONValue.object(document).bytes
        desiredVersion = version
    }

    /// Calls that came with a rid which an earlier call of this device had.
    var repeatedRIDs: Int {
        guard calls.count > 1 else { return 0 }
        return calls.count - Set(calls.map(\.rid)).count
    }
}

/// Texts that many devices share, such as method names, as small numbers.
struct TextTable {
    private(set) var texts: [String] = []
    private var numbers: [String: UInt32] = [:]
    /// The calls of a job carry the same text one after the other.
    private var last: (text: String, number: UInt32)?

    mutating func number(of text: String) -> UInt32 {
        if let last, last.text == text { return last.number }
        let number = look(text)
        last = (text, number)
        return number
    }

    private mutating func look(_ text: String) -> UInt32 {
        if let number = numbers[text] { return number }
        // The last entry stands for everything that found no room.
        let isFull = texts.count >= SimulatorLimits.internedTexts
        guard !isFull else { return numbers[SimulatorLimits.overflowText] ?? append(SimulatorLimits.overflowText) }
        return append(text)
    }

    private mutating func append(_ text: String) -> UInt32 {
        let number = UInt32(texts.count)
        texts.append(text)
        numbers[text] = number
        return number
    }

    subscript(number: UInt32) -> String { texts[Int(number)] }
}

/// SHA-256 of payloads in hexadecimal. The calls of a job mostly carry the same payload, which is hashed once.
struct DigestTable {
    private var table = TextTable()
    private var last: (payload: [UInt8], number: UInt32)?

    mutating func number(of payload: [UInt8]) -> UInt32 {
        if let last, last.payload == payload { return last.number }
        let number = table.number(of: Self.digest(payload))
        last = (payload, number)
        return number
    }

    subscript(number: UInt32) -> String { table[number] }

    static func digest(_ payload: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in Hashing.sha256(payload) { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}
