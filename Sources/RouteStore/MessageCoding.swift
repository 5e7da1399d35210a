// Messages to and from bytes. A message that cannot be read is nil: it comes from another release or an old Redis,
// and is dropped and counted by the receiver; the sender's recovery covers it as it covers a lost one.

import JSON

extension GatewayMessage {
    package var bytes: [UInt8] {
        switch self {
        case .calls(let part): return part.bytes
        case .inquiry(let inquiry): return inquiry.bytes
        case .settlement(let settlement): return settlement.bytes
        case .desired(let part): return part.bytes
        case .close(let routes):
            var writer = MessageWriter("x", capacity: 40 * routes.count)
            writer.write(Int64(routes.count))
            for route in routes {
                writer.write(route.deviceID)
                writer.write(route.session)
            }
            return writer.bytes
        case .registryChanged(let devices):
            var writer = MessageWriter("r", capacity: 40 * devices.count)
            writer.write(Int64(devices.count))
            for device in devices { writer.write(device) }
            return writer.bytes
        }
    }

    package init?(_ bytes: [UInt8]) {
        let message = MessageReader.read(bytes) { reader -> GatewayMessage? in
            switch reader.letter() {
            case "c": CallPart(&reader).map { .calls($0) }
            case "q": Inquiry(&reader).map { .inquiry($0) }
            case "s": Settlement(&reader).map { .settlement($0) }
            case "d": DesiredPart(&reader).map { .desired($0) }
            case "x":
                reader.list { reader in
                    guard let device = reader.text(), let session = reader.number() else { return nil }
                    return SessionRoute(deviceID: device, session: session, flags: [])
                }.map { .close($0) }
            case "r": reader.list { $0.text() }.map { .registryChanged($0) }
            default: nil
            }
        }
        guard let message else { return nil }
        self = message
    }
}

extension CallPart {
    fileprivate var bytes: [UInt8] {
        var writer = MessageWriter("c", capacity: 200 + payload.utf8.count + 40 * items.count)
        for number in [job, batch, fence, number, sendBefore, responseMilliseconds] { writer.write(number) }
        writer.write(replyTo)
        writer.write(method)
        writer.write(payload)
        writer.write(Int64(items.count))
        for item in items {
            writer.write(item.seq)
            writer.write(item.attempt)
            writer.write(item.deviceID)
        }
        return writer.bytes
    }

    fileprivate init?(_ reader: inout MessageReader) {
        guard let job = reader.number(), let batch = reader.number(), let fence = reader.number(),
            let number = reader.number(), let sendBefore = reader.number(in: RouteLimits.moments),
            let response = reader.number(in: RouteLimits.responseMilliseconds), let replyTo = reader.text(),
            let method = reader.text(), let payload = reader.text(),
            let items = reader.list({ reader -> Item? in
                guard let seq = reader.number(), let attempt = reader.number(), let device = reader.text() else {
                    return nil
                }
                return Item(seq: seq, attempt: attempt, deviceID: device)
            })
        else { return nil }
        self.init(
            job: job, batch: batch, fence: fence, number: number, sendBefore: sendBefore,
            responseMilliseconds: response, replyTo: replyTo, method: method, payload: payload, items: items)
    }
}

extension Inquiry {
    fileprivate var bytes: [UInt8] {
        var writer = MessageWriter("q", capacity: 100 + 24 * items.count)
        for number in [job, batch, fence] { writer.write(number) }
        writer.write(replyTo)
        writer.write(Int64(items.count))
        for item in items {
            writer.write(item.seq)
            writer.write(item.attempt)
            writer.write(item.rememberedUntil)
        }
        return writer.bytes
    }

    fileprivate init?(_ reader: inout MessageReader) {
        guard let job = reader.number(), let batch = reader.number(), let fence = reader.number(),
            let replyTo = reader.text(),
            let items = reader.list({ reader -> Item? in
                guard let seq = reader.number(), let attempt = reader.number(),
                    let until = reader.number(in: RouteLimits.moments)
                else { return nil }
                return Item(seq: seq, attempt: attempt, rememberedUntil: until)
            })
        else { return nil }
        self.init(job: job, batch: batch, fence: fence, replyTo: replyTo, items: items)
    }
}

extension Settlement {
    fileprivate var bytes: [UInt8] {
        var writer = MessageWriter("s", capacity: 60 + 16 * items.count)
        writer.write(job)
        writer.write(Int64(items.count))
        for item in items {
            writer.write(item.seq)
            writer.write(item.attempt)
        }
        writer.write(closed == nil ? 0 : 1)
        if let closed {
            writer.write(closed.batch)
            writer.write(closed.fence)
        }
        return writer.bytes
    }

    fileprivate init?(_ reader: inout MessageReader) {
        guard let job = reader.number(),
            let items = reader.list({ reader -> Item? in
                guard let seq = reader.number(), let attempt = reader.number() else { return nil }
                return Item(seq: seq, attempt: attempt)
            }), let isClosed = reader.number(in: 0...1)
        else { return nil }
        guard isClosed == 1 else {
            self.init(job: job, items: items)
            return
        }
        guard let batch = reader.number(), let fence = reader.number() else { return nil }
        self.init(job: job, items: items, closed: Closed(batch: batch, fence: fence))
    }
}

extension DesiredPart {
    fileprivate var bytes: [UInt8] {
        let patch = JSONValue.object(patch).text
        var writer = MessageWriter("d", capacity: 20 + patch.utf8.count + 40 * devices.count)
        writer.write(patch)
        writer.write(Int64(devices.count))
        for device in devices {
            writer.write(device.deviceID)
            writer.write(device.version)
        }
        return writer.bytes
    }

    fileprivate init?(_ reader: inout MessageReader) {
        guard let text = reader.text(), let patch = Self.patch(text),
            let devices = reader.list({ reader -> (String, Int64)? in
                guard let device = reader.text(), let version = reader.number() else { return nil }
                return (device, version)
            })
        else { return nil }
        self.init(patch: patch, devices: devices)
    }

    private static func patch(_ text: String) -> JSONObject? {
        do {
            return try JSONValue(parsing: text, limits: JSONLimits(bytes: RouteLimits.messageBytes)).objectValue
        } catch {
            return nil
        }
    }
}

extension AnswerPart {
    package var bytes: [UInt8] {
        let payloads = items.reduce(0) { $0 + $1.payloadBytes }
        var writer = MessageWriter("a", capacity: 100 + 20 * items.count + payloads)
        for number in [job, batch, fence, number] { writer.write(number) }
        writer.write(gateway)
        writer.write(Int64(items.count))
        for item in items {
            writer.write(item.seq)
            writer.write(letter: item.outcome.letter)
            if case .answered(let status, let payload) = item.outcome {
                writer.write(status)
                writer.write(payload)
            }
        }
        return writer.bytes
    }

    package init?(_ bytes: [UInt8]) {
        let part = MessageReader.read(bytes) { reader -> AnswerPart? in
            guard reader.letter() == "a", let job = reader.number(), let batch = reader.number(),
                let fence = reader.number(), let number = reader.number(), let gateway = reader.text(),
                let items = reader.list({ reader -> Item? in
                    guard let seq = reader.number(), let outcome = CallOutcome(&reader) else { return nil }
                    return Item(seq: seq, outcome: outcome)
                })
            else { return nil }
            return AnswerPart(
                job: job, batch: batch, fence: fence, number: number, gateway: gateway, items: items)
        }
        guard let part else { return nil }
        self = part
    }
}

extension AnswerPart.Item {
    /// Of the answer, 0 without one.
    package var payloadBytes: Int {
        if case .answered(_, let payload) = outcome { payload.utf8.count } else { 0 }
    }
}

extension CallOutcome {
    fileprivate var letter: Unicode.Scalar {
        switch self {
        case .answered: "a"
        case .timedOut: "t"
        case .dropped: "d"
        case .invalidAnswer: "i"
        case .forgotten: "f"
        case .inFlight: "w"
        case .notConnected: "c"
        case .tooLate: "l"
        case .tooManyInFlight: "m"
        case .neverSent: "n"
        }
    }

    fileprivate init?(_ reader: inout MessageReader) {
        switch reader.letter() {
        case "a":
            guard let status = reader.number(), let payload = reader.text() else { return nil }
            self = .answered(status: status, payload: payload)
        case "t": self = .timedOut
        case "d": self = .dropped
        case "i": self = .invalidAnswer
        case "f": self = .forgotten
        case "w": self = .inFlight
        case "c": self = .notConnected
        case "l": self = .tooLate
        case "m": self = .tooManyInFlight
        case "n": self = .neverSent
        default: return nil
        }
    }
}
