// The body of a desired notification (wire contract 8.7): the patch as it was submitted, and the `$version`, which differs
// from device to device. The patch is written out once for all of them.

import JSON

struct DesiredNotification: Sendable {
    private let opening: [UInt8]

    init(_ patch: JSONObject) {
        let text = JSONValue.object(patch).bytes
        opening = text.dropLast() + (patch.isEmpty ? [] : [UInt8(ascii: ",")])
    }

    func body(version: Int64) -> [UInt8] { opening + Array("\"$version\":\(version)}".utf8) }
}
