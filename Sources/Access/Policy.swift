// Shared access policies (wire contract 7.1): who may do what.

package enum Permission: String, Sendable, CaseIterable {
    case registryRead = "RegistryRead"
    case registryWrite = "RegistryWrite"
    case serviceConnect = "ServiceConnect"
    case deviceConnect = "DeviceConnect"
}

package struct Policy: Sendable, Hashable {
    package let name: String
    package let permissions: Set<Permission>
    /// Raw keys; a token signed with either is valid. Never logged.
    package let primaryKey: [UInt8]
    package let secondaryKey: [UInt8]

    package init(name: String, permissions: Set<Permission>, primaryKey: [UInt8], secondaryKey: [UInt8]) {
        self.name = name
        self.permissions = permissions
        self.primaryKey = primaryKey
        self.secondaryKey = secondaryKey
    }

    /// Policies of one hub, from the wire contract.
    package static let countMaximum = 16
    package static let nameLength = 1...64

    /// Letters, digits and `-._`: what stands unencoded in a token and in a connection string.
    package static func isValid(name: String) -> Bool {
        nameLength.contains(name.utf8.count)
            && name.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}

/// A caller whose token was verified.
package struct Caller: Sendable, Hashable {
    package let policyName: String
    package let permissions: Set<Permission>

    package init(policyName: String, permissions: Set<Permission>) {
        self.policyName = policyName
        self.permissions = permissions
    }
}

/// The decision over one service token: everything but where policies come from.
package struct ServiceTokenCheck: Sendable {
    /// Names under which this hub is addressed; ports do not matter.
    package let hosts: [String]

    package init(hosts: [String]) { self.hosts = hosts }

    package func caller(
        token: SASToken, policy: Policy?, resource: [String], permission: Permission, unixTime: Double
    ) throws(SASError) -> Caller {
        guard let policy, policy.name == token.policyName else { throw .unknownPolicy }
        guard token.isSigned(byOneOf: [policy.primaryKey, policy.secondaryKey]) else { throw .wrongSignature }
        guard !token.isExpired(unixTime: unixTime) else { throw .expired }
        guard let scope = token.scope, scope.isFor(hosts: hosts) else { throw .wrongHost }
        guard scope.covers(resource) else { throw .wrongScope }
        guard policy.permissions.contains(permission) else { throw .missingPermission }
        return Caller(policyName: policy.name, permissions: policy.permissions)
    }
}

/// The decision over one device's token: signed with its own keys, or with a policy that may act as any device.
package struct DeviceTokenCheck: Sendable {
    private let services: ServiceTokenCheck

    package init(hosts: [String]) { services = ServiceTokenCheck(hosts: hosts) }

    /// `policy` is the one that the token names, if it names one.
    package func check(
        _ token: SASToken, deviceID: String, keys: [[UInt8]], policy: Policy?, unixTime: Double
    ) throws(SASError) {
        let resource = ["devices", deviceID]
        guard token.policyName == nil else {
            _ = try services.caller(
                token: token, policy: policy, resource: resource, permission: .deviceConnect, unixTime: unixTime)
            return
        }
        guard token.isSigned(byOneOf: keys) else { throw .wrongSignature }
        guard !token.isExpired(unixTime: unixTime) else { throw .expired }
        guard let scope = token.scope, scope.isFor(hosts: services.hosts) else { throw .wrongHost }
        guard scope.covers(resource) else { throw .wrongScope }
    }
}
