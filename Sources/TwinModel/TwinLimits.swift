// Every limit of twins and device identities, with its source (invariant I9). All are of the wire contract.

package enum TwinLimits {
    /// Bytes of UTF-8 in one key.
    package static let keyBytes = 1024
    /// Bytes of UTF-8 in one string value.
    package static let stringBytes = 4096
    /// Levels of objects and arrays below `tags`, `desired` and `reported`.
    package static let depth = 10
    /// ±2^52: what every client's number type holds exactly.
    package static let integers: ClosedRange<Int64> = -4_503_599_627_370_496...4_503_599_627_370_495
    /// Sizes by the contract's formula (`TwinSize`), not bytes.
    package static let tagsSize = 8 * 1024
    package static let desiredSize = 32 * 1024
    package static let reportedSize = 32 * 1024

    /// Characters of a device id.
    package static let deviceIDLength = 128
    /// Characters of `statusReason`.
    package static let statusReasonLength = 128
    /// Bytes of a decoded symmetric key.
    package static let keyLength: ClosedRange<Int> = 16...64
    /// Hexadecimal digits of a certificate thumbprint: SHA-1 or SHA-256.
    package static let thumbprintLengths = [40, 64]
    /// Entries of one bulk request.
    package static let bulkDevices = 100
    /// Devices of one list reply; any other number a client asks for counts as this.
    package static let listDevices = 1000
}

/// The three documents of a twin.
package enum TwinSection: String, Sendable {
    case tags, desired, reported

    /// How the section is called in requests and in error messages.
    package var wirePath: String {
        switch self {
        case .tags: "tags"
        case .desired: "properties.desired"
        case .reported: "properties.reported"
        }
    }

    package var sizeLimit: Int {
        switch self {
        case .tags: TwinLimits.tagsSize
        case .desired: TwinLimits.desiredSize
        case .reported: TwinLimits.reportedSize
        }
    }
}

/// A value that breaks a rule of twins or device identities. `message` names the field, the limit and what was given.
package struct TwinModelError: Error, Hashable, CustomStringConvertible {
    /// The field as the client wrote it, for example `properties.desired.net.ssid`.
    package let field: String
    package let message: String
    package var description: String { message }

    package init(_ field: String, _ message: String) {
        self.field = field
        self.message = message
    }
}
