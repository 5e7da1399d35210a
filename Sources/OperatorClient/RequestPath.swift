// Paths and queries of the service API, encoded once here: ids may hold any character, a slash or a question mark too.

import Access

package struct RequestPath: Sendable, Equatable {
    package let text: String

    /// `segments` and `query` are plain text.
    package init(_ segments: [String], query: [(String, String)] = []) {
        let path = segments.map { "/" + PercentCoding.encode($0) }.joined()
        let parameters = query + [("api-version", OperatorClient.apiVersion)]
        text =
            path + "?"
            + parameters.map { "\(PercentCoding.encode($0.0))=\(PercentCoding.encode($0.1))" }.joined(separator: "&")
    }
}
