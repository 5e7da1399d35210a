// The user name of a device's CONNECT: `{host}/{id}/?api-version=…&…`, and the forms of old clients without the slash or
// without the question mark. The id is raw and may hold a question mark of its own, so the longer mark is sought first.

package struct HubUserName: Sendable, Equatable {
    package let host: String
    /// The client id: a device id, or `device/module`.
    package let deviceID: String
    package let apiVersion: String?

    package init?(_ text: String) {
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")), slash != text.startIndex else { return nil }
        host = String(text[..<slash])
        let rest = text.utf8[text.utf8.index(after: slash)...]
        let (id, query) = Self.parts(rest)
        guard !id.isEmpty, let deviceID = String(id) else { return nil }
        self.deviceID = deviceID
        var apiVersion: String?
        for pair in query.split(separator: UInt8(ascii: "&")) where apiVersion == nil {
            apiVersion = TopicText.read(String(Substring(pair))) {
                $0.skip("api-version=") ? TopicText.text($0.rest) : nil
            }
        }
        self.apiVersion = apiVersion
    }

    /// The id and the query behind it.
    private static func parts(_ text: Substring.UTF8View) -> (Substring.UTF8View, Substring.UTF8View) {
        // The mark, and how many bytes of it are not part of the query.
        for (mark, count) in [("/?", 2), ("/api-version=", 1), ("?api-version=", 1)] {
            if let place = text.firstRange(of: mark.utf8) {
                return (text[..<place.lowerBound], text[place.lowerBound...].dropFirst(count))
            }
        }
        return (text.last == UInt8(ascii: "/") ? text.dropLast() : text, text[text.endIndex...])
    }
}
