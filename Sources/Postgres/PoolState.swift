// Who gets which connection: the pool's decisions as a value, without locks, clocks or connections of its own.
//
// Idle connections are used last in, first out, so that a quiet pool works on few of them. Waiters are served first in,
// first out. A connection goes from its last holder straight to the first waiter; nobody can overtake.

struct PoolState<Connection> {
    enum Acquisition {
        case use(Connection)
        /// The caller makes a connection; it is already counted.
        case create
        case wait
        case refused
        case closed
    }

    enum Release {
        case handOver(waiter: UInt64, Connection)
        case keep
        /// The pool is closed; `isLast` when no connection is out any more.
        case discard(isLast: Bool)
    }

    private let connectionsMax: Int
    private let waitersMax: Int
    private var idle: [Connection] = []
    private var waiters: [UInt64] = []
    private var created = 0
    private(set) var isClosed = false

    init(connectionsMax: Int, waitersMax: Int) {
        self.connectionsMax = connectionsMax
        self.waitersMax = waitersMax
    }

    var inUse: Int { created - idle.count }
    var waiting: Int { waiters.count }

    mutating func acquire(_ caller: UInt64) -> Acquisition {
        if isClosed { return .closed }
        if let connection = idle.popLast() { return .use(connection) }
        if created < connectionsMax {
            created += 1
            return .create
        }
        guard waiters.count < waitersMax else { return .refused }
        waiters.append(caller)
        return .wait
    }

    /// False when the waiter was served or dropped already.
    mutating func abandon(_ waiter: UInt64) -> Bool {
        guard let position = waiters.firstIndex(of: waiter) else { return false }
        waiters.remove(at: position)
        return true
    }

    mutating func release(_ connection: Connection) -> Release {
        precondition(inUse > 0, "a connection came back twice")
        if isClosed {
            created -= 1
            return .discard(isLast: created == 0)
        }
        if !waiters.isEmpty { return .handOver(waiter: waiters.removeFirst(), connection) }
        idle.append(connection)
        return .keep
    }

    /// The idle connections to close and the waiters to refuse.
    mutating func close() -> (idle: [Connection], waiters: [UInt64]) {
        isClosed = true
        defer {
            created -= idle.count
            idle = []
            waiters = []
        }
        return (idle, waiters)
    }
}
