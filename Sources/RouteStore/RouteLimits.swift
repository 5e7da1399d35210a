// Limits of the directory and of the inboxes in Redis, with their reasons (invariant I9).

package enum RouteLimits {
    /// Routes in one script call: a few milliseconds of Redis' only thread.
    package static let routesPerCall = 500
    /// A gateway that has not been heard of for this long has no routes: three missed beats.
    package static let gatewayLife: Duration = .seconds(4)
    package static let beatInterval: Duration = .seconds(1)
    /// Messages that may wait in one inbox. A receiver that is this far behind is stalled; the sender backs off.
    package static let inboxMessages: Int64 = 1000
    /// Messages that are taken at once.
    package static let messagesPerReceive: Int64 = 64
    /// An inbox that nobody touches vanishes: its owner is gone.
    static let inboxLife: Duration = .seconds(600)
    /// 500 answers of 128 KiB would be too much for one message; senders cut at `answerBytes`.
    static let messageBytes = 8 << 20
    /// Of messages, which others could write: nothing that one computes with them overflows. Milliseconds since 1970, until
    /// the year 142,000.
    static let moments: ClosedRange<Int64> = 0...(1 << 52)
    /// The contract allows 300 s.
    static let responseMilliseconds: ClosedRange<Int64> = 0...3_600_000
    /// Payloads of answers up to here a gateway keeps for as long as it remembers the call; larger ones until the worker
    /// has recorded them. Small ones are not worth a message.
    package static let smallPayloadBytes = 100
    /// Payload bytes after which an answer message is cut.
    package static let answerBytes = 512 * 1024
}
