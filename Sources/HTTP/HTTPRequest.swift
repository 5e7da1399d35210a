// One request as a handler sees it: complete, with path and query already decoded.

package struct HTTPRequest: Sendable {
    package let method: String
    /// The path as it was sent, without the query.
    package let path: String
    /// The parts between slashes, each percent-decoded once after splitting; a plus is a plus. `/` has none, a slash
    /// at the end gives a last empty one.
    package let segments: [String]
    /// Decoded by the rules of forms: a plus is a space.
    package let query: [(name: String, value: String)]
    package let headers: HTTPHeaders
    package let body: [UInt8]
    /// The client's address, for logs.
    package let peer: String

    /// Nil when the target is no valid origin form such as `/jobs/v2/a?api-version=2021-04-12`.
    package init?(
        method: String, target: String, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = [], peer: String = ""
    ) {
        guard let target = RequestTarget(target) else { return nil }
        self.init(method: method, target: target, headers: headers, body: body, peer: peer)
    }

    init(method: String, target: RequestTarget, headers: HTTPHeaders, body: [UInt8], peer: String) {
        self.method = method
        path = target.path
        segments = target.segments
        query = target.query
        self.headers = headers
        self.body = body
        self.peer = peer
    }

    /// The value of the first query parameter of this name; names are case-sensitive.
    package func queryValue(_ name: String) -> String? {
        query.first { $0.name == name }?.value
    }
}
