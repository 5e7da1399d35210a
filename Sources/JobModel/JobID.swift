// The client's name of a job.

package struct JobID: Sendable, Hashable, CustomStringConvertible {
    package let text: String
    package var description: String { text }

    /// ASCII letters, digits and `-`, 1 to 64 characters; `query` is taken by the list route.
    package init(_ text: String) throws(JobModelError) {
        guard !text.isEmpty, text.utf8.count <= Limits.jobIDLength else {
            throw JobModelError(
                "jobId", "jobId must have 1 to \(Limits.jobIDLength) characters; it has \(text.utf8.count).")
        }
        guard text.utf8.allSatisfy(Self.isAllowed) else {
            throw JobModelError("jobId", "jobId may contain only ASCII letters, digits and '-'.")
        }
        guard text != "query" else {
            throw JobModelError("jobId", "jobId 'query' is reserved for the list of jobs.")
        }
        self.text = text
    }

    /// An id that a store returned, which was valid when it was stored.
    package init(stored text: String) { self.text = text }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// A value that breaks a rule of the model. `message` names the field, the limit and what was given.
package struct JobModelError: Error, Equatable {
    package let field: String
    package let message: String

    package init(_ field: String, _ message: String) {
        self.field = field
        self.message = message
    }
}
