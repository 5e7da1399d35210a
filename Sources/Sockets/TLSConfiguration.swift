// What TLS needs to know: files, all PEM. Versions and cipher suites are not configurable; see `TLSContext`.

/// The server's side.
package struct TLSConfiguration: Sendable, Hashable {
    /// The certificate followed by its intermediates.
    package var certificateFile: String
    /// The unencrypted private key.
    package var keyFile: String

    package init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }

    /// The client's side. The chain and the host name (or IP address) are always verified.
    package struct Client: Sendable, Hashable {
        /// Certificates to trust instead of the system's store; nil for the system's.
        package var trustFile: String?

        package init(trustFile: String? = nil) {
            self.trustFile = trustFile
        }
    }
}
