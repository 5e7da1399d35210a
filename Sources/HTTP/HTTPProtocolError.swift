// What the server itself refuses, before any handler sees a request. The API decides how the body looks.

package struct HTTPProtocolError: Error, Sendable, Equatable {
    /// 400, 405, 408, 413, 414, 417, 426, 431, 503 or 505.
    package let status: Int
    /// What is wrong, with the limit where there is one. Holds nothing that the client sent.
    package let text: String

    package init(status: Int, text: String) {
        self.status = status
        self.text = text
    }

    static func bad(_ text: String) -> HTTPProtocolError { HTTPProtocolError(status: 400, text: text) }
}
