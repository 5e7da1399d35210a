// One file of migrations/, and the list of all that this binary knows.

import Crypto

package struct Migration: Sendable, Hashable {
    /// The leading number of the file's name.
    package let version: Int
    /// The file's name without `.sql`.
    package let name: String
    package let text: String
    /// SHA-256 of the file: an applied migration must never change.
    package let checksum: String

    /// A file name that does not start with a number is a mistake in the package, found by the first test.
    package init(name: String, text: [UInt8]) {
        guard let version = Int(name.prefix { $0.isNumber }), version > 0 else {
            preconditionFailure("the migration \(name) has no number")
        }
        self.version = version
        self.name = name
        self.text = String(decoding: text, as: UTF8.self)
        checksum = Hashing.sha256(text).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// In order of version. The list is written by the build plugin ListMigrations.
    package static let all: [Migration] = {
        let all = embeddedMigrations.map { Migration(name: $0.name, text: $0.text) }.sorted { $0.version < $1.version }
        for (earlier, later) in zip(all, all.dropFirst()) {
            precondition(earlier.version < later.version, "\(earlier.name) and \(later.name) have the same number")
        }
        return all
    }()
}
