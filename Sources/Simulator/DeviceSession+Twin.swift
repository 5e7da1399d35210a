// The twin as a device sees it: read after subscribing, kept up to date by notifications, read again when one is missing,
// and the reported properties.

import JSON
import MQTT
import ServiceKit

/// A read of the twin that is under way or waits to be repeated.
struct TwinReading {
    /// Of the read under way.
    var rid: String?
    var deadline: Instant?
    /// The highest version that was notified since the read was sent, or for which it was sent: it must be as new.
    var wanted: Int64?
    var count = 0

    mutating func stop() {
        rid = nil
        deadline = nil
    }
}

extension DeviceSession {
    mutating func readTwin(_ context: SessionContext) {
        twin.count += 1
        let rid = "t\(twin.count)"
        twin.rid = rid
        twin.wanted = nil
        twin.deadline = context.now + SimulatorLimits.answerTimeout
        context.counters.twinReads += 1
        publish(.twinGet(rid: rid), [], context)
    }

    mutating func twinResult(_ status: Int, rid: String, _ payload: [UInt8], _ context: SessionContext) {
        guard rid == twin.rid else {
            // Results of reported properties; late ones of reads that were given up are of no interest.
            guard rid.hasPrefix("r") else { return }
            if status < 300 { context.counters.acceptedReports += 1 } else { context.counters.refusedReports += 1 }
            if status >= 300 { context.report("reported", "\(deviceID): reported properties are refused: \(status)") }
            return
        }
        twin.rid = nil
        twin.deadline = nil
        guard status == 200, let desired = Self.object(payload)?["desired"]?.objectValue,
            let version = desired["$version"]?.integerValue
        else {
            context.counters.failedTwinReads += 1
            context.report("twin", "\(deviceID): its twin cannot be read: status \(status)")
            twin.deadline = context.now + SimulatorLimits.twinRetry
            return
        }
        account.replaceDesired(desired, version: version)
        // Read before the change that was notified meanwhile.
        if let wanted = twin.wanted, version < wanted { twin.deadline = context.now + SimulatorLimits.twinRetry }
    }

    mutating func desiredChanged(_ payload: [UInt8], version: Int64, _ context: SessionContext) {
        context.counters.notifications += 1
        context.counters.highestVersion = max(context.counters.highestVersion ?? version, version)
        account.recordNotification(version)
        guard let patch = Self.object(payload), patch["$version"]?.integerValue == version else {
            context.counters.strangePackets += 1
            return context.report("desired", "\(deviceID): a desired notification without its version in the body")
        }
        guard twin.rid == nil, let known = account.desiredVersion else {
            twin.wanted = max(twin.wanted ?? version, version)
            return
        }
        guard version > known else {
            context.counters.staleNotifications += 1
            return
        }
        guard !account.apply(patch, version: version) else { return }
        context.counters.gaps += 1
        readTwin(context)
        twin.wanted = version
    }

    // MARK: Reported properties

    /// With an interval the first report comes at a random moment of it, so that the devices' reports are spread.
    mutating func startReporting(_ context: SessionContext) {
        guard let interval = context.settings.reportInterval else { return report(context) }
        guard reportDeadline == nil else { return }
        reportDeadline = context.now + interval * context.random.unit(.report, device: number)
    }

    mutating func report(_ context: SessionContext) {
        reportCount += 1
        var patch = context.settings.report ?? JSONObject()
        if let interval = context.settings.reportInterval {
            patch["sequence"] = .integer(Int64(reportCount))
            reportDeadline = context.now + interval
        }
        context.counters.reports += 1
        publish(.reported(rid: "r\(reportCount)", version: nil), JSONValue.object(patch).bytes, context)
    }

    /// At QoS 0: a lost read is repeated, and a lost report shows in the account.
    private mutating func publish(_ kind: DevicePublish, _ payload: [UInt8], _ context: SessionContext) {
        send(.publish(MQTTPublish(topic: kind.topic(deviceID: deviceID), payload: payload)), context)
    }

    private static func object(_ payload: [UInt8]) -> JSONObject? {
        do {
            return try JSONValue(parsing: payload).objectValue
        } catch {
            return nil
        }
    }
}
