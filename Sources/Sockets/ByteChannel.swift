// What a protocol needs of the connection that it talks over, whatever carries it: a plain or TLS connection, or a
// WebSocket.

package import ServiceKit

package protocol ByteChannel: AnyObject {
    var reactor: Reactor { get }
    /// As `Connection.deadline`.
    var deadline: Instant? { get set }
    /// As `Connection.outputLimit`.
    var outputLimit: Int { get set }
    var outputCount: Int { get }
    /// The peer's address for logs.
    var peer: String { get }
    func write(_ bytes: [UInt8])
    func close()
    func abort()
    func pauseReading()
    func resumeReading()
}

extension Connection: ByteChannel {}

/// Receives the stream of a channel; called on its loop.
package protocol ByteStreamHandler: AnyObject {
    func opened(_ channel: any ByteChannel)
    /// The bytes are only valid during the call.
    func received(_ bytes: Span<UInt8>)
    func outputDrained()
    /// `ByteChannel.deadline` is over; it is nil again.
    func deadlinePassed()
    /// The last call, exactly once.
    func closed(_ reason: CloseReason)
}

/// A stream straight over a connection.
package final class ByteStreamConnection: ConnectionHandler {
    private let handler: any ByteStreamHandler

    package init(_ handler: any ByteStreamHandler) { self.handler = handler }

    package func opened(_ connection: Connection) { handler.opened(connection) }
    package func received(_ bytes: Span<UInt8>, _ connection: Connection) { handler.received(bytes) }
    package func outputDrained(_ connection: Connection) { handler.outputDrained() }
    package func deadlinePassed(_ connection: Connection) { handler.deadlinePassed() }
    package func closed(_ connection: Connection, _ reason: CloseReason) { handler.closed(reason) }
}
