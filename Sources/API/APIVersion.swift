// The `api-version` parameter (wire contract 0.3): required, any date from the first documented one on, one behaviour.

package enum APIVersion {
    package static func check(_ text: String?) throws(APIError) {
        guard let text, !text.isEmpty else {
            throw APIError(.invalidProtocolVersion, "The query parameter api-version is missing.")
        }
        guard isDate(text), text.prefix(10) >= APILimits.apiVersionMinimum else {
            throw APIError(
                .invalidProtocolVersion,
                "api-version must be a date of at least \(APILimits.apiVersionMinimum), such as 2021-04-12; it is "
                    + "'\(text.prefix(40))'.")
        }
    }

    /// `YYYY-MM-DD`, optionally with `-preview`.
    private static func isDate(_ text: String) -> Bool {
        var bytes = Array(text.utf8)
        let suffix = Array("-preview".utf8)
        if bytes.count == 10 + suffix.count, Array(bytes.suffix(suffix.count)) == suffix {
            bytes.removeLast(suffix.count)
        }
        guard bytes.count == 10 else { return false }
        for (index, byte) in bytes.enumerated() {
            let isDash = index == 4 || index == 7
            guard isDash ? byte == UInt8(ascii: "-") : (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else {
                return false
            }
        }
        let month = Int(bytes[5] - 48) * 10 + Int(bytes[6] - 48)
        let day = Int(bytes[8] - 48) * 10 + Int(bytes[9] - 48)
        return (1...12).contains(month) && (1...31).contains(day)
    }
}
