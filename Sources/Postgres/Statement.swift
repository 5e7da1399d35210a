// One SQL statement with a name. The name stands in errors, metrics and prepared statements; the text comes from a
// `.sql` file, or from a compiler that puts every user value into a parameter.

package struct Statement: Sendable, Hashable {
    package let name: String
    package let text: String
    /// Unique for name and text on a connection, so that two releases behind one server never mix up their texts.
    let preparedName: String
    /// False for texts that are used once: they would crowd the connection's prepared statements.
    package let isPrepared: Bool

    /// From an embedded file: `Statement("claim_batches", PackageResources.claim_batches_sql)`.
    ///
    /// Statements that join an array of a batch's size with a table that grows from nothing are planned at each call:
    /// a prepared one keeps the plan that was right when the table was empty until somebody runs ANALYZE. Subscriptions
    /// of 15,000 sessions took 30 s with kept plans, and planning takes less than a millisecond a batch.
    package init(_ name: String, _ resource: [UInt8], isPrepared: Bool = true) {
        self.init(name: name, text: String(decoding: resource, as: UTF8.self), isPrepared: isPrepared)
    }

    package init(name: String, text: String, isPrepared: Bool = true) {
        self.name = name
        self.text = text
        self.isPrepared = isPrepared
        // Names of prepared statements are cut at 63 bytes.
        preparedName = "\(name.utf8.prefix(40).map { String(UnicodeScalar($0)) }.joined())_\(Self.hash(text))"
    }

    /// FNV-1a in 64 bits, in hexadecimal.
    private static func hash(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        return String(hash, radix: 16)
    }
}
