// JSON as values: the one representation of request bodies, patches, payloads and log fields.
//
// Foundation's JSONSerialization loses what the wire contract needs: the order of members, the difference between
// 1 and true, and a depth limit. Integers stay exact in 64 bits; every other number is an IEEE double, as on the wire.

package enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

/// Members in the order in which they were written. A name stands once; a repeated name keeps its last value, as
/// PostgreSQL's jsonb does. Names are the same when their bytes are: Swift's strings also call differently composed
/// letters equal, and a document that holds both must not lose one.
package struct JSONObject: Sendable {
    package private(set) var members: [(name: String, value: JSONValue)]
    private var positions: [Name: Int]

    private struct Name: Sendable, Hashable {
        let text: String

        init(_ text: String) { self.text = text }

        static func == (left: Name, right: Name) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

        func hash(into hasher: inout Hasher) {
            var text = text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
            hasher.combine(UInt8(0xFF))
        }
    }

    package init() {
        members = []
        positions = [:]
    }

    package init(_ members: [(String, JSONValue)]) {
        self.init()
        for (name, value) in members { self[name] = value }
    }

    package var count: Int { members.count }
    package var isEmpty: Bool { members.isEmpty }
    package var names: [String] { members.map(\.name) }

    /// Reading an absent name gives nil; assigning nil removes the member.
    package subscript(name: String) -> JSONValue? {
        get { positions[Name(name)].map { members[$0].value } }
        set {
            switch (positions[Name(name)], newValue) {
            case (let position?, let value?):
                members[position].value = value
            case (nil, let value?):
                positions[Name(name)] = members.count
                members.append((name, value))
            case (let position?, nil):
                members.remove(at: position)
                positions = [:]
                for (index, member) in members.enumerated() { positions[Name(member.name)] = index }
            case (nil, nil):
                break
            }
        }
    }
}

/// Two objects are equal when they have the same members, in whatever order.
extension JSONObject: Hashable {
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        for member in members.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
            hasher.combine(member.name)
            hasher.combine(member.value)
        }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}

extension JSONValue {
    package var isNull: Bool { self == .null }

    package var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The value as an integer; also a double without a fraction, because some clients write 5.0 for 5.
    package var integerValue: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        case .null, .bool, .string, .array, .object: nil
        }
    }

    package var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .null, .bool, .string, .array, .object: nil
        }
    }

    package var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    package var arrayValue: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    package var objectValue: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The member of an object; nil for any other value.
    package subscript(name: String) -> JSONValue? { objectValue?[name] }

    /// The word an error message uses for this kind of value.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a Boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
    package init(nilLiteral: ()) { self = .null }
}
