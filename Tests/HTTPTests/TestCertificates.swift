// A certificate authority and a server certificate for localhost, made once per test run by the `openssl` program.

import Foundation
import Sockets

struct TestCertificates: Sendable {
    let directory: String

    var authority: String { directory + "/ca.pem" }
    var server: TLSConfiguration {
        TLSConfiguration(certificateFile: directory + "/server.pem", keyFile: directory + "/server.key")
    }
    /// A key that belongs to no certificate here.
    var foreignKey: String { directory + "/ca.key" }
    /// An authority that signed nothing.
    var otherAuthority: String { directory + "/other.pem" }

    /// The certificate is for `localhost` and 127.0.0.1.
    static let shared = Result { try TestCertificates() }

    private init() throws {
        directory = NSTemporaryDirectory() + "muster-certificates-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        atexit {
            guard let directory = try? TestCertificates.shared.get().directory else { return }
            try? FileManager.default.removeItem(atPath: directory)
        }
        let extensions = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n"
        try Data(extensions.utf8).write(to: URL(fileURLWithPath: directory + "/server.ext"))
        let root = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
        try Self.openssl(root + ["/CN=Test Root", "-keyout", "ca.key", "-out", "ca.pem"], in: directory)
        try Self.openssl(root + ["/CN=Other Root", "-keyout", "other.key", "-out", "other.pem"], in: directory)
        let request = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
        try Self.openssl(request + ["-keyout", "server.key", "-out", "server.csr"], in: directory)
        let sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        try Self.openssl(sign + ["-days", "2", "-extfile", "server.ext", "-out", "server.pem"], in: directory)
    }

    private struct ToolFailed: Error {
        let arguments: [String]
    }

    private static func openssl(_ arguments: [String], in directory: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ToolFailed(arguments: arguments) }
    }
}
