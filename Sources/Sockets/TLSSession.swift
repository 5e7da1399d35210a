// One TLS connection between two memory buffers: ciphertext in, ciphertext out, plain text in between. It knows no
// socket, so that the connection's rules for reading, writing and back-pressure are the same with and without TLS.

private import COpenSSL
private import Glibc

final class TLSSession {
    enum Read {
        case bytes(Int)
        /// More ciphertext is needed.
        case needsInput
        /// The peer said that nothing follows.
        case finished
        case failed(SocketError)
    }

    enum Handshake {
        case done
        case needsInput
        case failed(SocketError)
    }

    private let ssl: OpaquePointer
    // Both belong to `ssl`, which frees them.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    /// A client names the server, whose certificate must be for this name or IP address.
    init(_ context: TLSContext, serverName: String? = nil) {
        guard let ssl = SSL_new(context.pointer), let incoming = BIO_new(BIO_s_mem()),
            let outgoing = BIO_new(BIO_s_mem())
        else { preconditionFailure("OpenSSL has no memory") }
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(ssl, incoming, outgoing)
        guard !context.isServer else {
            SSL_set_accept_state(ssl)
            return
        }
        SSL_set_connect_state(ssl)
        guard let serverName else { preconditionFailure("a TLS client needs the server's name") }
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName) != 1 {
            ERR_clear_error()
            let isSet = SSL_set1_host(ssl, serverName) == 1 && muster_ssl_set_server_name(ssl, serverName) == 1
            precondition(isSet, "OpenSSL refused the server's name")
        }
    }

    deinit { SSL_free(ssl) }

    /// Hands over what the socket received.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        let taken = BIO_write(incoming, bytes.baseAddress, Int32(bytes.count))
        precondition(Int(taken) == bytes.count, "OpenSSL has no memory")
    }

    func shakeHands() -> Handshake {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 { return .done }
        let code = SSL_get_error(ssl, result)
        return code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE ? .needsInput : .failed(failure())
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Read {
        ERR_clear_error()
        let result = SSL_read(ssl, buffer.baseAddress, Int32(buffer.count))
        if result > 0 { return .bytes(Int(result)) }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .needsInput
        case SSL_ERROR_ZERO_RETURN: return .finished
        default: return .failed(failure())
        }
    }

    /// Encrypts all of it, after the handshake. False when the session has failed before.
    func write(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            ERR_clear_error()
            let count = min(bytes.count - offset, SocketLimits.encryptBytes)
            let written = bytes.withUnsafeBytes { SSL_write(ssl, $0.baseAddress?.advanced(by: offset), Int32(count)) }
            guard written > 0 else { return false }
            offset += Int(written)
        }
        return true
    }

    /// Says that nothing follows.
    func finish() {
        ERR_clear_error()
        _ = SSL_shutdown(ssl)
    }

    /// Moves the ciphertext that was produced to `output`.
    func takeOutput(into output: inout OutputBuffer) {
        var start: UnsafeMutablePointer<CChar>?
        let count = muster_bio_memory(outgoing, &start)
        guard count > 0, let start else { return }
        output.append(UnsafeRawBufferPointer(start: start, count: count))
        _ = muster_bio_reset(outgoing)
    }

    private func failure() -> SocketError {
        let verification = SSL_get_verify_result(ssl)
        guard verification == Int(X509_V_OK) else {
            ERR_clear_error()
            let text = X509_verify_cert_error_string(verification).map { String(cString: $0) } ?? "\(verification)"
            return SocketError(code: .certificate, message: "the server's certificate is not accepted: \(text)")
        }
        return SocketError(code: .tls, message: "TLS failed: \(TLSErrors.take())")
    }
}
