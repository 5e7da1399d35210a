// Goal: device identities behave as the wire contract's section 6 says, also when several clients write at the same time.
// Method: requests over HTTP; the replies are what SDKs rely on.

import Crypto
import HTTP
import JSON
import RouteStore
import Testing

@Suite struct RegistryTests {
    @Test("Create, read, update, list, delete, with the statuses that SDKs insist on")
    func lifeCycle() async throws {
        try await APIWorld.run { world in
            let key = Base64.encode([UInt8](repeating: 9, count: 32))
            let created = try await world.send(
                "PUT", "/devices/dev%25-1%2B%23",
                [
                    "deviceId": "dev%-1+#", "status": "enabled",
                    "authentication": [
                        "symmetricKey": ["primaryKey": .string(key), "secondaryKey": ""], "type": "sas",
                    ],
                    "capabilities": ["iotEdge": false],
                ])
            #expect(created.status == 200, "never 201")
            #expect(created.json["deviceId"] == "dev%-1+#")
            #expect(created.json["authentication"]?["symmetricKey"]?["primaryKey"] == .string(key))
            let generated = try #require(
                created.json["authentication"]?["symmetricKey"]?["secondaryKey"]?.stringValue)
            #expect(Base64.decode(generated)?.count == 32, "an empty key is generated")
            #expect(created.json["connectionState"] == "Disconnected")
            #expect(created.json["lastActivityTime"] == "0001-01-01T00:00:00Z")

            let read = try await world.send("GET", "/devices/dev%25-1%2B%23")
            #expect(read.json == created.json)
            let etag = try #require(read.json["etag"]?.stringValue)

            let updated = try await world.send(
                "PUT", "/devices/dev%25-1%2B%23", ["status": "disabled", "statusReason": "stolen"],
                headers: [("If-Match", "\"\(etag)\"")])
            #expect(updated.status == 200)
            #expect(updated.json["status"] == "disabled")
            #expect(updated.json["statusReason"] == "stolen")
            #expect(updated.json["etag"] != read.json["etag"])
            #expect(updated.json["generationId"] == read.json["generationId"])
            #expect(updated.json["authentication"] == read.json["authentication"], "keys stay when none are sent")
            #expect(updated.json["statusUpdatedTime"] != "0001-01-01T00:00:00Z")

            let stale = try await world.send(
                "PUT", "/devices/dev%25-1%2B%23", ["status": "enabled"], headers: [("If-Match", etag)])
            #expect(stale.status == 412)

            let list = try await world.send("GET", "/devices?top=5")
            #expect(list.json.arrayValue?.count == 1)
            let statistics = try await world.send("GET", "/statistics/devices")
            #expect(
                statistics.json == ["totalDeviceCount": 1, "enabledDeviceCount": 0, "disabledDeviceCount": 1])
            #expect(try await world.send("GET", "/statistics/service").json == ["connectedDeviceCount": 0])

            let deleted = try await world.send("DELETE", "/devices/dev%25-1%2B%23", headers: [("If-Match", "\"*\"")])
            #expect(deleted.status == 204, "never 200")
            #expect(deleted.body.isEmpty)
            #expect(try await world.send("GET", "/twins/dev%25-1%2B%23").status == 404)

            let again = try await world.send("PUT", "/devices/dev%25-1%2B%23", [:])
            #expect(again.json["generationId"] != created.json["generationId"])
        }
    }

    @Test("Of many creates of one id exactly one wins; of many updates with one etag too")
    func races() async throws {
        try await APIWorld.run { world in
            func statuses(_ send: @escaping @Sendable () async throws -> Reply) async throws -> [Int] {
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<12 { group.addTask { try await send().status } }
                    var statuses: [Int] = []
                    for try await status in group { statuses.append(status) }
                    return statuses.sorted()
                }
            }
            let creates = try await statuses { try await world.send("PUT", "/devices/one", [:]) }
            #expect(creates == [200] + Array(repeating: 409, count: 11))
            let etag = try #require(try await world.send("GET", "/devices/one").json["etag"]?.stringValue)
            let updates = try await statuses {
                try await world.send("PUT", "/devices/one", ["status": "disabled"], headers: [("If-Match", etag)])
            }
            #expect(updates == [200] + Array(repeating: 412, count: 11))
            let twin = try #require(try await world.send("GET", "/twins/one").json["etag"]?.stringValue)
            let patches = try await statuses {
                try await world.send("PATCH", "/twins/one", ["tags": ["a": 1]], headers: [("If-Match", twin)])
            }
            #expect(patches == [200] + Array(repeating: 412, count: 11))
            let deletes = try await statuses { try await world.send("DELETE", "/devices/one") }
            #expect(deletes == [204] + Array(repeating: 404, count: 11))
        }
    }

    @Test("Bulk: every import mode, with one entry of the reply for each refused device")
    func bulk() async throws {
        try await APIWorld.run { world in
            let ids = (0..<100).map { "bulk-\($0)" }
            let created = try await world.send(
                "POST", "/devices",
                .array(
                    ids.map {
                        [
                            "id": .string($0), "importMode": "create", "tags": ["site": "north"],
                            "properties": ["desired": ["net": ["ssid": "x"]]],
                        ]
                    }))
            #expect(created.status == 200)
            #expect(created.json == ["isSuccessful": true, "errors": [], "warnings": []])
            let twin = try await world.send("GET", "/twins/bulk-7").json
            #expect(twin["tags"] == ["site": "north"])
            #expect(twin["properties"]?["desired"]?["$version"] == 1)
            #expect(
                twin["properties"]?["desired"]?["$metadata"]?["net"]?["ssid"]?["$lastUpdatedVersion"] == 1)

            let etag = try #require(try await world.send("GET", "/devices/bulk-2").json["etag"])
            let mixed = try await world.send(
                "POST", "/devices",
                [
                    ["id": "bulk-0", "importMode": "create"],
                    ["id": "bulk-1", "importMode": "Update", "status": "disabled"],
                    ["id": "bulk-2", "importMode": "updateIfMatchETag", "eTag": etag, "status": "disabled"],
                    ["id": "bulk-3", "importMode": "updateIfMatchETag", "eTag": "AAAA", "status": "disabled"],
                    ["id": "bulk-4", "importMode": "Delete"],
                    ["id": "bulk-5", "importMode": "deleteIfMatchETag", "eTag": "AAAA"],
                    [
                        "id": "bulk-6", "importMode": "updateTwin", "tags": ["site": nil, "floor": 3],
                        "properties": ["desired": ["net": ["channel": 6]]],
                    ],
                    [
                        "id": "bulk-8", "importMode": "updateTwinIfMatchETag", "twinETag": "AAAAAAAAAAk=",
                        "tags": ["a": 1],
                    ],
                    [
                        "id": "bulk-9", "importMode": "updateTwinIfMatchETag", "twinETag": "AAAAAAAAAAE=",
                        "tags": ["a": 1],
                    ],
                    ["id": "nobody", "importMode": "updateTwin", "tags": ["a": 1]],
                    ["id": "new", "importMode": "create"],
                ])
            #expect(mixed.status == 400)
            #expect(mixed.errorCode == "BulkRegistryOperationFailure")
            #expect(mixed.json["isSuccessful"] == false)
            let errors = try #require(mixed.json["errors"]?.arrayValue).map {
                "\($0["deviceId"]?.stringValue ?? "") \($0["errorCode"]?.stringValue ?? "")"
            }
            #expect(
                errors == [
                    "bulk-0 DeviceAlreadyExists", "bulk-3 PreconditionFailed", "bulk-5 PreconditionFailed",
                    "bulk-8 PreconditionFailed", "nobody DeviceNotFound",
                ])
            #expect(try await world.send("GET", "/devices/bulk-1").json["status"] == "disabled")
            #expect(try await world.send("GET", "/devices/bulk-3").json["status"] == "enabled")
            #expect(try await world.send("GET", "/devices/bulk-4").status == 404)
            #expect(try await world.send("GET", "/devices/new").status == 200)
            let patched = try await world.send("GET", "/twins/bulk-6").json
            #expect(patched["tags"] == ["floor": 3])
            let desired = patched["properties"]?["desired"]
            #expect(desired?["net"] == ["ssid": "x", "channel": 6])
            #expect(desired?["$version"] == 2)
            #expect(desired?["$metadata"]?["net"]?["ssid"]?["$lastUpdatedVersion"] == 1)
            #expect(desired?["$metadata"]?["net"]?["channel"]?["$lastUpdatedVersion"] == 2)
            #expect(patched["etag"] == "AAAAAAAAAAI=")
        }
    }

    @Test("The gateways of devices that were deleted or disabled are told", arguments: ["DELETE", "PUT", "POST"])
    func gatewaysAreTold(method: String) async throws {
        try await APIWorld.run { world in
            for name in ["a", "b"] {
                #expect(try await world.send("PUT", "/devices/\(name)", ["deviceId": .string(name)]).status == 200)
            }
            let gateway = GatewayID(name: "g", incarnation: "1")
            _ = try await world.routes.beat(gateway, candidate: "c")
            try await world.routes.publish([SessionRoute(deviceID: "a", session: 1, flags: [])], of: gateway)
            let changed: Reply
            switch method {
            case "DELETE": changed = try await world.send("DELETE", "/devices/a", headers: [("If-Match", "*")])
            case "PUT":
                changed = try await world.send(
                    "PUT", "/devices/a", ["status": "disabled"], headers: [("If-Match", "*")])
            default:
                changed = try await world.send(
                    "POST", "/devices", [["id": "a", "importMode": "delete"], ["id": "b", "importMode": "delete"]])
            }
            #expect(changed.status == 200 || changed.status == 204)
            let (messages, _) = try await world.routes.receive(gateway, timeout: .seconds(20))
            guard case .registryChanged(let devices)? = messages.first else {
                Issue.record("\(messages)")
                return
            }
            #expect(devices == ["a"])
        }
    }
}
