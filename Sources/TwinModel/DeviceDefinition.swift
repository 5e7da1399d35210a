// What a client says about a device identity: the writable members of the wire contract's 6.2, checked.
//
// Members that a client left out stay nil here; what they become differs: a create takes the default or makes keys,
// an update keeps what is stored.

package import JSON

package enum IdentityStatus: String, Sendable, CaseIterable {
    case enabled, disabled
}

package enum AuthenticationType: String, Sendable, CaseIterable {
    case sas, selfSigned, certificateAuthority, none

    package init?(wire: String) {
        guard let type = Self.allCases.first(where: { $0.rawValue.lowercased() == wire.lowercased() }) else {
            return nil
        }
        self = type
    }
}

package struct DeviceDefinition: Sendable, Hashable {
    package var status: IdentityStatus?
    package var statusReason: String?
    package var authenticationType: AuthenticationType?
    /// Standard base64, as the client wrote it; nil also for an empty text, which asks for a generated key.
    package var primaryKey: String?
    package var secondaryKey: String?
    package var primaryThumbprint: String?
    package var secondaryThumbprint: String?
    package var isEdge: Bool?

    package init() {}

    /// From a device object; `field` is what messages put before member names, such as `devices[3].`. `decodedLength`
    /// gives the number of bytes behind a base64 text, nil if it is none.
    package static func parse(
        _ object: JSONObject, field: String = "", decodedLength: (String) -> Int?
    ) throws(TwinModelError) -> DeviceDefinition {
        var device = DeviceDefinition()
        if let text = try string(object, "status", field) {
            guard let status = IdentityStatus(rawValue: text.lowercased()) else {
                throw TwinModelError(
                    field + "status", "\(field)status must be enabled or disabled; it is '\(text.prefix(40))'.")
            }
            device.status = status
        }
        if let reason = try string(object, "statusReason", field) {
            guard reason.unicodeScalars.count <= TwinLimits.statusReasonLength else {
                throw TwinModelError(
                    field + "statusReason",
                    "\(field)statusReason is longer than \(TwinLimits.statusReasonLength) characters; it has "
                        + "\(reason.unicodeScalars.count).")
            }
            guard !reason.utf8.contains(0) else {
                throw TwinModelError(
                    field + "statusReason", "\(field)statusReason holds the character U+0000, which cannot be stored.")
            }
            device.statusReason = reason
        }
        if let capabilities = try member(object, "capabilities", field),
            let edge = capabilities["iotEdge"], !edge.isNull
        {
            guard let value = edge.boolValue else {
                throw TwinModelError(
                    field + "capabilities.iotEdge",
                    "\(field)capabilities.iotEdge must be a Boolean; it is \(edge.kind).")
            }
            device.isEdge = value
        }
        if let authentication = try member(object, "authentication", field) {
            try device.parse(authentication, field + "authentication.", decodedLength)
        }
        return device
    }

    private mutating func parse(
        _ authentication: JSONObject, _ field: String, _ decodedLength: (String) -> Int?
    ) throws(TwinModelError) {
        if let keys = try Self.member(authentication, "symmetricKey", field) {
            primaryKey = try Self.key(keys, "primaryKey", field + "symmetricKey.", decodedLength)
            secondaryKey = try Self.key(keys, "secondaryKey", field + "symmetricKey.", decodedLength)
        }
        if let thumbprints = try Self.member(authentication, "x509Thumbprint", field) {
            primaryThumbprint = try Self.thumbprint(thumbprints, "primaryThumbprint", field + "x509Thumbprint.")
            secondaryThumbprint = try Self.thumbprint(thumbprints, "secondaryThumbprint", field + "x509Thumbprint.")
        }
        if let text = try Self.string(authentication, "type", field) {
            guard let type = AuthenticationType(wire: text) else {
                throw TwinModelError(
                    field + "type",
                    "\(field)type must be sas, selfSigned, certificateAuthority or none; it is '\(text.prefix(40))'.")
            }
            authenticationType = type
        } else {
            authenticationType = primaryThumbprint != nil || secondaryThumbprint != nil ? .selfSigned : .sas
        }
        if authenticationType == .selfSigned, primaryThumbprint == nil, secondaryThumbprint == nil {
            throw TwinModelError(
                field + "x509Thumbprint", "\(field)x509Thumbprint needs a thumbprint when the type is selfSigned.")
        }
    }

    private static func key(
        _ object: JSONObject, _ name: String, _ field: String, _ decodedLength: (String) -> Int?
    ) throws(TwinModelError) -> String? {
        guard let text = try string(object, name, field), !text.isEmpty else { return nil }
        let limits = TwinLimits.keyLength
        guard let count = decodedLength(text), limits.contains(count) else {
            // The key itself never becomes part of a message.
            throw TwinModelError(
                field + name,
                "\(field)\(name) must be base64 of \(limits.lowerBound) to \(limits.upperBound) bytes; it is "
                    + (decodedLength(text).map { "of \($0) bytes." } ?? "no base64."))
        }
        return text
    }

    private static func thumbprint(
        _ object: JSONObject, _ name: String, _ field: String
    ) throws(TwinModelError) -> String? {
        guard let text = try string(object, name, field), !text.isEmpty else { return nil }
        guard TwinLimits.thumbprintLengths.contains(text.utf8.count), text.allSatisfy(\.isHexDigit) else {
            throw TwinModelError(
                field + name,
                "\(field)\(name) must be 40 or 64 hexadecimal digits; it has \(text.count) characters.")
        }
        return text
    }

    private static func string(
        _ object: JSONObject, _ name: String, _ field: String
    ) throws(TwinModelError) -> String? {
        switch object[name] {
        case nil, .null: return nil
        case .string(let text): return text
        case .some(let other):
            throw TwinModelError(field + name, "\(field)\(name) must be a string; it is \(other.kind).")
        }
    }

    private static func member(
        _ object: JSONObject, _ name: String, _ field: String
    ) throws(TwinModelError) -> JSONObject? {
        switch object[name] {
        case nil, .null: return nil
        case .object(let inner): return inner
        case .some(let other):
            throw TwinModelError(field + name, "\(field)\(name) must be an object; it is \(other.kind).")
        }
    }
}
