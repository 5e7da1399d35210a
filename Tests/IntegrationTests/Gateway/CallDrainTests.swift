// Goal: a gateway that stops in order leaves no call whose outcome nobody knows: parts that come while it closes its
// sessions are answered, and none comes after that (I5).
// Method: a slow drain, and a part that is sent into it.

import JobModel
import LeaseStore
import RouteStore
import ServiceKit
import Synchronization
import TestKit
import Testing

@testable import Gateway

@Suite struct CallDrainTests {
    private func part(_ number: Int64) -> CallPart {
        CallPart(
            job: 1, batch: 0, fence: 1, number: number, sendBefore: 1 << 50, responseMilliseconds: 1000, replyTo: "w",
            method: "m", payload: "null", items: [.init(seq: 0, attempt: 0, deviceID: "a")])
    }

    @Test("Parts are taken until the last session is closed")
    func drain() async throws {
        try await GatewayWorld.run { world in
            var limits = GatewayLimits()
            limits.drainPause = .seconds(1)
            let gateway = try await world.start(limits: limits)
            try await world.addDevices("a")
            let client = try await world.connect(gateway, "a")
            async let stopped: Void = world.stop(gateway)
            try await client.expectClosed()
            #expect(try await world.routes.send(.calls(part(1)), to: gateway.id))
            try await stopped
            #expect(gateway.desk.parts.withLock { $0.map(\.number) } == [1])
        }
    }

    @Test("No part comes to a gateway that has left")
    func gone() async throws {
        try await GatewayWorld.run { world in
            let gateway = try await world.start()
            let (batch, worker) = (BatchID(job: 1, batch: 0), WorkerID("w"))
            _ = try await LeaseStore(redis: world.stores.redis).recreate(worker: worker, batches: [batch])
            #expect(try await world.routes.push(part(1), to: gateway.id, batch: batch, worker: worker) == .pushed)
            try await world.stop(gateway)
            #expect(try await world.routes.push(part(2), to: gateway.id, batch: batch, worker: worker) == .gone)
        }
    }
}
