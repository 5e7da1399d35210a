// Random bytes for keys, from OpenSSL's generator. Not for jitter or tests: those take a `RandomSource`.

private import COpenSSL

package enum SecureRandom {
    /// `count` bytes that nobody can predict; at most a megabyte at a time.
    package static func bytes(_ count: Int) -> [UInt8] {
        precondition((0...1_048_576).contains(count), "\(count) random bytes asked for")
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            // A generator without entropy must end the process rather than yield a guessable key.
            precondition(RAND_bytes(buffer.baseAddress, Int32(count)) == 1, "OpenSSL has no random bytes")
            filled = count
        }
    }
}
