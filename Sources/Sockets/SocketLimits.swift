// Every limit of the socket layer with the reason for its number (invariant I9).

enum SocketLimits {
    /// One read; a loop owns one such buffer for all its connections, so an idle connection has none.
    static let readBytes = 64 * 1024
    /// Events taken from the kernel in one turn; more wait for the next, so that timers and writes get their turn.
    static let eventsPerTurn = 256
    /// Connections with something to write after which a turn writes it before it goes on: what the caches hold of them,
    /// here and in the kernel, is still there. With 256 a call of a method cost a tenth more; fewer than these gain nothing.
    static let connectionsPerWrite = 16
    /// Connections accepted in one turn of the loop, so that a storm of them does not starve the others.
    static let acceptsPerTurn = 64
    /// How long accepting rests when the system has no descriptors or memory left and shedding does not help either.
    static let acceptPause: Duration = .milliseconds(100)
    /// Connections that may wait in the kernel; it cuts this to net.core.somaxconn.
    static let backlog: Int32 = 4096
    /// Descriptors that accepting leaves for everything else: pools of stores, files, outgoing connections, libraries.
    static let reservedDescriptors = 64
    /// A TLS handshake of a client on a bad network takes a few seconds.
    static let handshakeTimeout: Duration = .seconds(10)
    /// After our last byte the peer has this long to close its side. Without this wait, bytes of his that we never
    /// read would make the kernel reset the connection, and he would lose the answer that is still on its way.
    static let lingerTimeout: Duration = .seconds(2)
    /// Bytes that are read and dropped while lingering.
    static let lingerBytes = 1024 * 1024
    /// The largest output that a connection may hold unless its handler says otherwise.
    static let outputBytes = 256 * 1024
    /// OpenSSL takes lengths as Int32; also the largest piece encrypted before it is handed on.
    static let encryptBytes = 1024 * 1024
    /// Addresses of one name that are tried one after the other.
    static let addressesPerName = 8
}
