// Twin reads and patches of reported properties, in batches (wire contract 8.6 and 8.8). The patches of a batch are
// written in one transaction, the reads come after them; requests of one device keep their order.

import JSON
import MQTT
import ServiceKit
import SessionStore
import Sockets
import TwinModel

struct TwinRequest: Sendable {
    enum Question: Sendable {
        case get
        /// With the version that the device believes to be current.
        case reported(payload: [UInt8], version: Int64?)
    }

    let deviceID: String
    let rid: String
    let question: Question
    let handle: LoopBound<DeviceSession>
}

struct TwinDesk: Sendable {
    let store: SessionStore
    let reportedBytes: Int
    let errors: TwinErrors
    let log: Log
    let metrics: Metrics

    func serve(_ batch: [TwinRequest]) async {
        var patches: [(TwinRequest, ReportedChange)] = []
        var refused: [(TwinRequest, MQTTPublish)] = []
        for request in batch {
            guard case .reported(let payload, let version) = request.question else { continue }
            do {
                let patch = try self.patch(payload)
                patches.append(
                    (request, ReportedChange(deviceID: request.deviceID, patch: patch, version: version)))
            } catch {
                refused.append((request, errors.answer(error, rid: request.rid)))
            }
        }
        answer(refused)
        if !patches.isEmpty { await change(patches) }
        await read(
            batch.filter {
                if case .get = $0.question { true } else { false }
            })
    }

    // MARK: Reported properties

    private func patch(_ payload: [UInt8]) throws(TwinRefusal) -> JSONObject {
        guard payload.count <= reportedBytes else {
            throw TwinRefusal(.tooLarge, "The patch has \(payload.count) bytes; at most \(reportedBytes) are taken.")
        }
        do {
            let value = try JSONValue(
                parsing: payload, limits: JSONLimits(depth: TwinLimits.depth * 2, bytes: reportedBytes))
            guard let object = value.objectValue else {
                throw TwinRefusal(.invalid, "Reported properties must be a JSON object; the payload is \(value.kind).")
            }
            // Other clients send whole twins back; a device has no reason to.
            if let name = TwinRules.systemMembers.first(where: { object[$0] != nil }) {
                throw TwinRefusal(.invalid, "properties.reported.\(name) is the service's own and cannot be written.")
            }
            return try TwinRules.checked(object, section: .reported)
        } catch let error as TwinRefusal {
            throw error
        } catch {
            throw TwinRefusal(.invalid, "\(error)")
        }
    }

    private func change(_ patches: [(TwinRequest, ReportedChange)]) async {
        do {
            let outcomes = try await store.changeReported(patches.map(\.1))
            answer(zip(patches, outcomes).map { ($0.0, errors.answer($1, rid: $0.0.rid)) })
            count("reported", patches.count)
        } catch let error as StoreError where error.code == .invalidData && patches.count > 1 {
            // One of them cannot be stored: the others must not suffer for it.
            for patch in patches { await change([patch]) }
        } catch {
            log.warning(
                "reported_failed", [("error", .string("\(error)")), ("patches", .integer(Int64(patches.count)))])
            answer(patches.map { ($0.0, errors.answer(TwinRefusal(error), rid: $0.0.rid)) })
        }
    }

    // MARK: Reading

    private func read(_ requests: [TwinRequest]) async {
        guard !requests.isEmpty else { return }
        do {
            let twins = try await store.deviceTwins(of: Set(requests.map(\.deviceID)).sorted())
            answer(
                requests.map { request in
                    guard let twin = twins[request.deviceID] else {
                        return (request, errors.answer(TwinRefusal.noDevice, rid: request.rid))
                    }
                    let topic = HubPublish.twinResult(status: 200, rid: request.rid, version: nil).topic
                    return (request, MQTTPublish(topic: topic, payload: twin))
                })
            count("get", requests.count)
        } catch {
            log.warning("twin_get_failed", [("error", .string("\(error)"))])
            answer(requests.map { ($0, errors.answer(TwinRefusal(error), rid: $0.rid)) })
        }
    }

    private func count(_ kind: String, _ count: Int) {
        metrics.count(
            "muster_gateway_twin_requests_total", "Twin requests of devices that a store has answered", by: count,
            labels: [("kind", kind)])
    }

    private func answer(_ answers: [(TwinRequest, MQTTPublish)]) {
        var mail = SessionMail<MQTTPublish>(capacity: answers.count)
        for (request, answer) in answers { mail.put(answer, for: request.handle) }
        mail.deliver { session, answer in session.answered(answer) }
    }
}
