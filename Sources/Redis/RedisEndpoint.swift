// A Redis URL, taken apart. Pure.
//
//   redis://[[user][:password]@]host[:port][/database]     also with ?db=2
//   unix://[[user][:password]@]/path/to/socket[?db=2]      also redis-socket:// and redis+unix://
//
// User and password are percent-encoded where they need it. IPv6 addresses stand in brackets.

package import ServiceKit

package struct RedisEndpoint: Sendable, Equatable {
    package enum Address: Sendable, Equatable {
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    package let address: Address
    package let user: String?
    package let password: String?
    package let database: Int

    /// Throws `.fatal` with what is wrong; the message never repeats the password.
    package init(_ url: String) throws(StoreError) {
        guard let mark = url.firstRange(of: "://") else { throw Self.malformed("there is no scheme such as redis://") }
        var rest = url[mark.upperBound...]
        var query: [(String, String)] = []
        if let question = rest.firstIndex(of: "?") {
            query = try Self.query(rest[rest.index(after: question)...])
            rest = rest[..<question]
        }
        let path: Substring
        if let slash = rest.firstIndex(of: "/") {
            (rest, path) = (rest[..<slash], rest[slash...])
        } else {
            path = ""
        }
        var credentials: (String?, String?) = (nil, nil)
        if let at = rest.lastIndex(of: "@") {
            credentials = try Self.credentials(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        user = credentials.0
        password = credentials.1 ?? query.first { $0.0 == "password" }?.1
        var databaseText = query.first { $0.0 == "db" }?.1
        switch url[..<mark.lowerBound].lowercased() {
        case "redis":
            address = try Self.tcp(rest)
            if databaseText == nil, path.count > 1 { databaseText = String(path.dropFirst()) }
        case "unix", "redis-socket", "redis+unix":
            guard rest.isEmpty, path.count > 1 else { throw Self.malformed("a socket needs an absolute path") }
            address = .unix(path: try Self.decoded(path))
        case "rediss":
            throw Self.malformed("rediss:// (TLS) is not supported; put a TLS tunnel in front of Redis")
        case let scheme:
            throw Self.malformed("the scheme \(scheme) is not known; use redis:// or unix://")
        }
        guard let number = Int(databaseText ?? "0"), number >= 0 else {
            throw Self.malformed("the database must be a number of 0 or more")
        }
        database = number
    }

    /// Safe to log.
    package var description: String {
        let place =
            switch address {
            case .tcp(let host, let port): "\(host):\(port)"
            case .unix(let path): path
            }
        return place + (database == 0 ? "" : " database \(database)")
    }

    private static func tcp(_ text: Substring) throws(StoreError) -> Address {
        var host = text
        var port: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw malformed("the bracket of the address is open") }
            host = text[text.index(after: text.startIndex)..<end]
            let tail = text[text.index(after: end)...]
            guard tail.isEmpty || tail.first == ":" else { throw malformed("there is text behind the address") }
            port = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard let number = Int(port ?? "6379"), (1...65_535).contains(number) else {
            throw malformed("the port must be a number from 1 to 65535")
        }
        return .tcp(host: host.isEmpty ? "127.0.0.1" : try decoded(host), port: number)
    }

    private static func credentials(_ text: Substring) throws(StoreError) -> (String?, String?) {
        guard let colon = text.firstIndex(of: ":") else { return (try decoded(text), nil) }
        let user = try decoded(text[..<colon])
        return (user.isEmpty ? nil : user, try decoded(text[text.index(after: colon)...]))
    }

    private static func query(_ text: Substring) throws(StoreError) -> [(String, String)] {
        var pairs: [(String, String)] = []
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try decoded(parts[0])
            guard name == "db" || name == "password", parts.count == 2 else {
                throw malformed("the option \(name) is not known; db and password are")
            }
            pairs.append((name, try decoded(parts[1])))
        }
        return pairs
    }

    private static func decoded(_ text: Substring) throws(StoreError) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else {
                throw malformed("a percent sign must be followed by two hexadecimal digits")
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !decoded.utf8.contains(0) else {
            throw malformed("a part is not text")
        }
        return decoded
    }

    private static func malformed(_ reason: String) -> StoreError {
        StoreError(code: .fatal, effect: .none, operation: "connect", message: "the Redis URL is malformed: \(reason)")
    }
}
