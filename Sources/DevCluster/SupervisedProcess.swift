// A child process that never outlives this one.
//
// Between this process and the program stands a small shell, which waits for the end of a pipe that only this process
// holds open. When this process stops the child, ends, or is killed, the kernel closes the pipe, and the shell ends the
// program. (PR_SET_PDEATHSIG is bound to the thread that started the child, and Dispatch's threads come and go.)
// The children have a process group of their own, so that Ctrl-C in a terminal reaches this process alone.

private import Dispatch
private import Glibc
package import ServiceKit
private import Synchronization

package final class SupervisedProcess: Sendable {
    private struct State {
        /// The write end of the pipe.
        var lifeline: Int32?
        var status: Int32?
        var waiters: [CheckedContinuation<Int32, Never>] = []
    }

    /// Apart from the process, so that waiting for its end does not keep the owner's object alive.
    private final class Life: Sendable {
        let state: Mutex<State>
        init(lifeline: Int32) { state = Mutex(State(lifeline: lifeline)) }
    }

    /// $1: the signal that ends the program in order. $2: its data to remove when this process is gone, or empty; who
    /// ends last removes the whole directory. Each line on the pipe is a signal to send; its end sends $1.
    private static let supervisor = """
        signal=$1; remove=$2; shift 2
        exec 3<&0 </dev/null
        "$@" 3<&- &
        program=$!
        # From the end of the pipe on the watcher may not be killed, or its end would look as if the program's came first.
        { while read -r word <&3; do kill -s "$word" "$program"; done; trap '' TERM; kill -s "$signal" "$program"; :
        } 2>/dev/null &
        watcher=$!
        wait "$program"
        status=$?
        kill "$watcher" 2>/dev/null
        # 0: the watcher had come to the end of the pipe by itself.
        if wait "$watcher" && [ -n "$remove" ]; then
            rm -rf -- "$remove"
            all=${remove%/*}
            [ -e "$all/postgres" ] || [ -e "$all/redis" ] || rm -rf -- "$all"
        fi
        exit "$status"
        """

    private let endSignal: String
    private let life: Life
    /// Of the shell, whose child the program is.
    package let processID: Int32

    /// Starts `command` with both outputs appended to `log`. `lock` is a descriptor that shell and program inherit (as
    /// number 4), and so hold until both have ended.
    package init(
        command: [String], log: String, endSignal: String, removing directory: String, holding lock: Int32? = nil,
        environment: [String]
    )
        throws(DevClusterError)
    {
        var ends: [Int32] = [-1, -1]
        // A socket pair, because a pipe cannot be made close-on-exec from its first moment without GNU's pipe2.
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .directoryUnusable(path: log, reason: "no pipe, error \(errno)")
        }
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
            close(ends[0])
        }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        if let lock { posix_spawn_file_actions_adddup2(&actions, lock, 4) }
        // What this process ignores or blocks must not be inherited, or the programs could not be ended.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let arguments = ["/bin/sh", "-c", Self.supervisor, "muster-supervisor", endSignal, directory] + command
        var pid: pid_t = 0
        let result = Self.withCStrings(arguments) { arguments in
            Self.withCStrings(environment) { environment in
                posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, environment)
            }
        }
        guard result == 0 else {
            close(ends[1])
            throw .programFailed(name: command[0], status: result, log: log, tail: String(cString: strerror(result)))
        }
        let started = pid
        self.endSignal = endSignal
        processID = started
        let life = Life(lifeline: ends[1])
        self.life = life
        DispatchQueue(label: "supervised.process").async { Self.reap(started, life) }
    }

    deinit { Self.letGo(life) }

    /// Nil while the program runs.
    package var endStatus: Int32? { life.state.withLock { $0.status } }

    /// The exit status, or 128 + signal, once the program has ended.
    package func ended() async -> Int32 {
        await withCheckedContinuation { continuation in
            let status: Int32? = life.state.withLock { state in
                if state.status == nil { state.waiters.append(continuation) }
                return state.status
            }
            if let status { continuation.resume(returning: status) }
        }
    }

    /// A program that has just started may not hear the first signal: a shell lets its background commands ignore SIGINT
    /// until they install a handler of their own.
    private static let signalInterval: Duration = .milliseconds(500)

    /// Ends the program in order, and by force after `grace`. May be called again.
    package func stop(grace: Duration, clock: any ServiceClock) async {
        let deadline = clock.now + grace
        let signaller = Task {
            do {
                while true {
                    self.send(clock.now < deadline ? self.endSignal : "KILL")
                    try await clock.sleep(for: Self.signalInterval)
                }
            } catch {
                return  // It ended in time.
            }
        }
        _ = await ended()
        signaller.cancel()
    }

    /// Ends the program at once, without a chance to tidy up. The shell stays to collect it: where no init does that, a
    /// zombie would look like a running server to the next one.
    package func kill() { send("KILL") }

    private func send(_ signal: String) {
        life.state.withLock { state in
            guard let lifeline = state.lifeline, state.status == nil else { return }
            let line = Array("\(signal)\n".utf8)
            // Fails only when the shell is gone, and the program with it.
            _ = Glibc.send(lifeline, line, line.count, Int32(MSG_NOSIGNAL))
        }
    }

    /// Closes the pipe once: its number belongs to somebody else afterwards.
    private static func letGo(_ life: Life) {
        life.state.withLock { state in
            if let lifeline = state.lifeline { close(lifeline) }
            state.lifeline = nil
        }
    }

    private static func reap(_ pid: pid_t, _ life: Life) {
        var raw: Int32 = 0
        while waitpid(pid, &raw, 0) < 0, errno == EINTR {}
        let signal = raw & 0x7f
        let status = signal == 0 ? (raw >> 8) & 0xff : 128 + signal
        letGo(life)
        let waiters = life.state.withLock { state in
            state.status = status
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: status) }
    }

    private static func withCStrings<Value>(
        _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
    ) -> Value {
        var pointers = texts.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return body(&pointers)
    }
}
