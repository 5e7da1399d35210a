// The account of a fleet: sums by method, and what each device saw, in a form that tests compare with what jobs recorded.

package import JSON

/// How often devices were called.
package struct CallSummary: Sendable, Equatable {
    package struct Method: Sendable, Equatable {
        package var received = 0
        package var devicesOnce = 0
        package var devicesRepeatedly = 0
    }

    /// Devices that were called never, once, and more often, by any method.
    package var devicesNever = 0
    package var devicesOnce = 0
    package var devicesRepeatedly = 0
    package var methods: [String: Method] = [:]
    /// Calls whose rid the device had seen before.
    package var repeatedRIDs = 0
    /// Calls beyond those that are kept of a device; they are in no sum by method.
    package var unrecorded = 0

    package init() {}

    static func += (left: inout CallSummary, right: CallSummary) {
        left.devicesNever += right.devicesNever
        left.devicesOnce += right.devicesOnce
        left.devicesRepeatedly += right.devicesRepeatedly
        left.repeatedRIDs += right.repeatedRIDs
        left.unrecorded += right.unrecorded
        left.methods.merge(right.methods) { one, other in
            Method(
                received: one.received + other.received, devicesOnce: one.devicesOnce + other.devicesOnce,
                devicesRepeatedly: one.devicesRepeatedly + other.devicesRepeatedly)
        }
    }

    mutating func add(_ account: DeviceAccount, _ methods: TextTable) {
        switch account.callCount {
        case 0: devicesNever += 1
        case 1: devicesOnce += 1
        default: devicesRepeatedly += 1
        }
        unrecorded += account.callCount - account.calls.count
        repeatedRIDs += account.repeatedRIDs
        var counts: [UInt32: Int] = [:]
        for call in account.calls { counts[call.method, default: 0] += 1 }
        for (method, count) in counts {
            var sum = self.methods[methods[method]] ?? Method()
            sum.received += count
            if count == 1 { sum.devicesOnce += 1 } else { sum.devicesRepeatedly += 1 }
            self.methods[methods[method]] = sum
        }
    }
}

extension FleetShard {
    var summary: CallSummary {
        var summary = CallSummary()
        for device in devices { summary.add(device.session.account, context.methods) }
        return summary
    }

    func lines(_ range: Range<Int>) -> [String] {
        devices[range.clamped(to: devices.indices)].map { device in
            JSONValue.object(device.session.document(context)).text
        }
    }
}

extension DeviceSession {
    func document(_ context: SessionContext) -> JSONObject {
        var calls: [String: [JSONValue]] = [:]
        for call in account.calls {
            calls[context.methods[call.method], default: []].append([
                "rid": .string(call.rid), "payload": .string(context.payloads[call.payload]),
                "status": call.status.map { .integer(Int64($0)) } ?? .null,
            ])
        }
        let byMethod = calls.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.array($0.value)) }
        var document: JSONObject = [
            "device": .string(deviceID), "connects": .integer(Int64(account.connects)),
            "callCount": .integer(Int64(account.callCount)), "answerCount": .integer(Int64(account.answerCount)),
            "calls": .object(JSONObject(byMethod)),
            "desired": [
                "notificationCount": .integer(Int64(account.notificationCount)),
                "notified": .array(account.notified.map { .integer($0) }),
                "version": account.desiredVersion.map { .integer($0) } ?? .null,
                "document": account.desiredDocument.map { .object($0) } ?? .null,
            ],
        ]
        if traits.isOffline { document["isOffline"] = true }
        if traits.isSilent { document["isSilent"] = true }
        if traits.isFlapping { document["isFlapping"] = true }
        return document
    }
}

extension FleetCounters {
    /// With the calls in one object; the shape of `muster simulate --json`.
    package func document(_ summary: CallSummary) -> JSONObject {
        func number(_ value: Int) -> JSONValue { .integer(Int64(value)) }
        let byMethod = summary.methods.sorted { $0.key < $1.key }.map { name, method in
            (
                name,
                [
                    "received": number(method.received), "devicesOnce": number(method.devicesOnce),
                    "devicesRepeatedly": number(method.devicesRepeatedly),
                ] as JSONValue
            )
        }
        let codes = refusals.sorted { $0.key < $1.key }.map { (String($0.key), number($0.value)) }
        return [
            "devices": number(devices), "online": number(online), "connected": number(ready),
            "everConnected": number(everReady),
            "connections": [
                "accepted": number(connects), "lost": number(losses), "failed": number(failedConnects),
                "refused": .object(JSONObject(codes)), "refusedSubscriptions": number(refusedSubscriptions),
            ],
            "calls": [
                "received": number(calls), "answered": number(answers), "simulatedFailures": number(simulatedFailures),
                "neverAnswered": number(unanswered), "resentAnswers": number(resentAnswers),
                "repeatedRids": number(summary.repeatedRIDs), "unrecorded": number(summary.unrecorded),
                "devicesNever": number(summary.devicesNever), "devicesOnce": number(summary.devicesOnce),
                "devicesRepeatedly": number(summary.devicesRepeatedly), "methods": .object(JSONObject(byMethod)),
            ],
            "desired": [
                "notifications": number(notifications),
                "highestVersion": highestVersion.map { .integer($0) } ?? .null, "stale": number(staleNotifications),
                "gaps": number(gaps), "twinReads": number(twinReads), "failedTwinReads": number(failedTwinReads),
            ],
            "reported": [
                "sent": number(reports), "accepted": number(acceptedReports), "refused": number(refusedReports),
            ],
            "strangePackets": number(strangePackets),
        ]
    }
}
