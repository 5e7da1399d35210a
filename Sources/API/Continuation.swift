// Paging tokens. A token holds the last key of its page, so that pages stay stable while rows are added, and a digest
// that binds it to what was asked; a token for another query, or of another maker, is refused.
//
// The digest is no signature: a token only says where to go on reading what its bearer may read anyway.

import Crypto
package import HTTP
package import JSON

package struct Continuation: Sendable, Hashable {
    /// The last key seen, in the form that the store understands.
    package let after: JSONValue

    package init(after: JSONValue) { self.after = after }

    private static let digestCount = 8

    /// `binding` is what the next request must ask too: the text of a query, the name of a list.
    package func text(binding: String) -> String {
        let payload = after.bytes
        let digest = Self.digest(payload, binding)
        return Self.exchange(Base64.encode(digest + payload), ["+": "-", "/": "_", "=": nil])
    }

    package init(_ text: String, binding: String) throws(APIError) {
        let failure = APIError(
            .argumentInvalid,
            "The continuation token was not issued by this service for this query; begin without a token.")
        guard text.utf8.count <= APILimits.continuationBytes else { throw failure }
        var padded = Self.exchange(text, ["-": "+", "_": "/"])
        padded += String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4)
        guard let bytes = Base64.decode(padded), bytes.count > Self.digestCount else { throw failure }
        let payload = Array(bytes.dropFirst(Self.digestCount))
        guard Array(bytes.prefix(Self.digestCount)) == Self.digest(payload, binding) else { throw failure }
        do {
            after = try JSONValue(parsing: payload)
        } catch {
            throw failure
        }
    }

    /// Base64 in the alphabet of URLs and back: headers and query parameters carry it as it is.
    private static func exchange(_ text: String, _ characters: [Character: Character?]) -> String {
        String(text.compactMap { characters[$0] ?? $0 })
    }

    private static func digest(_ payload: [UInt8], _ binding: String) -> [UInt8] {
        Array(Hashing.sha256(Array("muster-page-1\n\(binding)\n".utf8) + payload).prefix(digestCount))
    }
}

/// Size and start of a page: headers as SDKs send them, or query parameters as older clients do; headers win.
package struct PageRequest: Sendable {
    package let size: Int
    package let continuation: String?

    /// A page size that is no positive integer is refused; one beyond the maximum gets the maximum.
    package init(_ request: HTTPRequest, maximum: Int) throws(APIError) {
        func value(_ header: String, _ parameter: String) -> (name: String, text: String)? {
            if let text = request.headers.first(header), !text.isEmpty { return (header, text) }
            if let text = request.queryValue(parameter), !text.isEmpty { return (parameter, text) }
            return nil
        }
        if let (name, text) = value("x-ms-max-item-count", "pageSize") {
            guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                text.utf8.contains(where: { $0 != UInt8(ascii: "0") })
            else {
                throw APIError(
                    .argumentInvalid, "\(name) must be an integer of at least 1; it is '\(text.prefix(40))'.")
            }
            // More digits than an integer holds is more than the maximum.
            size = min(Int(text) ?? maximum, maximum)
        } else {
            size = maximum
        }
        continuation = value("x-ms-continuation", "continuationToken")?.text
    }
}
