// SHA-256, HMAC-SHA256 and comparison in constant time, all by OpenSSL: the primitives of SAS tokens and etags. SHA-1 is
// here for the handshake of WebSockets alone.
//
// Nothing here knows what a token is. Keys and digests are plain byte arrays; callers keep them out of logs.

private import COpenSSL

package enum Hashing {
    /// Bytes of a SHA-256 digest.
    package static let digestCount = 32

    package static func sha256(_ message: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: digestCount) { digest, count in
            let result = EVP_Digest(message, message.count, digest.baseAddress, nil, EVP_sha256(), nil)
            // Fails only when OpenSSL itself is unusable (no memory, no provider): no caller could go on.
            precondition(result == 1, "OpenSSL has no SHA-256")
            count = digestCount
        }
    }

    /// Only for Sec-WebSocket-Accept, where RFC 6455 prescribes it and nothing depends on its strength: the digest shows
    /// that a server speaks the protocol. It is broken for everything that has to be secure.
    package static func sha1(_ message: [UInt8]) -> [UInt8] {
        let digestCount = 20
        return [UInt8](unsafeUninitializedCapacity: digestCount) { digest, count in
            let result = EVP_Digest(message, message.count, digest.baseAddress, nil, EVP_sha1(), nil)
            precondition(result == 1, "OpenSSL has no SHA-1")
            count = digestCount
        }
    }

    package static func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] {
        // OpenSSL reads a null key pointer as "the key of the last call"; an empty array may have no address.
        let padded = key.isEmpty ? [0] : key
        return [UInt8](unsafeUninitializedCapacity: digestCount) { digest, count in
            var length: UInt32 = 0
            let result = HMAC(
                EVP_sha256(), padded, Int32(key.count), message, message.count, digest.baseAddress, &length)
            precondition(result != nil && Int(length) == digestCount, "OpenSSL has no HMAC-SHA256")
            count = digestCount
        }
    }

    /// Takes the same time wherever the arrays differ; only their lengths may be learnt from it.
    package static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return left.isEmpty || CRYPTO_memcmp(left, right, left.count) == 0
    }
}
