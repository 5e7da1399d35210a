// Desired changes reach connected devices, also when the process that made them dies before it tells (design 4.5).

import JSON
import JobModel
import JobStore
import Notices
import RouteStore
import ServiceKit
import TestKit
import Testing
import TwinModel
import TwinStore

@Suite struct NoticeTests {
    private static let patch: JSONObject = ["properties": ["desired": ["floor": 3, "old": nil]], "etag": "*"]

    private func gateway(_ world: JobWorld, devices: [String]) async throws -> DeviceDouble {
        let gateway = DeviceDouble("g", world) { _, _ in .silence }
        try await gateway.start()
        try await gateway.connect(devices)
        return gateway
    }

    @Test func aJobTellsEachConnectedDeviceOnceWithItsVersion() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1200) { _ in [:] }
            try await world.execute("UPDATE twins SET desired_version = 7 WHERE device_id = 'd-0000001'")
            let gateway = try await gateway(world, devices: ["d-0000000", "d-0000001", "d-0001199"])
            try await world.startCoordinator()
            try await world.startWorker()
            _ = try await world.put("t", patch: Self.patch, condition: "*")
            _ = try await world.wait(for: "t") { $0.state == .completed }
            try await eventually("three notices and no mark", within: JobWorld.patience) {
                let marks = try await world.query("SELECT count(*)::int AS n FROM work_batches WHERE to_notify")
                return gateway.notices.count == 3 && marks == 0
            }
            // As PostgreSQL orders the members of what it stores.
            let text = #"{"old":null,"floor":3}"#
            #expect(gateway.notices["d-0000000"]?.map(\.version) == [2])
            #expect(gateway.notices["d-0000001"]?.map(\.version) == [8])
            #expect(gateway.notices.values.allSatisfy { $0.allSatisfy { $0.patch == text } })
            await gateway.die()
        }
    }

    @Test func aPatchOfTagsTellsNothing() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(3) { _ in [:] }
            let gateway = try await gateway(world, devices: ["d-0000000"])
            try await world.startCoordinator()
            try await world.startWorker()
            _ = try await world.put("t", patch: ["tags": ["a": 1]], condition: "*")
            _ = try await world.wait(for: "t") { $0.state == .completed }
            #expect(try await world.query("SELECT count(*)::int AS n FROM work_batches WHERE to_notify") == 0)
            #expect(gateway.notices.isEmpty)
            await gateway.die()
        }
    }

    @Test func theSweepTellsWhatADeadWorkerDidNot() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(2) { _ in [:] }
            try await world.execute("UPDATE twins SET desired = '{\"kept\": 1, \"old\": 2}'")
            let gateway = try await gateway(world, devices: ["d-0000000"])
            try await world.startCoordinator()
            _ = try await world.put("t", patch: Self.patch, condition: "*")
            // Commits the patch and is never heard of again.
            let worker = WorkerID("dead")
            let id = try #require(try await world.takeWhenOffered(worker).first)
            let batch = try #require(try await world.store.claim([id], worker: worker).first)
            let update = TwinUpdate(stored: Self.patch)
            _ = try await world.store.patch(
                batch, seqs: batch.firstSeq...batch.lastSeq, with: JobStore.BatchPatch(update), shard: 0)
            try await eventually("the notice of the sweep", within: JobWorld.patience) { !gateway.notices.isEmpty }
            let notice = try #require(gateway.notices["d-0000000"]?.first)
            // All present values, and null for what the patch deleted.
            #expect(notice.version == 2 && notice.patch == #"{"kept":1,"floor":3,"old":null}"#)
            try await eventually("no mark", within: JobWorld.patience) {
                try await world.query("SELECT count(*)::int AS n FROM work_batches WHERE to_notify") == 0
            }
            await gateway.die()
        }
    }

    @Test func singleTwinsAreToldAndSweptToo() async throws {
        try await JobWorld.run { world in
            try await world.addDevices(1) { _ in [:] }
            let id = try DeviceID("d-0000000")
            let twins = TwinStore(world.pool)
            let gateway = try await gateway(world, devices: [id.text])
            let change = TwinChange(
                deviceID: id, patch: TwinPatch(tags: nil, desired: ["a": 1, "b": nil]), condition: .any)
            _ = try await twins.changeTwins([change])
            let notifier = DesiredNotifier(routes: world.routes, metrics: Metrics())
            try await notifier.publishNotices(of: [id.text], twins)
            _ = try await twins.replaceTwin(id, tags: [:], desired: ["c": 2], condition: .any)
            try await notifier.publishNotices(of: [id.text], twins)
            // This one's process dies before it tells.
            _ = try await twins.changeTwins([change])
            try await world.startCoordinator()
            try await eventually("three notices", within: JobWorld.patience) { gateway.notices[id.text]?.count == 3 }
            let notices = gateway.notices[id.text] ?? []
            #expect(notices.map(\.version) == [2, 3, 4])
            #expect(notices[0].patch == #"{"a":1,"b":null}"#)
            #expect(notices[1].patch == #"{"a":null,"c":2}"#, "null for the key that is gone")
            try await eventually("no notice left", within: JobWorld.patience) {
                try await world.query("SELECT count(*)::int AS n FROM twin_notices") == 0
            }
            await gateway.die()
        }
    }
}
