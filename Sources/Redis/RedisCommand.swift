// Commands and their wire form: an array of bulk strings.

package enum RedisArgument: Sendable, Hashable {
    case text(String)
    case integer(Int64)
    case bytes([UInt8])
}

extension RedisArgument: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByStringInterpolation {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
}

/// Encoded commands of one call. They travel together, and their answers come back together.
struct RedisRequest: Sendable {
    /// For errors and metrics: the first command's name, or the script's.
    let operation: String
    let bytes: [UInt8]
    let count: Int

    init(operation: String, _ commands: [[RedisArgument]]) {
        self.operation = operation
        count = commands.count
        var bytes: [UInt8] = []
        for command in commands {
            Self.write(UInt8(ascii: "*"), command.count, to: &bytes)
            for argument in command {
                switch argument {
                case .text(let text): Self.write(text.utf8, to: &bytes)
                case .integer(let value): Self.write(String(value).utf8, to: &bytes)
                case .bytes(let value): Self.write(value, to: &bytes)
                }
            }
        }
        self.bytes = bytes
    }

    init(_ command: [RedisArgument]) {
        self.init(operation: Self.name(command), [command])
    }

    static func name(_ command: [RedisArgument]) -> String {
        if case .text(let name)? = command.first { name.lowercased() } else { "command" }
    }

    private static func write(_ value: some Collection<UInt8>, to bytes: inout [UInt8]) {
        write(UInt8(ascii: "$"), value.count, to: &bytes)
        bytes.append(contentsOf: value)
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }

    private static func write(_ mark: UInt8, _ count: Int, to bytes: inout [UInt8]) {
        bytes.append(mark)
        bytes.append(contentsOf: String(count).utf8)
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }
}
