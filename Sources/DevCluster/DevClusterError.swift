// Why a private cluster could not start, with what a person can do about it.

package enum DevClusterError: Error, CustomStringConvertible {
    case missingProgram(name: String, hint: String)
    case directoryUnusable(path: String, reason: String)
    case directoryInUse(path: String)
    /// `tail`: the last lines of the program's log.
    case programFailed(name: String, status: Int32, log: String, tail: String)
    case notReady(DevCluster.Server, log: String, tail: String)
    case stopped

    package var description: String {
        switch self {
        case .missingProgram(let name, let hint):
            "\(name) was not found in PATH; \(hint)"
        case .directoryUnusable(let path, let reason):
            "the directory \(path) cannot be used: \(reason)"
        case .directoryInUse(let path):
            "another process uses the directory \(path); stop it, or choose another directory"
        case .programFailed(let name, let status, let log, let tail):
            "\(name) ended with status \(status); the end of \(log):\n\(tail)"
        case .notReady(let server, let log, let tail):
            "\(server.name) did not answer in time; the end of \(log):\n\(tail)"
        case .stopped:
            "stopped before the start was complete"
        }
    }
}
