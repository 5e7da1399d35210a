// Messages to and from JSON text. A message that cannot be read is nil: it comes from another release or an old Redis,
// and is dropped and counted by the receiver; the sender's recovery covers it as it covers a lost one.

import JSON

extension GatewayMessage {
    package var text: String {
        let value: JSONValue
        switch self {
        case .calls(let part):
            value = .array([
                "c", .integer(part.job), .integer(part.batch), .integer(part.fence), .integer(part.number),
                .integer(part.sendBefore), .integer(part.responseMilliseconds), .string(part.replyTo),
                .string(part.method), .string(part.payload),
                .array(part.items.map { [.integer($0.seq), .integer($0.attempt), .string($0.deviceID)] }),
            ])
        case .inquiry(let inquiry):
            value = .array([
                "q", .integer(inquiry.job), .integer(inquiry.batch), .integer(inquiry.fence),
                .string(inquiry.replyTo),
                .array(
                    inquiry.items.map { [.integer($0.seq), .integer($0.attempt), .integer($0.rememberedUntil)] }),
            ])
        case .settlement(let settlement):
            value = .array(
                [
                    "s", .integer(settlement.job),
                    .array(settlement.items.map { [.integer($0.seq), .integer($0.attempt)] }),
                ] + (settlement.closed.map { [.integer($0.batch), .integer($0.fence)] } ?? []))
        case .desired(let part):
            value = .array([
                "d", .object(part.patch),
                .array(part.devices.map { [.string($0.deviceID), .integer($0.version)] }),
            ])
        case .close(let routes):
            value = .array(["x"] + routes.flatMap { [JSONValue.string($0.deviceID), .integer($0.session)] })
        case .registryChanged(let devices):
            value = .array(["r"] + devices.map { .string($0) })
        }
        return value.text
    }

    package init?(_ text: String) {
        guard let value = JSONValue(message: text)?.arrayValue, let kind = value.first?.stringValue else { return nil }
        switch kind {
        case "c": guard let part = CallPart(value) else { return nil }; self = .calls(part)
        case "q": guard let inquiry = Inquiry(value) else { return nil }; self = .inquiry(inquiry)
        case "s":
            guard let settlement = Settlement(value) else { return nil }
            self = .settlement(settlement)
        case "d": guard let part = DesiredPart(value) else { return nil }; self = .desired(part)
        case "x":
            guard value.count % 2 == 1 else { return nil }
            var routes: [SessionRoute] = []
            for index in stride(from: 1, to: value.count, by: 2) {
                guard let device = value[index].stringValue, let session = value[index + 1].integerValue else {
                    return nil
                }
                routes.append(SessionRoute(deviceID: device, session: session, flags: []))
            }
            self = .close(routes)
        case "r":
            let devices = value.dropFirst().compactMap(\.stringValue)
            guard devices.count == value.count - 1 else { return nil }
            self = .registryChanged(devices)
        default: return nil
        }
    }
}

extension CallPart {
    fileprivate init?(_ value: [JSONValue]) {
        guard value.count == 11, let numbers = value[1...6].integers, let replyTo = value[7].stringValue,
            let method = value[8].stringValue, let payload = value[9].stringValue, let list = value[10].arrayValue,
            RouteLimits.moments.contains(numbers[4]), RouteLimits.responseMilliseconds.contains(numbers[5])
        else { return nil }
        var items: [Item] = []
        items.reserveCapacity(list.count)
        for element in list {
            guard let item = element.arrayValue, item.count == 3, let seq = item[0].integerValue,
                let attempt = item[1].integerValue, let device = item[2].stringValue
            else { return nil }
            items.append(Item(seq: seq, attempt: attempt, deviceID: device))
        }
        self.init(
            job: numbers[0], batch: numbers[1], fence: numbers[2], number: numbers[3], sendBefore: numbers[4],
            responseMilliseconds: numbers[5], replyTo: replyTo, method: method, payload: payload, items: items)
    }
}

extension Inquiry {
    fileprivate init?(_ value: [JSONValue]) {
        guard value.count == 6, let numbers = value[1...3].integers, let replyTo = value[4].stringValue,
            let list = value[5].arrayValue
        else { return nil }
        var items: [Item] = []
        for element in list {
            guard let item = element.arrayValue, item.count == 3, let members = item[...].integers,
                RouteLimits.moments.contains(members[2])
            else { return nil }
            items.append(Item(seq: members[0], attempt: members[1], rememberedUntil: members[2]))
        }
        self.init(job: numbers[0], batch: numbers[1], fence: numbers[2], replyTo: replyTo, items: items)
    }
}

extension Settlement {
    fileprivate init?(_ value: [JSONValue]) {
        guard value.count == 3 || value.count == 5, let job = value[1].integerValue, let list = value[2].arrayValue,
            let closed = value[3...].integers
        else { return nil }
        var items: [Item] = []
        for element in list {
            guard let item = element.arrayValue, item.count == 2, let members = item[...].integers else { return nil }
            items.append(Item(seq: members[0], attempt: members[1]))
        }
        self.init(
            job: job, items: items, closed: closed.isEmpty ? nil : Closed(batch: closed[0], fence: closed[1]))
    }
}

extension DesiredPart {
    fileprivate init?(_ value: [JSONValue]) {
        guard value.count == 3, let patch = value[1].objectValue, let list = value[2].arrayValue else { return nil }
        var devices: [(String, Int64)] = []
        for element in list {
            guard let pair = element.arrayValue, pair.count == 2, let device = pair[0].stringValue,
                let version = pair[1].integerValue
            else { return nil }
            devices.append((device, version))
        }
        self.init(patch: patch, devices: devices)
    }
}

extension AnswerPart {
    package var text: String {
        JSONValue.array([
            .integer(job), .integer(batch), .integer(fence), .integer(number), .string(gateway),
            .array(items.map { .array([.integer($0.seq)] + $0.outcome.elements) }),
        ]).text
    }

    package init?(_ text: String) {
        guard let value = JSONValue(message: text)?.arrayValue, value.count == 6, let numbers = value[0...3].integers,
            let gateway = value[4].stringValue, let list = value[5].arrayValue
        else { return nil }
        var items: [Item] = []
        items.reserveCapacity(list.count)
        for element in list {
            guard let item = element.arrayValue, item.count >= 2, let seq = item[0].integerValue,
                let outcome = CallOutcome(item)
            else { return nil }
            items.append(Item(seq: seq, outcome: outcome))
        }
        self.init(
            job: numbers[0], batch: numbers[1], fence: numbers[2], number: numbers[3], gateway: gateway, items: items)
    }
}

extension CallOutcome {
    fileprivate var elements: [JSONValue] {
        switch self {
        case .answered(let status, let payload): ["a", .integer(status), .string(payload)]
        case .timedOut: ["t"]
        case .dropped: ["d"]
        case .invalidAnswer: ["i"]
        case .forgotten: ["f"]
        case .inFlight: ["w"]
        case .notConnected: ["c"]
        case .tooLate: ["l"]
        case .tooManyInFlight: ["m"]
        case .neverSent: ["n"]
        }
    }

    /// From an item whose first element is its seq.
    fileprivate init?(_ item: [JSONValue]) {
        switch item[1].stringValue {
        case "a":
            guard item.count == 4, let status = item[2].integerValue, let payload = item[3].stringValue else {
                return nil
            }
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

extension JSONValue {
    /// Messages come from our own processes, but through a store that others can write to.
    fileprivate init?(message text: String) {
        do {
            try self.init(parsing: text, limits: JSONLimits(depth: 64, bytes: RouteLimits.messageBytes))
        } catch {
            return nil
        }
    }
}

extension ArraySlice<JSONValue> {
    /// All elements as integers, or nil.
    fileprivate var integers: [Int64]? {
        var numbers: [Int64] = []
        for element in self {
            guard let number = element.integerValue else { return nil }
            numbers.append(number)
        }
        return numbers
    }
}
