// What a command tells the shell. Scripts depend on these numbers; they are part of the product and stand in `--help`.

package enum ExitCode: Int32, Sendable, CaseIterable {
    case success = 0
    /// The command did its work and the answer is no: a failed job, drift, some devices refused.
    case negative = 1
    /// The command line, the environment or an input file is wrong.
    case usage = 2
    case notFound = 3
    case unauthorized = 4
    /// The service or a store cannot be reached, is busy, or did not answer in time; trying again may help.
    case unavailable = 5
    /// Something of this name exists with other content, or an etag does not match.
    case conflict = 6
    case internalError = 70

    package var meaning: String {
        switch self {
        case .success: "success"
        case .negative: "the answer is no: a failed job, drift found, or a part of the work refused"
        case .usage: "wrong command line, environment or input"
        case .notFound: "no such job, device or policy"
        case .unauthorized: "the service refused the credentials or the permission is missing"
        case .unavailable: "the service or a store cannot be reached, is busy, or did not answer in time"
        case .conflict: "it exists already with other content, or an etag does not match"
        case .internalError: "a mistake in Muster itself"
        }
    }
}
