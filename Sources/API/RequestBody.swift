// Request bodies as JSON values, with the size, depth and content checks that hold for every operation.

package import HTTP
package import JSON

package enum RequestBody {
    /// Members of an object body.
    package static func object(_ request: HTTPRequest, limit: Int) throws(APIError) -> JSONObject {
        let value = try parse(request, limit: limit)
        guard let object = value.objectValue else {
            throw APIError(.deserializationError, "The body must be an object; it is \(value.kind).")
        }
        return object
    }

    /// Elements of an array body.
    package static func array(_ request: HTTPRequest, limit: Int) throws(APIError) -> [JSONValue] {
        let value = try parse(request, limit: limit)
        guard let array = value.arrayValue else {
            throw APIError(.deserializationError, "The body must be an array; it is \(value.kind).")
        }
        return array
    }

    private static func parse(_ request: HTTPRequest, limit: Int) throws(APIError) -> JSONValue {
        try checkSize(request, limit: limit)
        guard !request.body.isEmpty else { throw APIError(.argumentNull, "The request has no body.") }
        let value: JSONValue
        do {
            value = try JSONValue(
                parsing: request.body,
                limits: JSONLimits(depth: APILimits.bodyDepth, bytes: limit, refusesInexactIntegers: true))
        } catch {
            throw APIError(.deserializationError, "The body is not JSON: \(error.description).")
        }
        if let path = nulPath(value) {
            throw APIError(
                .argumentInvalid,
                "The body holds the character U+0000 \(path.isEmpty ? "" : "in \(path) ")"
                    + "and cannot be stored.")
        }
        return value
    }

    package static func checkSize(_ request: HTTPRequest, limit: Int) throws(APIError) {
        guard request.body.count <= limit else {
            throw APIError(
                .messageTooLarge, "The body is larger than \(limit) bytes; it has \(request.body.count).")
        }
    }

    /// Where a text with U+0000 stands, which PostgreSQL stores nowhere; nil when there is none.
    private static func nulPath(_ value: JSONValue, _ path: String = "") -> String? {
        switch value {
        case .null, .bool, .integer, .number: return nil
        case .string(let text): return text.utf8.contains(0) ? path : nil
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                if let found = nulPath(element, "\(path)[\(index)]") { return found }
            }
            return nil
        case .object(let object):
            for member in object.members {
                if member.name.utf8.contains(0) { return path.isEmpty ? "a member's name" : path }
                if let found = nulPath(member.value, path.isEmpty ? member.name : "\(path).\(member.name)") {
                    return found
                }
            }
            return nil
        }
    }
}

/// Typed members of a request object; `null` counts as absent (wire contract 0.4).
package struct MemberReader: Sendable {
    package let object: JSONObject
    /// Stands before names in messages, such as `cloudToDeviceMethod.`.
    package let prefix: String

    package init(_ object: JSONObject, prefix: String = "") {
        self.object = object
        self.prefix = prefix
    }

    package func value(_ name: String) -> JSONValue? {
        if let value = object[name], !value.isNull { value } else { nil }
    }

    package func string(_ name: String) throws(APIError) -> String? {
        guard let value = value(name) else { return nil }
        guard let text = value.stringValue else { throw wrongType(name, "a string", value) }
        return text
    }

    package func integer(_ name: String) throws(APIError) -> Int64? {
        guard let value = value(name) else { return nil }
        guard let integer = value.integerValue else { throw wrongType(name, "an integer", value) }
        return integer
    }

    package func object(_ name: String) throws(APIError) -> JSONObject? {
        guard let value = value(name) else { return nil }
        guard let object = value.objectValue else { throw wrongType(name, "an object", value) }
        return object
    }

    private func wrongType(_ name: String, _ expected: String, _ value: JSONValue) -> APIError {
        let given =
            switch value {
            case .number(let number): "\(number)"
            case .null, .bool, .integer, .string, .array, .object: value.kind
            }
        return APIError(.deserializationError, "\(prefix)\(name) must be \(expected); it is \(given).")
    }
}
