// A WebSocket's client, by hand: its request, masked frames, and what a server's frames hold. A pure value; DeviceClient
// puts it between its connection and MQTT.

struct ClientWebSocket: Sendable {
    static let target = "/$iothub/websocket?iothub-no-client-cert=true"
    static let fields = [
        "Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "mqtt",
    ]

    let request: String
    /// The head of the answer, once it is there.
    private(set) var answer: String?
    private(set) var closeCode: Int?
    private var rest: [UInt8] = []

    /// `fields` replace those of a proper request.
    init(_ start: String = "GET \(target) HTTP/1.1", fields: [String: String] = [:]) {
        let lines = Self.fields.merging(fields) { $1 }.map { "\($0): \($1)" }
        request = ([start] + lines).joined(separator: "\r\n") + "\r\n\r\n"
    }

    static func frame(_ payload: [UInt8]) -> [UInt8] {
        let mask: [UInt8] = [0x12, 0x34, 0x56, 0x78]
        var bytes: [UInt8] = [0x82]
        // The shortest form is asked for.
        let (form, width): (UInt8, Int) =
            switch payload.count {
            case ..<126: (UInt8(payload.count), 0)
            case ..<65536: (126, 2)
            default: (127, 8)
            }
        bytes.append(0x80 | form)
        for index in (0..<width).reversed() { bytes.append(UInt8(truncatingIfNeeded: payload.count >> (8 * index))) }
        return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    /// What binary frames hold that end in these bytes; frames and the answer may come in pieces.
    mutating func payload(of bytes: [UInt8]) -> [UInt8] {
        rest += bytes
        if answer == nil {
            let text = String(decoding: rest, as: UTF8.self)
            guard let end = text.firstRange(of: "\r\n\r\n") else { return [] }
            let head = text[..<end.lowerBound]
            answer = String(head)
            rest.removeFirst(head.utf8.count + 4)
        }
        guard answer?.hasPrefix("HTTP/1.1 101 ") == true else { return [] }
        var payload: [UInt8] = []
        while let (opcode, content) = takeFrame() {
            if opcode == 2 { payload += content }
            if opcode == 8 { closeCode = content.prefix(2).reduce(0) { $0 << 8 | Int($1) } }
        }
        return payload
    }

    private mutating func takeFrame() -> (opcode: UInt8, payload: [UInt8])? {
        guard rest.count >= 2 else { return nil }
        let form = rest[1] == 126 ? 2 : rest[1] == 127 ? 8 : 0
        guard rest.count >= 2 + form else { return nil }
        let count = form == 0 ? Int(rest[1]) : rest[2..<2 + form].reduce(0) { $0 << 8 | Int($1) }
        guard rest.count >= 2 + form + count else { return nil }
        defer { rest.removeFirst(2 + form + count) }
        return (rest[0] & 0x0F, Array(rest[(2 + form)..<(2 + form + count)]))
    }
}
