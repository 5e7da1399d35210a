// The only way to standard output and standard error: results to the one, progress and messages to the other, so that
// `--json` can be piped while a person still sees what goes on. Safe to use from several tasks.
//
// On a terminal a progress line is drawn over itself; whatever else is written first ends that line. Elsewhere progress
// becomes plain lines, less often.

import CommandLineKit
import Foundation
import JSON
import Synchronization

final class Console: Sendable {
    static let shared = Console()

    /// Whether progress is drawn over itself.
    let isTerminal: Bool
    private let hasProgressLine = Mutex(false)

    private init() {
        isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
        // A reader that goes away (`| head`) is seen as an error of write, here as in sockets.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Columns of the terminal.
    var width: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// A result, to standard output, as it is.
    func write(_ text: String) {
        hasProgressLine.withLock { hasProgressLine in
            Self.endProgress(&hasProgressLine)
            Self.send(text, to: STDOUT_FILENO)
        }
    }

    func line(_ text: String) { write(text + "\n") }

    func json(_ value: JSONValue) { line(value.prettyText) }

    /// A message for people, to standard error.
    func note(_ text: String) {
        hasProgressLine.withLock { hasProgressLine in
            Self.endProgress(&hasProgressLine)
            Self.send(text.hasSuffix("\n") ? text : text + "\n", to: STDERR_FILENO)
        }
    }

    /// Draws the progress line over the last one; on anything but a terminal it is a line of its own.
    func progress(_ text: String) {
        hasProgressLine.withLock { hasProgressLine in
            if isTerminal {
                // To the first column, clear to the end, text: nothing of a longer line before stays.
                Self.send("\r\u{1B}[K" + text, to: STDERR_FILENO)
                hasProgressLine = true
            } else {
                Self.send(text + "\n", to: STDERR_FILENO)
            }
        }
    }

    /// Leaves the last progress line standing and the cursor below it.
    func endProgress() { hasProgressLine.withLock { Self.endProgress(&$0) } }

    private static func endProgress(_ hasProgressLine: inout Bool) {
        if hasProgressLine { send("\n", to: STDERR_FILENO) }
        hasProgressLine = false
    }

    private static func send(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno == EAGAIN {
                var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&state, 1, -1)
            } else if errno != EINTR {
                // Nobody reads standard output any more: end as the shell expects of a broken pipe.
                if descriptor == STDOUT_FILENO { exit(128 + SIGPIPE) }
                return
            }
        }
    }
}
