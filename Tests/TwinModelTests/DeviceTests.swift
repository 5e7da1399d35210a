// Goal: identities accept what SDKs send and refuse what the wire contract's 6.2 forbids; documents have its members.
// Method: tables.

import JSON
import Testing
import TwinModel

private let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
/// Knows the texts of this file.
private func decodedLength(_ text: String) -> Int? { [key: 32, "AAAA": 3, "short+15": 15][text] }

private func parse(_ text: String) throws -> DeviceDefinition {
    let object = try #require(try JSONValue(parsing: text).objectValue)
    return try DeviceDefinition.parse(object, field: "devices[2].", decodedLength: decodedLength)
}

@Suite struct DeviceTests {
    @Test(arguments: ["a", "Dev-1", "-:.+%_#*?!(),=@;$'", String(repeating: "x", count: 128)])
    func ids(_ text: String) throws { #expect(try DeviceID(text).text == text) }

    @Test(arguments: [
        ("", "deviceId must have 1 to 128 characters; it has 0."),
        (String(repeating: "x", count: 129), "it has 129."), ("a b", "may contain only"), ("a/b", "may contain only"),
        ("é", "may contain only"), ("a\"b", "may contain only"),
    ])
    func badIDs(_ text: String, _ message: String) {
        let error = #expect(throws: TwinModelError.self) { try DeviceID(text) }
        #expect(error?.message.contains(message) == true)
    }

    @Test func definitions() throws {
        #expect(try parse("{}") == DeviceDefinition())
        let python = try parse(
            #"""
            {"deviceId":"dev-1","status":"enabled","authentication":{"symmetricKey":{"primaryKey":"\#(key)",
            "secondaryKey":""},"type":"sas"},"capabilities":{"iotEdge":false},"statusReason":null,"unknown":1}
            """#)
        #expect(python.status == .enabled)
        #expect(python.authenticationType == .sas)
        #expect(python.primaryKey == key)
        #expect(python.secondaryKey == nil, "an empty key asks for a generated one")
        #expect(python.isEdge == false)
        let thumbprint = String(repeating: "aB", count: 20)
        let x509 = try parse(#"{"authentication":{"x509Thumbprint":{"primaryThumbprint":"\#(thumbprint)"}}}"#)
        #expect(x509.authenticationType == .selfSigned)
        #expect(x509.primaryThumbprint == thumbprint)
    }

    @Test(arguments: [
        (#"{"status":"on"}"#, "devices[2].status must be enabled or disabled; it is 'on'."),
        (#"{"status":5}"#, "devices[2].status must be a string; it is a number."),
        (
            #"{"statusReason":"\#(String(repeating: "x", count: 129))"}"#,
            "devices[2].statusReason is longer than 128 characters; it has 129."
        ),
        (#"{"capabilities":{"iotEdge":"no"}}"#, "devices[2].capabilities.iotEdge must be a Boolean; it is a string."),
        (#"{"capabilities":[]}"#, "devices[2].capabilities must be an object; it is an array."),
        (#"{"authentication":{"type":"kerberos"}}"#, "devices[2].authentication.type must be sas"),
        (
            #"{"authentication":{"symmetricKey":{"primaryKey":"!"}}}"#,
            "must be base64 of 16 to 64 bytes; it is no base64."
        ),
        (
            #"{"authentication":{"symmetricKey":{"secondaryKey":"AAAA"}}}"#,
            "devices[2].authentication.symmetricKey.secondaryKey must be base64 of 16 to 64 bytes; it is of 3 bytes."
        ),
        (#"{"authentication":{"type":"selfSigned"}}"#, "needs a thumbprint"),
        (#"{"authentication":{"x509Thumbprint":{"primaryThumbprint":"abc"}}}"#, "40 or 64 hexadecimal digits"),
    ])
    func refused(_ text: String, _ message: String) {
        let error = #expect(throws: TwinModelError.self) { try parse(text) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "-")")
    }

    private let device = DeviceRecord(
        deviceID: DeviceID(stored: "dev-1"), generationID: "1", etag: 123_456_789, status: .enabled, statusReason: nil,
        statusUpdatedTime: nil, authenticationType: .sas, primaryKey: key, secondaryKey: key, primaryThumbprint: nil,
        secondaryThumbprint: nil, isEdge: false, modelID: "", createdTime: 7, isConnected: false,
        connectionStateUpdatedTime: nil, lastActivityTime: nil)

    @Test("The contract's example of a new twin")
    func newTwin() throws {
        let twin = TwinRecord(
            device: device, etag: 1, desiredVersion: 1, reportedVersion: 1, tags: JSONObject(), desired: JSONObject(),
            reported: JSONObject(), desiredMetadata: JSONObject(), reportedMetadata: JSONObject())
        let expected = try JSONValue(
            parsing: #"""
                {"deviceId":"dev-1","etag":"AAAAAAAAAAE=","deviceEtag":"MTIzNDU2Nzg5","status":"enabled",
                "statusUpdateTime":"0001-01-01T00:00:00Z","connectionState":"Disconnected",
                "lastActivityTime":"0001-01-01T00:00:00Z","cloudToDeviceMessageCount":0,"authenticationType":"sas",
                "x509Thumbprint":{"primaryThumbprint":null,"secondaryThumbprint":null},"modelId":"","version":2,
                "properties":{"desired":{"$metadata":{"$lastUpdated":"T7"},"$version":1},
                "reported":{"$metadata":{"$lastUpdated":"T7"},"$version":1}},"capabilities":{"iotEdge":false}}
                """#)
        #expect(.object(twin.document { "T\($0)" }) == expected)
    }

    @Test func identity() throws {
        let document = JSONValue.object(device.document { "T\($0)" })
        #expect(document["etag"] == "MTIzNDU2Nzg5")
        #expect(document["authentication"]?["symmetricKey"]?["primaryKey"] == .string(key))
        #expect(document["statusUpdatedTime"] == "0001-01-01T00:00:00Z")
    }
}
