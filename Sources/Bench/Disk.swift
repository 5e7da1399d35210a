// What a round needs on disk: asked before it begins, because a benchmark that fills the disk harms more than itself.

internal import Glibc

enum Disk {
    /// Measured on 200,000 devices: a twin with its metadata in half-filled pages, with its device and their indexes.
    private static let bytesPerTwin = 4500
    /// An item with two index entries in half-filled pages.
    private static let bytesPerItem = 1000
    /// Log of an item and its patch, pages in full; what a checkpoint leaves is used again.
    private static let logBytesPerItem = 6000
    private static let logBytesMaximum = 17_000_000_000

    static func needed(twins: Int, items: Int) -> Int {
        twins * bytesPerTwin + items * bytesPerItem + min(items * logBytesPerItem, logBytesMaximum)
    }

    /// Nil when it cannot be read.
    static func free(at path: String) -> Int? {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return nil }
        return Int(info.f_bavail) * Int(info.f_frsize)
    }
}
