// The directory of a private cluster: layout, ownership, lock, password.
//
//   lock            held by the process that runs a cluster here
//   servers.lock    held by that process and all that it started: free when the last server of an earlier life ended
//   password        of the superuser and of Redis, for connections over loopback
//   ports           of the last start; used again when they are free, so that addresses survive a restart
//   sockets/        both Unix sockets; only the owner may enter
//   postgres/ redis/          data
//   postgres.log redis.log    output of the programs

private import Foundation
private import Glibc
import ServiceKit
private import Synchronization

final class DevDirectory: Sendable {
    /// Linux allows 107 bytes for the path of a socket; PostgreSQL's is the longest name in it.
    private static let socketFolderMax = 80

    let path: String
    let password: String
    var sockets: String { "\(path)/sockets" }
    var postgresData: String { "\(path)/postgres" }
    var redisData: String { "\(path)/redis" }
    var postgresLog: String { "\(path)/postgres.log" }
    var redisLog: String { "\(path)/redis.log" }
    private let lock: Mutex<Int32?>
    private let serversLock = Mutex<Int32?>(nil)

    /// Creates what is missing and locks the directory.
    init(_ directory: String, user: Installation.User?, random: any RandomSource) throws(DevClusterError) {
        // Everything that can fail happens before the first property is set: Swift 6.3.1 crashes when it optimises a
        // half-made object that throws a typed error.
        let prepared = try Self.prepare(directory, user, random)
        path = prepared.path
        lock = Mutex(prepared.lock)
        password = prepared.password
    }

    private static func prepare(
        _ directory: String, _ user: Installation.User?, _ random: any RandomSource
    ) throws(DevClusterError) -> (path: String, lock: Int32, password: String) {
        var path = URL(filePath: directory).standardizedFileURL.path(percentEncoded: false)
        if path.count > 1, path.hasSuffix("/") { path.removeLast() }
        guard path.utf8.count <= socketFolderMax else {
            throw .directoryUnusable(
                path: path, reason: "its path is longer than \(socketFolderMax) bytes, too long for a socket")
        }
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw .directoryUnusable(path: path, reason: "it cannot be created (\(error.localizedDescription))")
        }
        let lock = try lock("\(path)/lock", directory: path)
        do {
            let password = try password(at: "\(path)/password", random: random)
            for folder in ["", "/sockets", "/redis", "/postgres"] { try own(path + folder, user) }
            if let user { try checkAccess(path, user) }
            return (path, lock, password)
        } catch {
            Glibc.close(lock)
            throw error
        }
    }

    deinit { unlock() }

    /// Waits until the servers of an earlier life have ended: those of a killed process are shutting down in order just
    /// now. Returns a descriptor that holds the lock; every program that is started here inherits it.
    func lockServers(within patience: Duration, clock: any ServiceClock) async throws -> Int32 {
        let descriptor = open("\(path)/servers.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw DevClusterError.directoryUnusable(path: path, reason: String(cString: strerror(errno)))
        }
        serversLock.withLock { $0 = descriptor }
        let deadline = clock.now + patience
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard clock.now < deadline else {
                throw DevClusterError.directoryUnusable(
                    path: path, reason: "a server that an earlier run started there does not end")
            }
            try await clock.sleep(for: .milliseconds(50))
        }
        return descriptor
    }

    var hasPostgresData: Bool { access("\(postgresData)/PG_VERSION", F_OK) == 0 }

    func unlock() {
        serversLock.withLock { Self.close(&$0) }
        lock.withLock { Self.close(&$0) }
    }

    struct Ports: Sendable {
        let postgres: Int
        let redis: Int
    }

    /// Those of the last start when nobody took them meanwhile, else free ones. Somebody may still take one before the
    /// server does; then the start fails and says so.
    func ports() throws(DevClusterError) -> Ports {
        let file = "\(path)/ports"
        let text = FileManager.default.contents(atPath: file).map { String(decoding: $0, as: UTF8.self) } ?? ""
        var ports = text.split(separator: " ").compactMap { UInt16($0) }
        if ports.count != 2 || ports[0] == ports[1] { ports = [0, 0] }
        var sockets: [Int32] = []
        defer { for socket in sockets { Glibc.close(socket) } }
        for index in 0..<2 {
            guard let bound = Self.bound(ports[index]) ?? Self.bound(0) else {
                throw .directoryUnusable(path: path, reason: "there is no free port on 127.0.0.1")
            }
            sockets.append(bound.socket)
            ports[index] = bound.port
        }
        guard FileManager.default.createFile(atPath: file, contents: Data("\(ports[0]) \(ports[1])".utf8)) else {
            throw .directoryUnusable(path: file, reason: "it cannot be written")
        }
        return Ports(postgres: Int(ports[0]), redis: Int(ports[1]))
    }

    /// A file with the password that initdb may read.
    func writeInitialPassword(for user: Installation.User?) throws(DevClusterError) -> String {
        let file = "\(sockets)/initial-password"
        guard
            FileManager.default.createFile(
                atPath: file, contents: Data(password.utf8), attributes: [.posixPermissions: 0o600])
        else { throw .directoryUnusable(path: file, reason: "it cannot be written") }
        if let user, chown(file, user.id, user.group) != 0 {
            throw .directoryUnusable(path: file, reason: "it cannot be given to the user \(user.name)")
        }
        return file
    }

    func remove(_ file: String) { unlink(file) }

    /// True when an earlier life of the server may still be ending.
    func hasLeftovers(_ server: DevCluster.Server) -> Bool {
        switch server {
        case .postgres: access("\(postgresData)/postmaster.pid", F_OK) == 0
        case .redis: access("\(sockets)/redis", F_OK) == 0
        }
    }

    /// Deletes everything, as the last act of an ephemeral cluster.
    func remove() {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            // The supervisors remove their parts as well; whoever comes second finds nothing.
        }
    }

    /// The last lines of a log.
    static func tail(_ log: String, lines: Int = 15) -> String {
        guard let data = FileManager.default.contents(atPath: log) else { return "(there is no log)" }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").suffix(lines).joined(separator: "\n")
    }

    private static func close(_ descriptor: inout Int32?) {
        if let descriptor { Glibc.close(descriptor) }
        descriptor = nil
    }

    private static func lock(_ file: String, directory: String) throws(DevClusterError) -> Int32 {
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .directoryUnusable(path: directory, reason: String(cString: strerror(errno)))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(descriptor)
            throw .directoryInUse(path: directory)
        }
        return descriptor
    }

    private static func password(at file: String, random: any RandomSource) throws(DevClusterError) -> String {
        if let data = FileManager.default.contents(atPath: file), !data.isEmpty {
            return String(decoding: data, as: UTF8.self)
        }
        let password = (0..<2).map { _ in
            let digits = String(random.next(), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
        // Readable for its owner alone from the first moment.
        guard
            FileManager.default.createFile(
                atPath: file, contents: Data(password.utf8), attributes: [.posixPermissions: 0o600])
        else { throw .directoryUnusable(path: file, reason: "it cannot be written") }
        return password
    }

    private static func own(_ folder: String, _ user: Installation.User?) throws(DevClusterError) {
        if mkdir(folder, 0o700) != 0, errno != EEXIST {
            throw .directoryUnusable(path: folder, reason: String(cString: strerror(errno)))
        }
        guard let user else { return }
        guard chown(folder, user.id, user.group) == 0 else {
            throw .directoryUnusable(path: folder, reason: "it cannot be given to the user \(user.name)")
        }
    }

    /// The unprivileged user must be able to pass through every folder above.
    private static func checkAccess(_ path: String, _ user: Installation.User) throws(DevClusterError) {
        var folder = URL(filePath: path).deletingLastPathComponent()
        while true {
            var status = stat()
            let name = folder.path(percentEncoded: false)
            if stat(name, &status) == 0 {
                let bit: mode_t =
                    status.st_uid == user.id ? S_IXUSR : status.st_gid == user.group ? S_IXGRP : S_IXOTH
                guard status.st_mode & bit != 0 else {
                    throw .directoryUnusable(
                        path: path,
                        reason: "PostgreSQL must not run as root, and the user \(user.name) may not enter \(name); "
                            + "choose a directory elsewhere")
                }
            }
            if name == "/" { return }
            folder = folder.deletingLastPathComponent()
        }
    }

    /// A socket bound to the port (0: any), or nil when it is taken.
    private static func bound(_ port: UInt16) -> (socket: Int32, port: UInt16)? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        // As the servers do: a port whose old connections are still in TIME_WAIT is free.
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
            }
        }
        if isBound { return (descriptor, UInt16(bigEndian: address.sin_port)) }
        Glibc.close(descriptor)
        return nil
    }
}
