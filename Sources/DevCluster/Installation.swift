// Which programs and which user a private cluster runs with.

private import Foundation

struct Installation: Sendable {
    let initdb: String
    let postgres: String
    let redis: String
    let setpriv: String?
    /// Set when this process is root: PostgreSQL refuses to run as root.
    let user: User?

    struct User: Sendable {
        let name: String
        let id: UInt32
        let group: UInt32
    }

    static func find(environment: [String: String]) throws(DevClusterError) -> Installation {
        let path = (environment["PATH"] ?? "").split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
        let folders = path + postgresFolders()
        guard let initdb = program("initdb", in: folders), let postgres = program("postgres", in: folders) else {
            throw .missingProgram(
                name: "PostgreSQL's initdb", hint: "install a server, for example: apt-get install postgresql")
        }
        guard let redis = program("redis-server", in: path) ?? program("valkey-server", in: path) else {
            throw .missingProgram(
                name: "redis-server", hint: "install it, for example: apt-get install redis-server")
        }
        let isRoot = geteuid() == 0
        let setpriv = program("setpriv", in: path)
        if isRoot, setpriv == nil {
            throw .missingProgram(name: "setpriv", hint: "install util-linux, or do not run as root")
        }
        return Installation(
            initdb: initdb, postgres: postgres, redis: redis, setpriv: setpriv,
            user: isRoot ? unprivilegedUser() : nil)
    }

    /// The command to run `arguments` as the unprivileged user.
    func command(_ arguments: [String]) -> [String] {
        guard let user, let setpriv else { return arguments }
        return [setpriv, "--reuid=\(user.id)", "--regid=\(user.group)", "--clear-groups", "--"] + arguments
    }

    /// Debian and Ubuntu keep the server's programs out of PATH; the newest release first.
    private static func postgresFolders() -> [String] {
        let root = "/usr/lib/postgresql"
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: root)
        } catch {
            return []  // Not a Debian system; PATH has to do.
        }
        return names.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "\(root)/\($0)/bin" }
    }

    private static func program(_ name: String, in folders: [String]) -> String? {
        folders.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    private static func unprivilegedUser() -> User {
        for name in ["postgres", "nobody"] {
            if let entry = getpwnam(name) {
                return User(name: name, id: entry.pointee.pw_uid, group: entry.pointee.pw_gid)
            }
        }
        return User(name: "65534", id: 65_534, group: 65_534)
    }
}
