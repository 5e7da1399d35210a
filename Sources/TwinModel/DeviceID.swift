// The name of a device (wire contract 6.2).

package struct DeviceID: Sendable, Hashable, CustomStringConvertible {
    package let text: String
    package var description: String { text }

    /// 1 to 128 characters: ASCII letters, digits and the marks the contract lists. Case matters.
    package init(_ text: String, field: String = "deviceId") throws(TwinModelError) {
        let count = text.count
        guard !text.isEmpty, count <= TwinLimits.deviceIDLength else {
            throw TwinModelError(
                field, "\(field) must have 1 to \(TwinLimits.deviceIDLength) characters; it has \(count).")
        }
        guard text.utf8.allSatisfy(Self.isAllowed) else {
            throw TwinModelError(
                field, "\(field) may contain only ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '.")
        }
        self.text = text
    }

    /// An id that a store returned, which was valid when it was stored.
    package init(stored text: String) { self.text = text }

    private static let marks = Set("-:.+%_#*?!(),=@;$'".utf8)

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: marks.contains(byte)
        }
    }
}
