// Header fields in the order received; names compare without regard to ASCII case.

package struct HTTPHeaders: Sendable {
    package private(set) var fields: [(name: String, value: String)]

    package init(_ fields: [(String, String)] = []) {
        self.fields = fields.map { (name: $0.0, value: $0.1) }
    }

    package var count: Int { fields.count }

    /// The value of the first field of this name.
    package func first(_ name: String) -> String? {
        fields.first { Self.areEqual($0.name, name) }?.value
    }

    package func all(_ name: String) -> [String] {
        fields.filter { Self.areEqual($0.name, name) }.map(\.value)
    }

    package func contains(_ name: String) -> Bool { fields.contains { Self.areEqual($0.name, name) } }

    package mutating func add(_ name: String, _ value: String) { fields.append((name, value)) }

    /// Replaces every field of this name.
    package mutating func set(_ name: String, _ value: String) {
        remove(name)
        add(name, value)
    }

    package mutating func remove(_ name: String) { fields.removeAll { Self.areEqual($0.name, name) } }

    /// The members of a comma-separated list over all fields of this name, trimmed and in lower case.
    package func tokens(_ name: String) -> [String] {
        members(name).map { String(decoding: $0.utf8.map(Self.lowercased), as: UTF8.self) }
    }

    /// The same as they were sent, where case matters.
    func members(_ name: String) -> [String] {
        all(name).flatMap { value in
            value.utf8.split(separator: UInt8(ascii: ",")).map { member in
                let trimmed = member.drop(while: Self.isBlank).reversed().drop(while: Self.isBlank).reversed()
                return String(decoding: trimmed, as: UTF8.self)
            }
        }.filter { !$0.isEmpty }
    }

    static func areEqual(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count
            && zip(left.utf8, right.utf8).allSatisfy { $0 == $1 || lowercased($0) == lowercased($1) }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
