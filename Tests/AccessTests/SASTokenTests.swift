// Goal: tokens of every client are verified as the wire contract's 7.3 says. Method: its test vectors, the spellings of
// each client, and one refusal for every step of the algorithm.

import Access
import Crypto
import Testing

private let key = [UInt8](0...31)
private let policy = Policy(
    name: "iothubowner", permissions: [.serviceConnect, .registryRead], primaryKey: [UInt8](repeating: 7, count: 32),
    secondaryKey: key)
private let check = ServiceTokenCheck(hosts: ["localhost", "Hub.example:443"])
private let expiry: Int64 = 1_767_225_600

private func outcome(
    _ text: String, resource: [String] = ["jobs", "v2", "j"], permission: Permission = .serviceConnect,
    at unixTime: Double = Double(expiry) - 1, policy: Policy? = policy
) -> SASError? {
    do throws(SASError) {
        _ = try check.caller(
            token: SASToken(text), policy: policy, resource: resource, permission: permission, unixTime: unixTime)
        return nil
    } catch {
        return error
    }
}

private func signed(_ sr: String, se: String = "\(expiry)") -> String {
    PercentCoding.encode(Base64.encode(Hashing.hmacSHA256(key: key, message: Array("\(sr)\n\(se)".utf8))))
}

@Suite struct SASTokenTests {
    @Test(
        "The contract's vectors",
        arguments: [
            ("localhost", "ZSKvp7NKOs6g8NO3ogqgYF06kNFNgp8huiZondDN62o%3D"),
            ("localhost%2Fdevices%2Fdev-1", "/uUfHHifGA6i5iZVVhw8vJKSXrvoDob/yFfC%2B7gH1UM%3D"),
            ("localhost%2Fdevices%2Fdev-1", "%2FuUfHHifGA6i5iZVVhw8vJKSXrvoDob%2FyFfC%2B7gH1UM%3D"),
            ("localhost%2Fdevices%2Fdev-1", "/uUfHHifGA6i5iZVVhw8vJKSXrvoDob/yFfC+7gH1UM="),
            ("localhost%2fdevices%2fdev-1", "smH0nMcCjUEVuk577jAhwBI6wAfTLHIOqegnrrjXi8A%3D"),
            ("localhost/devices/dev-1", "x2f0vwsSgEE9tvrhv3TGY9hrVe5/0XzBKBPqu2qQsYQ%3D"),
        ])
    func vectors(_ sr: String, _ sig: String) {
        for text in [
            "SharedAccessSignature sr=\(sr)&sig=\(sig)&se=\(expiry)&skn=iothubowner",
            "sharedaccesssignature se=\(expiry)&skn=iothubowner&extra=1&sig=\(sig)&sr=\(sr)",
        ] {
            #expect(outcome(text, resource: ["devices", "dev-1"]) == nil, "\(text)")
        }
    }

    @Test func ownTokens() throws {
        let text = SASToken.text(resource: "localhost:8443", key: key, policyName: "iothubowner", expiry: expiry)
        #expect(text.hasPrefix("SharedAccessSignature sr=localhost%3A8443&sig="))
        #expect(outcome(text) == nil)
    }

    @Test(
        "Which hosts and paths a scope covers",
        arguments: [
            ("localhost", nil), ("LOCALHOST%3A8443", nil), ("hub.example", nil), ("HUB.EXAMPLE:8443", nil),
            ("localhost%2F", nil), ("localhost%2Fjobs", nil), ("localhost%2Fjobs%2Fv2%2Fj", nil),
            ("localhost%2Fjob", SASError.wrongScope), ("localhost%2Fdevices", .wrongScope),
            ("localhost%2Fjobs%2Fv2%2FJ", .wrongScope), ("localhost%2Fjobs%2Fv2%2Fj%2Fx", .wrongScope),
            ("other", .wrongHost), ("localhost.evil.example", .wrongHost), ("%2Fjobs", .wrongHost), ("%ff", .wrongHost),
        ])
    func scopes(_ sr: String, _ expected: SASError?) {
        #expect(
            outcome("SharedAccessSignature sr=\(sr)&sig=\(signed(sr))&se=\(expiry)&skn=iothubowner") == expected,
            "\(sr)")
    }

    @Test("An id that holds a percent sign appears as %25")
    func percent() {
        let sr = "localhost%2Fdevices%2Fa%25b%2Bc"
        let text = "SharedAccessSignature sr=\(sr)&sig=\(signed(sr))&se=\(expiry)&skn=iothubowner"
        #expect(outcome(text, resource: ["devices", "a%b+c"]) == nil)
    }

    @Test(
        "Malformed tokens",
        arguments: [
            "", "Bearer abc", "SharedAccessSignature", "SharedAccessSignature ",
            "SharedAccessSignature sr=localhost&se=1&skn=x", "SharedAccessSignature sr=localhost&sig=AA%3D%3D&skn=x",
            "SharedAccessSignature sig=AA%3D%3D&se=1", "SharedAccessSignature sr=a&sr=b&sig=AA%3D%3D&se=1",
            "SharedAccessSignature sr=a&sig=AA%3D%3D&se=-1", "SharedAccessSignature sr=a&sig=AA%3D%3D&se=1.5",
            "SharedAccessSignature sr=a&sig=AA%3D%3D&se=99999999999999999999",
            "SharedAccessSignature sr=a&sig=%zz&se=1",
            "SharedAccessSignature sr=a&sig=not!base64&se=1", "SharedAccessSignature sr&sig=AA%3D%3D&se=1",
            "SharedAccessSignature sr=a&sig=AA%3D%3D&se=1&x=\(String(repeating: "y", count: 5000))",
        ])
    func malformed(_ text: String) { #expect(outcome(text) == .malformed) }

    @Test func refusals() {
        let sig = signed("localhost")
        let good = "SharedAccessSignature sr=localhost&sig=\(sig)&se=\(expiry)&skn=iothubowner"
        #expect(outcome(good) == nil)
        #expect(outcome(good, at: Double(expiry)) == .expired)
        #expect(outcome(good, permission: .registryWrite) == .missingPermission)
        #expect(outcome(good, policy: nil) == .unknownPolicy)
        #expect(outcome("SharedAccessSignature sr=localhost&sig=\(sig)&se=\(expiry)") == .unknownPolicy)
        #expect(
            outcome("SharedAccessSignature sr=localhost&sig=\(sig)&se=\(expiry + 1)&skn=iothubowner") == .wrongSignature
        )
        #expect(
            outcome("SharedAccessSignature sr=Localhost&sig=\(sig)&se=\(expiry)&skn=iothubowner") == .wrongSignature)
        #expect(
            outcome("SharedAccessSignature sr=localhost&sig=AA%3D%3D&se=\(expiry)&skn=iothubowner") == .wrongSignature)
    }
}

@Suite struct ConnectionStringTests {
    @Test func service() throws {
        let text = ConnectionString.service(hostName: "localhost:8443", policyName: "service", key: key)
        let parsed = try ConnectionString(text)
        #expect(parsed.hostName == "localhost:8443")
        #expect(parsed.policyName == "service")
        #expect(parsed.key == key)
        #expect(parsed.authorization(expiry: 5)?.hasSuffix("&se=5&skn=service") == true)
    }

    @Test(arguments: [
        "", "HostName", "HostName=", "SharedAccessKey=AAAA", "HostName=a;HostName=b", "HostName=a;hostname=b",
        "HostName=a;SharedAccessKey=!", "HostName=a;Foo=1",
    ])
    func refused(_ text: String) { #expect(throws: ConnectionString.Failure.self) { try ConnectionString(text) } }
}

@Suite struct DeviceTokenTests {
    private let check = DeviceTokenCheck(hosts: ["localhost"])
    private let device = Policy(
        name: "device", permissions: [.deviceConnect], primaryKey: [UInt8](repeating: 1, count: 32),
        secondaryKey: [UInt8](repeating: 2, count: 32))

    private func outcome(
        _ resource: String, key: [UInt8] = key, policyName: String? = nil, keys: [[UInt8]] = [key],
        policy: Policy? = nil, at unixTime: Double = Double(expiry) - 1
    ) -> SASError? {
        do throws(SASError) {
            let text = SASToken.text(resource: resource, key: key, policyName: policyName, expiry: expiry)
            try check.check(
                SASToken(text), deviceID: "dev-1", keys: keys, policy: policy, unixTime: unixTime)
            return nil
        } catch {
            return error
        }
    }

    @Test func ownKeys() {
        #expect(outcome("localhost/devices/dev-1") == nil)
        #expect(outcome("LOCALHOST:8883/devices/dev-1", keys: [device.primaryKey, key]) == nil)
        #expect(outcome("localhost/devices/dev-1", keys: []) == .wrongSignature)
        #expect(outcome("localhost/devices/dev-1", keys: [device.primaryKey]) == .wrongSignature)
        #expect(outcome("localhost/devices/dev-1", at: Double(expiry)) == .expired)
        #expect(outcome("elsewhere/devices/dev-1") == .wrongHost)
        #expect(outcome("localhost/devices/dev-10") == .wrongScope)
        #expect(outcome("localhost/devices/Dev-1") == .wrongScope)
        #expect(outcome("localhost/devices/dev-1/modules/m") == .wrongScope)
    }

    @Test func policies() {
        func outcome(_ resource: String, key: [UInt8], _ policy: Policy?) -> SASError? {
            self.outcome(resource, key: key, policyName: "device", policy: policy)
        }
        #expect(outcome("localhost", key: device.primaryKey, device) == nil)
        #expect(outcome("localhost/devices", key: device.secondaryKey, device) == nil)
        #expect(outcome("localhost/devices/other", key: device.primaryKey, device) == .wrongScope)
        #expect(
            outcome("localhost", key: key, device) == .wrongSignature, "a device's key does not make a policy's token")
        #expect(outcome("localhost", key: device.primaryKey, nil) == .unknownPolicy)
        let service = Policy(
            name: "device", permissions: [.serviceConnect], primaryKey: device.primaryKey,
            secondaryKey: device.secondaryKey)
        #expect(outcome("localhost", key: device.primaryKey, service) == .missingPermission)
    }
}
