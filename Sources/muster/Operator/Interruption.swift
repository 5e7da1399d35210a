// Ctrl-C in a command that waits: the progress line is ended, one sentence says what goes on without us, and the
// process ends with the status that shells expect. Nothing else needs cleaning up: the terminal's modes are not touched.

import Dispatch
import Foundation

final class Interruption {
    private let sources: [any DispatchSourceSignal]

    /// Until `end` is called or the process ends.
    init(_ console: Console, note: String) {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                console.note(note)
                exit(128 + number)
            }
            source.resume()
            return source
        }
    }

    func end() {
        for source in sources { source.cancel() }
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }
}
