// One device to import, as an entry of the bulk operation (wire contract 6.4), and what is wrong with one.

package import JSON

package struct DeviceRecord: Sendable, Equatable {
    /// Where it begins in the input, from 1.
    package let line: Int
    package let deviceID: String
    /// `id`, and what the input gives of `tags`, `properties.desired`, `status`, `authentication`, `importMode`.
    package var entry: JSONObject

    package init(line: Int, deviceID: String, entry: JSONObject) {
        self.line = line
        self.deviceID = deviceID
        self.entry = entry
    }
}

/// Why a device was not imported; the import goes on with the next.
package struct ImportFailure: Sendable, Equatable {
    package let line: Int
    package let deviceID: String?
    /// The service's name of the error; nil when the record never left.
    package let code: String?
    package let message: String

    package init(line: Int, deviceID: String? = nil, code: String? = nil, _ message: String) {
        self.line = line
        self.deviceID = deviceID
        self.code = code
        self.message = message
    }
}

/// Why the input cannot be read at all, such as a header without deviceId.
package struct ImportFormatError: Error, Sendable, Equatable, CustomStringConvertible {
    package let line: Int
    package let message: String

    package init(line: Int, _ message: String) {
        self.line = line
        self.message = message
    }

    package var description: String { "line \(line): \(message)" }
}

package enum ImportFormat: String, Sendable, CaseIterable {
    case csv
    case ndjson

    /// From the first byte that is no white space: a JSON object begins with a brace, a header never does.
    package static func guess(_ bytes: some Sequence<UInt8>) -> ImportFormat? {
        for byte in bytes where ![0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF].contains(byte) {
            return byte == UInt8(ascii: "{") ? .ndjson : .csv
        }
        return nil
    }
}

/// The limits of one import, with the reason for each number (invariant I9).
package enum ImportLimits {
    /// The service's largest bulk request.
    package static let devicesPerRequest = 100
    /// Below the service's 4 MiB of one body, with room for what surrounds the entries.
    package static let bytesPerRequest = 3 * 1024 * 1024
    /// Eight requests of a hundred keep a service of several cores busy; more only wait in its queue.
    package static let requestsInFlight = 8
    /// One record: a twin may hold 40 KB, escaped at most six times as much.
    package static let recordBytes = 1024 * 1024
    /// Bytes read at once.
    package static let readBytes = 256 * 1024
    /// Columns of a CSV file.
    package static let columns = 1000
}
