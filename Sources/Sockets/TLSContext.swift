// The settings that all TLS connections of a server or client share: TLS 1.2 and 1.3, for 1.2 only ECDHE with AES-GCM,
// no renegotiation, no compression, verification of the server's chain and name that cannot be switched off.
//
// Resumption is left at OpenSSL's default (tickets with keys of this process): the SDKs open a connection per request,
// and resuming saves the signature.

private import COpenSSL
private import Glibc

package final class TLSContext: @unchecked Sendable {
    // Unchecked: an SSL_CTX counts its references atomically and is only read after `init`.
    let pointer: OpaquePointer
    let isServer: Bool

    package init(server: TLSConfiguration) throws(SocketError) {
        pointer = try Self.make(TLS_server_method())
        isServer = true
        ERR_clear_error()
        guard SSL_CTX_use_certificate_chain_file(pointer, server.certificateFile) == 1 else {
            throw Self.configurationError("certificate \(server.certificateFile)")
        }
        guard SSL_CTX_use_PrivateKey_file(pointer, server.keyFile, SSL_FILETYPE_PEM) == 1 else {
            throw Self.configurationError("private key \(server.keyFile)")
        }
        guard SSL_CTX_check_private_key(pointer) == 1 else {
            throw Self.configurationError("private key \(server.keyFile) for \(server.certificateFile)")
        }
        // Tickets are bound to this name, so that no other server's tickets are taken.
        let name = Array("muster".utf8)
        SSL_CTX_set_session_id_context(pointer, name, UInt32(name.count))
        // One is enough for a client that opens its connections one after the other.
        SSL_CTX_set_num_tickets(pointer, 1)
    }

    package init(client: TLSConfiguration.Client) throws(SocketError) {
        pointer = try Self.make(TLS_client_method())
        isServer = false
        ERR_clear_error()
        if let trustFile = client.trustFile {
            guard SSL_CTX_load_verify_locations(pointer, trustFile, nil) == 1 else {
                throw Self.configurationError("trusted certificates \(trustFile)")
            }
        } else if SSL_CTX_set_default_verify_paths(pointer) != 1 {
            throw Self.configurationError("the system's trusted certificates")
        }
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
    }

    deinit { SSL_CTX_free(pointer) }

    private static func make(_ method: OpaquePointer?) throws(SocketError) -> OpaquePointer {
        guard let context = SSL_CTX_new(method) else { throw configurationError("OpenSSL") }
        muster_ssl_ctx_set_defaults(context)
        guard muster_ssl_ctx_set_min_tls12(context) == 1,
            SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM") == 1
        else {
            SSL_CTX_free(context)
            throw configurationError("OpenSSL's ciphers")
        }
        return context
    }

    private static func configurationError(_ what: String) -> SocketError {
        SocketError(code: .configuration, message: "cannot use \(what): \(TLSErrors.take())")
    }
}

/// OpenSSL's queue of errors, which is per thread: cleared before a call, taken right after it.
enum TLSErrors {
    /// The text of the last error.
    static func take() -> String {
        let number = ERR_peek_last_error()
        ERR_clear_error()
        guard number != 0 else { return "no reason given" }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            if let reason = ERR_reason_error_string(number) { return String(cString: reason) }
            ERR_error_string_n(number, start, buffer.count)
            return String(cString: start)
        }
    }
}
