// A raw MQTT client for tests: sends what it is told, packets or bytes, and keeps what comes.

import MQTT
import ServiceKit
import Sockets
import Synchronization
import TestKit
import Testing

final class DeviceClient: Sendable {
    private struct State {
        var packets: [MQTTPacket] = []
        var isClosed = false
        var isOpen = false
        var failure: MQTTError?
        /// Of a WebSocket.
        var answer: String?
        var closeCode: Int?
    }

    private final class Handler: ConnectionHandler {
        let client: DeviceClient
        let reads: Bool
        var decoder = MQTTDecoder()
        var connection: Connection?
        var webSocket: ClientWebSocket?

        init(_ client: DeviceClient, reads: Bool, webSocket: ClientWebSocket?) {
            self.client = client
            self.reads = reads
            self.webSocket = webSocket
        }

        func write(_ bytes: [UInt8]) {
            connection?.write(webSocket == nil ? bytes : ClientWebSocket.frame(bytes))
        }

        func opened(_ connection: Connection) {
            self.connection = connection
            connection.outputLimit = 64 << 20
            if let webSocket {
                // Even one that does not read has to read the answer.
                connection.write(Array(webSocket.request.utf8))
            } else {
                opened()
            }
        }

        private func opened() {
            if !reads { connection?.pauseReading() }
            client.state.withLock { $0.isOpen = true }
        }

        func received(_ bytes: Span<UInt8>, _ connection: Connection) {
            guard webSocket != nil else { return receive(bytes) }
            let wasAnswered = webSocket?.answer != nil
            let payload = bytes.withUnsafeBufferPointer { webSocket?.payload(of: Array($0)) } ?? []
            client.state.withLock { state in
                state.answer = webSocket?.answer
                state.closeCode = webSocket?.closeCode
            }
            if !wasAnswered, webSocket?.answer != nil { opened() }
            receive(payload.span)
        }

        private func receive(_ bytes: Span<UInt8>) {
            decoder.append(bytes)
            do throws(MQTTError) {
                while let packet = try decoder.next() { client.state.withLock { $0.packets.append(packet) } }
            } catch {
                client.state.withLock { $0.failure = error }
            }
        }

        func closed(_ connection: Connection, _ reason: CloseReason) {
            client.state.withLock { $0.isClosed = true }
        }
    }

    private let state = Mutex(State())
    private let handler = Mutex<LoopBound<Handler>?>(nil)

    /// Connects the transport only.
    static func open(
        _ address: SocketAddress, reads: Bool = true, webSocket: ClientWebSocket? = nil
    ) async throws -> DeviceClient {
        let client = DeviceClient()
        let addresses = try await ResolvedAddress.resolve(address)
        let bound = await EventLoopGroup.shared.next().run { reactor in
            let handler = Handler(client, reads: reads, webSocket: webSocket)
            Connection.open(
                to: addresses, on: reactor, tls: nil, serverName: "localhost", timeout: .seconds(10), handler: handler)
            return LoopBound(handler, on: reactor)
        }
        client.handler.withLock { $0 = bound }
        try await eventually("the connection is open") { client.state.withLock { $0.isOpen } }
        return client
    }

    /// Packets that nobody has asked for yet.
    var packetCount: Int { state.withLock { $0.packets.count } }
    var isClosed: Bool { state.withLock { $0.isClosed } }
    /// The head of the answer to a WebSocket's request.
    var answer: String? { state.withLock { $0.answer } }
    /// Of the WebSocket's close frame.
    var closeCode: Int? { state.withLock { $0.closeCode } }

    func send(_ packets: MQTTPacket...) async throws { try await send(packets.flatMap(\.encoded)) }

    func send(_ bytes: [UInt8]) async throws {
        let bound = try #require(handler.withLock { $0 })
        await bound.loop.run { bound.value(on: $0).write(bytes) }
    }

    /// Goes without DISCONNECT.
    func abort() async throws {
        let bound = try #require(handler.withLock { $0 })
        await bound.loop.run { bound.value(on: $0).connection?.abort() }
    }

    /// Waits for the first packet for which `select` gives something, and takes it out.
    func expect<Value: Sendable>(
        _ what: String, _ select: (MQTTPacket) -> Value?
    ) async throws -> Value {
        var found: Value?
        try await eventually(what, within: .seconds(20), every: .milliseconds(2)) {
            found = state.withLock { state in
                for (index, packet) in state.packets.enumerated() {
                    guard let value = select(packet) else { continue }
                    state.packets.remove(at: index)
                    return value
                }
                return nil
            }
            return found != nil
        }
        return try #require(found)
    }

    func expectClosed(_ what: Comment = "closed") async throws {
        try await eventually("the gateway closes: \(what)", within: .seconds(20), every: .milliseconds(2)) { isClosed }
        #expect(state.withLock { $0.failure } == nil)
    }

    /// Code and session present of the CONNACK.
    func connack() async throws -> (code: UInt8, isPresent: Bool) {
        try await expect("CONNACK") { packet in
            if case .connack(let isPresent, let code) = packet { (code, isPresent) } else { nil }
        }
    }

    /// A PUBLISH with that topic, or one that begins with it if it ends in `*`.
    func publish(_ topic: String) async throws -> MQTTPublish {
        try await expect("PUBLISH \(topic)") { packet in
            guard case .publish(let publish) = packet else { return nil }
            let isIt = topic.hasSuffix("*") ? publish.topic.hasPrefix(topic.dropLast()) : publish.topic == topic
            return isIt ? publish : nil
        }
    }

    func subscribe(_ filters: String..., packetID: UInt16 = 1, qos: UInt8 = 1) async throws -> [UInt8] {
        try await send(.subscribe(packetID: packetID, filters.map { MQTTSubscription(filter: $0, qos: qos) }))
        return try await expect("SUBACK") { packet in
            if case .suback(packetID, let codes) = packet { codes } else { nil }
        }
    }

    /// A PINGREQ is answered: everything before has been handled.
    func ping() async throws {
        try await send(.pingreq)
        try await expect("PINGRESP") { $0 == .pingresp ? () : nil }
    }
}
