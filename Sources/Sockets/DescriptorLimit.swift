// How many descriptors the process may open, and how near it is to that.
//
// A process of ours must never run out of them: libdispatch looks at /proc/self/task every second while its queues are
// busy and ends the process when it cannot open it (seen with Swift 6.3.1 under `ulimit -n 40`). The kernel gives out
// the lowest free number, so the number of a fresh descriptor tells how many are open.

private import Glibc

package enum DescriptorLimit {
    /// Raises the soft limit to the hard one, as servers do; what is in use stays as it is. Harmless to repeat.
    package static func raise() {
        var limits = rlimit()
        guard getrlimit(resource, &limits) == 0, limits.rlim_cur < limits.rlim_max else { return }
        limits.rlim_cur = limits.rlim_max
        // Refused only by sandboxes; then the old limit holds.
        _ = setrlimit(resource, &limits)
    }

    /// The soft limit.
    package static var current: Int {
        var limits = rlimit()
        guard getrlimit(resource, &limits) == 0 else { return 0 }
        return Int(clamping: limits.rlim_cur)
    }

    /// True when an accepted connection got one of the last descriptors, which are kept for files, stores, and libraries.
    static func isNearlyReached(by descriptor: Int32) -> Bool {
        var limits = rlimit()
        guard getrlimit(resource, &limits) == 0, let limit = Int(exactly: limits.rlim_cur) else { return false }
        return Int(descriptor) >= limit - min(SocketLimits.reservedDescriptors, limit / 4)
    }

    private static var resource: __rlimit_resource_t { __rlimit_resource_t(RLIMIT_NOFILE.rawValue) }
}
