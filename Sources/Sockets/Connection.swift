// One stream connection, TCP or Unix, with or without TLS, on the event loop that it was made on.
//
// Modes and the allowed moves:
//   connecting   an outgoing connection; tries the addresses of its name in turn   -> handshaking, open, closed
//   handshaking  TLS only                                                           -> open, closed
//   open         bytes flow both ways                                               -> flushing, closed
//   flushing     closed by its handler; what was written is still going out         -> lingering, closed
//   lingering    our side is finished, the peer's not yet; input is dropped         -> closed
//   closed       the descriptor is gone, the handler has been told
//
// Back-pressure: a handler pauses reading while it cannot take more, and what it writes is bounded by `outputLimit`;
// a peer that takes nothing for `writeTimeout` is dropped. An idle connection owns no buffer.
//
// How a connection is opened or accepted stands in Connection+Opening.swift.

private import CLinux
private import Glibc
package import ServiceKit

package final class Connection: Channel {
    enum Mode {
        case connecting
        case handshaking
        case open
        case flushing
        case lingering
        case closed
    }

    package let reactor: Reactor
    var mode: Mode
    var handler: (any ConnectionHandler)?
    var descriptor: Int32 = -1
    var registration: Reactor.Registration?
    var interest: UInt32 = 0
    var output = OutputBuffer()
    var tls: TLSSession?
    var connector: Connector?
    /// Told when the descriptor of an accepted connection is free again.
    let slots: ConnectionSlots?

    var isReadingPaused = false
    var hasPeerFinished = false
    var hasPeerLeft = false
    var isDeferred = false
    /// TLS may hold plain text that was not handed out because reading was paused.
    var mustPump = false
    var mayTellDrained = false
    var bytesDropped = 0
    /// Who ended an orderly connection.
    var endReason = CloseReason.local

    /// The earliest timer of this connection in the reactor's heap. A later deadline needs no new timer.
    var armed: Instant?
    var stallDeadline: Instant?

    /// Calls `deadlinePassed` then, once; nil for never. Setting it is cheap enough for every packet.
    package var deadline: Instant? {
        didSet { arm(deadline) }
    }
    /// Bytes that may wait for the peer. A write beyond it drops the connection.
    package var outputLimit = SocketLimits.outputBytes
    /// The connection is dropped when the peer takes no byte for this long.
    package var writeTimeout: Duration = .seconds(30)

    /// Bytes that wait for the peer.
    package var outputCount: Int { output.count }
    package var isOpen: Bool { mode == .open }
    /// The peer's address for logs.
    package var peer: String { ResolvedAddress.of(descriptor, peer: true)?.description ?? "unknown" }

    init(_ reactor: Reactor, mode: Mode, handler: any ConnectionHandler, slots: ConnectionSlots?) {
        self.reactor = reactor
        self.mode = mode
        self.handler = handler
        self.slots = slots
    }

    // MARK: For the handler

    /// From now on `handler` owns the open connection and hears of everything; the one before hears nothing more, not
    /// even `closed`. It does not get `opened`.
    package func handOver(to handler: any ConnectionHandler) {
        precondition(mode == .open, "only an open connection can be handed over")
        self.handler = handler
    }

    /// Sends the bytes after all those written before, at the end of the loop's turn. Ignored once closed.
    package func write(_ bytes: [UInt8]) {
        guard mode == .open, !bytes.isEmpty else { return }
        if let tls {
            guard tls.write(bytes) else {
                return finish(.failed(SocketError(code: .tls, message: "TLS cannot encrypt any more")))
            }
            tls.takeOutput(into: &output)
        } else {
            output.append(bytes)
        }
        guard output.count <= outputLimit else {
            let message = "the peer lets more than \(outputLimit) bytes wait"
            return finish(.failed(SocketError(code: .overflow, message: message)))
        }
        mayTellDrained = true
        deferWork()
    }

    /// Sends what was written, says goodbye, and closes when the peer has closed too or after a short wait.
    package func close() {
        switch mode {
        case .connecting, .handshaking:
            finish(.local)
        case .open:
            mode = .flushing
            deadline = nil
            tls?.finish()
            tls?.takeOutput(into: &output)
            deferWork()
        case .flushing, .lingering, .closed:
            break
        }
    }

    /// Closes at once; what was written and not yet taken is lost.
    package func abort() {
        finish(.local)
    }

    /// Stops `received` until `resumeReading`. What the peer sends waits in the kernel, and then at the peer.
    package func pauseReading() {
        guard !isReadingPaused else { return }
        isReadingPaused = true
        deferWork()
    }

    package func resumeReading() {
        guard isReadingPaused else { return }
        isReadingPaused = false
        mustPump = tls != nil
        deferWork()
    }

    // MARK: Events

    func ready(_ events: UInt32) {
        let isBroken = events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
        guard mode != .connecting else {
            guard isBroken || events & EPOLLOUT.rawValue != 0 else { return }
            let number = Descriptor.takeError(descriptor)
            return number == 0 ? connected() : connectFailed(SocketError(errno: number, "connect"))
        }
        if wantsInput, isBroken || events & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 {
            readAvailable()
        } else if isBroken {
            // Nothing is left to wait for, and this event would come again and again.
            let number = Descriptor.takeError(descriptor)
            finish(number == 0 ? .peer : .failed(SocketError(errno: number, "connection")))
        } else if events & EPOLLRDHUP.rawValue != 0, !hasPeerLeft {
            hasPeerLeft = true
            handler?.peerLeft(self)
            deferWork()
        }
        if events & EPOLLOUT.rawValue != 0 { deferWork() }
    }

    func timerFired(_ deadline: Instant) {
        guard mode != .closed, deadline == armed else { return }
        armed = nil
        if let stallDeadline, stallDeadline <= reactor.now {
            return finish(.failed(SocketError(code: .timeout, message: "the peer takes no data")))
        }
        guard let current = self.deadline, current <= reactor.now else {
            arm(self.deadline)
            return arm(stallDeadline)
        }
        self.deadline = nil
        arm(stallDeadline)
        switch mode {
        case .connecting: connectFailed(SocketError(code: .timeout, message: "no answer to connecting"))
        case .handshaking: finish(.failed(SocketError(code: .timeout, message: "TLS handshake not finished in time")))
        case .open: handler?.deadlinePassed(self)
        case .lingering: finish(endReason)
        case .flushing, .closed: break
        }
    }

    /// The end of the loop's turn.
    func runDeferred() {
        isDeferred = false
        if mustPump {
            mustPump = false
            pump()
        }
        guard mode != .closed else { return }
        flush()
        updateInterest()
    }

    // MARK: Reading

    var wantsInput: Bool {
        guard !hasPeerFinished else { return false }
        switch mode {
        case .connecting, .closed: return false
        case .handshaking: return true
        case .open: return !isReadingPaused
        case .flushing, .lingering: return bytesDropped < SocketLimits.lingerBytes
        }
    }

    func readAvailable() {
        switch Descriptor.receive(descriptor, reactor.input) {
        case .wouldBlock:
            break
        case .failed(let number):
            finish(.failed(SocketError(errno: number, "receive")))
        case .count(0):
            inputEnded()
        case .count(let count):
            let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(reactor.input)[..<count])
            if mode == .flushing || mode == .lingering {
                bytesDropped += count
                deferWork()
            } else if let tls {
                tls.feed(bytes)
                pump()
            } else {
                handler?.received(bytes.assumingMemoryBound(to: UInt8.self).span, self)
            }
        }
    }

    /// Moves TLS on: handshake, then plain text to the handler until it pauses or nothing is left.
    func pump() {
        guard let tls else { return }
        if mode == .handshaking {
            switch tls.shakeHands() {
            case .failed(let error): return failTLS(error)
            case .needsInput: break
            case .done:
                mode = .open
                deadline = nil
                handler?.opened(self)
            }
        }
        reading: while mode == .open, !isReadingPaused, !hasPeerFinished {
            switch tls.read(into: reactor.plaintext) {
            case .bytes(let count):
                let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(reactor.plaintext)[..<count])
                handler?.received(bytes.assumingMemoryBound(to: UInt8.self).span, self)
            case .needsInput: break reading
            case .finished: inputEnded()
            case .failed(let error): return failTLS(error)
            }
        }
        guard mode != .closed else { return }
        tls.takeOutput(into: &output)
        deferWork()
    }

    /// Sends the alert that says why, if the kernel takes it at once.
    func failTLS(_ error: SocketError) {
        tls?.takeOutput(into: &output)
        _ = output.withBytes { Descriptor.send(descriptor, $0) }
        output.removeAll()
        finish(.failed(error))
    }

    func inputEnded() {
        hasPeerFinished = true
        deferWork()
        switch mode {
        case .handshaking: finish(.failed(SocketError(code: .tls, message: "closed during the TLS handshake")))
        case .open:
            endReason = .peer
            handler?.peerFinished(self)
        case .lingering: finish(endReason)
        case .connecting, .flushing, .closed: break
        }
    }

    // MARK: Writing

    func deferWork() {
        guard !isDeferred, mode != .closed else { return }
        isDeferred = true
        reactor.defer(self)
    }

    func flush() {
        var hasProgress = false
        while !output.isEmpty {
            switch output.withBytes({ Descriptor.send(descriptor, $0) }) {
            case .count(let count):
                output.consume(count)
                hasProgress = true
            case .wouldBlock:
                guard hasProgress || stallDeadline == nil else { return }
                stallDeadline = reactor.now + writeTimeout
                return arm(stallDeadline)
            case .failed(let number):
                return finish(.failed(SocketError(errno: number, "send")))
            }
        }
        stallDeadline = nil
        if mode == .flushing {
            Descriptor.finishWriting(descriptor)
            guard !hasPeerFinished else { return finish(endReason) }
            mode = .lingering
            deadline = reactor.now + SocketLimits.lingerTimeout
        } else if mode == .open, mayTellDrained {
            mayTellDrained = false
            handler?.outputDrained(self)
        }
    }

    // MARK: Bookkeeping

    func arm(_ deadline: Instant?) {
        guard let deadline, let registration, armed.map({ deadline < $0 }) ?? true else { return }
        armed = deadline
        reactor.arm(registration, at: deadline)
    }

    func register(_ interest: UInt32) {
        self.interest = interest
        registration = reactor.register(self, descriptor, interest)
    }

    func updateInterest() {
        guard mode != .closed, mode != .connecting, let registration else { return }
        var wanted: UInt32 = 0
        if wantsInput {
            wanted |= EPOLLIN.rawValue
        } else if !hasPeerFinished, !hasPeerLeft, mode == .open {
            wanted |= EPOLLRDHUP.rawValue
        }
        if !output.isEmpty { wanted |= EPOLLOUT.rawValue }
        guard wanted != interest else { return }
        interest = wanted
        reactor.update(registration, descriptor, wanted)
    }

    func releaseDescriptor() {
        if let registration { reactor.unregister(registration) }
        registration = nil
        armed = nil
        guard descriptor >= 0 else { return }
        Descriptor.close(descriptor)
        descriptor = -1
    }

    func finish(_ reason: CloseReason) {
        guard mode != .closed else { return }
        mode = .closed
        // What a peer does not take would otherwise stay in the kernel for minutes.
        if !output.isEmpty { Descriptor.resetOnClose(descriptor) }
        releaseDescriptor()
        output.removeAll()
        tls = nil
        connector = nil
        slots?.release()
        let handler = self.handler
        self.handler = nil
        handler?.closed(self, reason)
    }
}
