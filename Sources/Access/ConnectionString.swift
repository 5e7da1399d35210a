// Connection strings (wire contract 7.2): `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`.

import Crypto

package struct ConnectionString: Sendable {
    package let hostName: String
    package let policyName: String?
    package let deviceID: String?
    package let moduleID: String?
    package let gatewayHostName: String?
    /// Decoded; never logged.
    package let key: [UInt8]?
    /// A ready-made token instead of a key.
    package let token: String?

    package struct Failure: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// Names are case-sensitive; an unknown or repeated one is a mistake, as it is for the SDKs.
    package init(_ text: String) throws(Failure) {
        let known = [
            "HostName", "SharedAccessKeyName", "SharedAccessKey", "SharedAccessSignature", "DeviceId", "ModuleId",
            "GatewayHostName", "x509",
        ]
        var fields: [String: String] = [:]
        for part in text.split(separator: ";", omittingEmptySubsequences: true) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(pair[0])
            guard pair.count == 2 else {
                throw Failure(description: "part \(fields.count + 1) of the connection string has no '='")
            }
            guard known.contains(name) else {
                throw Failure(
                    description: "the connection string has the unknown name '\(name.prefix(40))'; known are "
                        + known.joined(separator: ", "))
            }
            guard fields.updateValue(String(pair[1]), forKey: name) == nil else {
                throw Failure(description: "the connection string has \(name) twice")
            }
        }
        guard let host = fields["HostName"], !host.isEmpty else {
            throw Failure(description: "the connection string has no HostName")
        }
        if let encoded = fields["SharedAccessKey"] {
            guard let decoded = Base64.decode(encoded), !decoded.isEmpty else {
                throw Failure(description: "the connection string's SharedAccessKey is not base64")
            }
            key = decoded
        } else {
            key = nil
        }
        hostName = host
        policyName = fields["SharedAccessKeyName"]
        deviceID = fields["DeviceId"]
        moduleID = fields["ModuleId"]
        gatewayHostName = fields["GatewayHostName"]
        token = fields["SharedAccessSignature"]
    }

    /// The service form.
    package static func service(hostName: String, policyName: String, key: [UInt8]) -> String {
        "HostName=\(hostName);SharedAccessKeyName=\(policyName);SharedAccessKey=\(Base64.encode(key))"
    }

    /// The value of an `Authorization` header for the service API: the ready-made token, or a new one; nil when the
    /// string has neither a token nor a policy with its key.
    package func authorization(expiry: Int64) -> String? {
        if let token { return token }
        guard let key, let policyName else { return nil }
        return SASToken.text(resource: hostName, key: key, policyName: policyName, expiry: expiry)
    }
}
