// Goal: the operator's client against the real service: imports with every kind of bad entry, pages, jobs, refusals.
// Method: an API server over HTTP on stores of its own, and a client made from a connection string as an operator has it.

import API
import Access
import Foundation
import HTTP
import JSON
import JobStore
import Notices
import OperatorClient
import Postgres
import ServiceKit
import Sockets
import TestKit
import Testing
import TwinStore

@Suite struct OperatorClientServiceTests {
    /// `body` gets a client of the owner and the port.
    private func withClient(_ body: (OperatorClient, Int) async throws -> Void) async throws {
        try await withWorld { stores in
            let twins = TwinStore(stores.pool)
            let server = APIServer(
                configuration: APIConfiguration(
                    http: HTTPServer.Configuration(address: .host("127.0.0.1", port: 0)), hostNames: []),
                twins: twins, jobs: JobStore(pool: stores.pool), methods: MethodInvoker(stores),
                notifier: DesiredNotifier(stores), checks: [],
                log: stores.log.log,
                metrics: stores.metrics, clock: stores.clock, random: stores.random, wakeCoordinators: {})
            let port = try #require(try await server.start().port)
            let owner = try #require(try await twins.policies().first { $0.name == "iothubowner" })
            let client = try Self.client(
                ConnectionString.service(
                    hostName: "localhost:\(port)", policyName: owner.name, key: owner.primaryKey))
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(client, port))
            } catch {
                result = .failure(error)
            }
            client.close()
            await server.shutdown(grace: .seconds(1))
            try result.get()
        }
    }

    private static func client(_ connectionString: String) throws -> OperatorClient {
        var configuration = OperatorClient.Configuration(
            endpoint: try ServiceEndpoint(connectionString: connectionString, isPlain: true))
        configuration.attempts = 1
        return OperatorClient(configuration, clock: SystemClock(), random: SystemRandom())
    }

    private func importText(
        _ text: String, _ client: OperatorClient, mode: DeviceImport.Mode = .create
    ) async throws -> (DeviceImport.Summary, [ImportFailure]) {
        let path = NSTemporaryDirectory() + "muster-import-" + UUID().uuidString
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        let file = try ImportFile(path: path, format: nil)
        try FileManager.default.removeItem(atPath: path)
        var failures: [ImportFailure] = []
        let summary = try await DeviceImport(client: client, mode: mode).run(file) { event in
            if case .failure(let failure) = event { failures.append(failure) }
        }
        return (summary, failures.sorted { $0.line < $1.line })
    }

    @Test("A bad entry costs itself and nothing else; every other device is there with its tags")
    func imports() async throws {
        try await withClient { client, _ in
            var text = "deviceId,tags.floor,desired.rate\n"
            for index in 0..<1000 { text += "d\(index),\(index % 7),1.5\n" }
            text += "d5,1,1\nbad id,1,1\nd2000,1\nlast,1,1"
            let (summary, failures) = try await importText(text, client)
            #expect(summary.imported == 1001)
            #expect(summary.stopped == nil)
            #expect(failures.map(\.line) == [1002, 1003, 1004])
            #expect(failures[1].code == "ArgumentInvalid")

            let (again, existing) = try await importText("deviceId\nd1\nnew\n", client)
            #expect(again.imported == 1)
            #expect(existing.map(\.code) == ["DeviceAlreadyExists"])
            #expect(try await client.twin("d8")["tags"] == ["floor": 1])

            let (updated, absent) = try await importText(
                "{\"id\":\"d8\",\"tags\":{\"floor\":9}}\n{\"id\":\"none\",\"tags\":{}}\n", client, mode: .updateTwin)
            #expect(updated.imported == 1)
            #expect(absent.map(\.code) == ["DeviceNotFound"])
            #expect(try await client.twin("d8")["tags"] == ["floor": 9])
        }
    }

    @Test("A refused credential stops an import at once, and says so")
    func stopped() async throws {
        try await withClient { _, port in
            let stranger = try Self.client(
                "HostName=localhost:\(port);SharedAccessKeyName=service;SharedAccessKey=a2V5")
            let (summary, failures) = try await importText("deviceId\na\nb\n", stranger)
            stranger.close()
            #expect(summary.stopped?.kind == .unauthorized)
            #expect(summary.handled == 0)
            #expect(failures.isEmpty)
        }
    }

    @Test("Lists come whole, whatever the size of their pages")
    func pages() async throws {
        try await withClient { client, _ in
            _ = try await importText("deviceId\n" + (0..<23).map { "d\($0)" }.joined(separator: "\n"), client)
            for size in [1, 7, 23, 100] {
                var ids: Set<String> = []
                for try await page in client.query("SELECT deviceId FROM devices", pageSize: size) {
                    #expect(page.itemType == "Raw")
                    for item in page.items { ids.insert(item["deviceId"]?.stringValue ?? "") }
                }
                #expect(ids.count == 23)
            }
        }
    }

    @Test("Jobs: the same again is the same; refusals have their kind")
    func jobs() async throws {
        try await withClient { client, _ in
            let body: JSONValue = [
                "type": "scheduleUpdateTwin", "queryCondition": "*", "updateTwin": ["etag": "*", "tags": ["a": 1]],
            ]
            _ = try await client.createJob("j1", body)
            _ = try await client.createJob("j1", body)
            #expect(try await client.job("j1")["jobId"] == "j1")
            var listed = 0
            for try await page in client.jobs(type: nil, status: "queued") { listed += page.items.count }
            #expect(listed == 1)
            #expect(try await client.cancelJob("j1")["status"] == "cancelled")

            await refused(.conflict, "JobAlreadyExists") {
                _ = try await client.createJob(
                    "j1", ["type": "scheduleUpdateTwin", "queryCondition": "a = 1", "updateTwin": ["tags": ["b": 1]]])
            }
            await refused(.notFound, "JobNotFound") { _ = try await client.job("none") }
            await refused(.notFound, "DeviceNotFound") { _ = try await client.twin("a?b%c") }
            await refused(.invalid, "ArgumentInvalid") {
                for try await _ in client.query("SELECT") {}
            }
            try await client.bulk(["id": "d1", "importMode": "create"])
            await refused(.conflict, "DeviceAlreadyExists") {
                try await client.bulk(["id": "d1", "importMode": "create"])
            }
            await refused(.conflict, "PreconditionFailed") {
                _ = try await client.patchTwin("d1", ["tags": ["a": 1]], etag: "AAAA")
            }
            try await client.deleteDevice("d1", etag: nil)
            await refused(.notFound, "DeviceNotFound") { _ = try await client.device("d1") }
        }
    }

    private func refused(
        _ kind: OperatorError.Kind, _ code: String, _ location: SourceLocation = #_sourceLocation,
        _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            Issue.record("not refused", sourceLocation: location)
        } catch let error as OperatorError {
            #expect(error.kind == kind, sourceLocation: location)
            #expect(error.code == code, sourceLocation: location)
        } catch {
            Issue.record("\(error)", sourceLocation: location)
        }
    }
}
