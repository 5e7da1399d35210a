// Where the service is and who we are there, from an IoT Hub connection string.

import Access
import Sockets

package struct ServiceEndpoint: Sendable {
    /// Without brackets when it is an IPv6 address.
    package let host: String
    package let port: Int
    package let isPlain: Bool
    package let trustFile: String?
    /// For the `Host` header and the resource of tokens: as the connection string has it.
    package let hostName: String
    let credentials: ConnectionString

    package struct Failure: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// `HostName` is `host` or `host:port`; the port is 443, or 80 with `isPlain`, when it is not given.
    package init(connectionString text: String, isPlain: Bool = false, trustFile: String? = nil) throws(Failure) {
        let credentials: ConnectionString
        do {
            credentials = try ConnectionString(text)
        } catch {
            throw Failure(description: error.description)
        }
        guard credentials.deviceID == nil else {
            throw Failure(
                description:
                    "it is the connection string of a device; this needs one of the service, with SharedAccessKeyName")
        }
        guard credentials.authorization(expiry: 0) != nil else {
            throw Failure(description: "it needs SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature")
        }
        let (host, port) = try Self.split(credentials.hostName)
        self.host = host
        self.port = port ?? (isPlain ? 80 : 443)
        self.isPlain = isPlain
        self.trustFile = trustFile
        self.credentials = credentials
        hostName = credentials.hostName
    }

    private static func split(_ name: String) throws(Failure) -> (host: String, port: Int?) {
        let bare = HostName.withoutPort(name)
        let rest = name.dropFirst(bare.count)
        let host = bare.hasPrefix("[") && bare.hasSuffix("]") ? String(bare.dropFirst().dropLast()) : bare
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
            throw Failure(description: "HostName '\(name.prefix(100))' is no host name")
        }
        if rest.isEmpty {
            guard !host.contains(":") || bare.hasPrefix("[") else {
                throw Failure(
                    description: "HostName '\(name.prefix(100))' must be host or host:port; IPv6 stands in brackets")
            }
            return (host, nil)
        }
        guard rest.first == ":", let port = Int(rest.dropFirst()), (1...65535).contains(port) else {
            throw Failure(description: "the port of HostName '\(name.prefix(100))' must be from 1 to 65535")
        }
        return (host, port)
    }

    /// For messages: never holds a key.
    package var text: String {
        "\(isPlain ? "http" : "https")://\(SocketAddress.host(host, port: port))"
    }
}
