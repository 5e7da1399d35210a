// CPU time and memory of processes and all their descendants, read from /proc.
//
// The time of a child that ended and was waited for is part of its parent's own account, so the sum over the living
// loses nothing.

internal import Glibc

struct ProcessTable: Sendable {
    private struct Entry: Sendable {
        var parent: Int32
        /// In clock ticks.
        var ownTicks: Int
        /// Of ended children that were waited for.
        var childrenTicks: Int
    }

    private let entries: [Int32: Entry]

    /// All processes of now.
    init() {
        var entries: [Int32: Entry] = [:]
        for pid in Self.processIDs() {
            guard let entry = Self.entry(pid) else { continue }  // It ended just now.
            entries[pid] = entry
        }
        self.entries = entries
    }

    /// CPU seconds of a process, with all its descendants, living and ended, or alone.
    func cpuSeconds(_ root: Int32, withDescendants: Bool = true) -> Double {
        let ticks =
            withDescendants
            ? family(root).reduce(0) { $0 + (entries[$1].map { $0.ownTicks + $0.childrenTicks } ?? 0) }
            : entries[root]?.ownTicks ?? 0
        return Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The most memory that the largest of them ever had resident, in bytes.
    func peakBytes(_ root: Int32, withDescendants: Bool = true) -> Int {
        (withDescendants ? family(root) : [root]).map { Self.status($0, "VmHWM:") }.reduce(0, max)
    }

    /// Resident memory of now, of the largest of them, in bytes.
    func residentBytes(_ root: Int32) -> Int {
        family(root).map { Self.status($0, "VmRSS:") }.reduce(0, max)
    }

    private func family(_ root: Int32) -> [Int32] {
        var children: [Int32: [Int32]] = [:]
        for (pid, entry) in entries { children[entry.parent, default: []].append(pid) }
        var found: [Int32] = []
        var open = [root]
        while let pid = open.popLast() {
            found.append(pid)
            open += children[pid] ?? []
        }
        return found
    }

    // MARK: /proc

    private static func processIDs() -> [Int32] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var pids: [Int32] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let pid = Int32(name) { pids.append(pid) }
        }
        return pids
    }

    /// `pid (name) state ppid …`; the name may hold anything, so what counts starts behind the last parenthesis.
    private static func entry(_ pid: Int32) -> Entry? {
        guard let text = read("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 14, let parent = Int32(fields[1]) else { return nil }
        func ticks(_ fields: ArraySlice<Substring>) -> Int { fields.reduce(0) { $0 + (Int($1) ?? 0) } }
        return Entry(parent: parent, ownTicks: ticks(fields[11...12]), childrenTicks: ticks(fields[13...14]))
    }

    private static func status(_ pid: Int32, _ name: String) -> Int {
        guard let text = read("/proc/\(pid)/status"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
            let kilobytes = line.dropFirst(name.count).split(whereSeparator: \.isWhitespace).first.flatMap({ Int($0) })
        else { return 0 }
        return kilobytes * 1024
    }

    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
