// Everything that is wrong with one command line, reported at once: whoever corrects a script should not have to run it
// once for each mistake.

package struct UsageError: Error, Sendable, CustomStringConvertible {
    /// Whole sentences without the program's name.
    package let mistakes: [String]
    /// The command whose help says more; empty for the program itself.
    package let command: String

    package init(_ mistakes: [String], command: String = "") {
        precondition(!mistakes.isEmpty)
        self.mistakes = mistakes
        self.command = command
    }

    package var description: String { mistakes.joined(separator: "\n") }
}

enum Nearest {
    /// The known name that is most like the given one, when it is like it at all.
    static func name(to text: String, in known: [String]) -> String? {
        let text = text.lowercased()
        guard !text.isEmpty else { return nil }
        let rated = known.map { (name: $0, distance: distance(text, $0.lowercased())) }
        guard let best = rated.min(by: { ($0.distance, $0.name) < ($1.distance, $1.name) }) else { return nil }
        if best.distance <= max(1, text.count / 3) { return best.name }
        // Half-remembered names: `--connection` for `--connection-string`.
        let containing = known.filter { text.count >= 3 && ($0.contains(text) || text.contains($0)) }
        return containing.count == 1 ? containing[0] : nil
    }

    static func hint(_ text: String, in known: [String], prefix: String = "") -> String {
        name(to: text, in: known).map { "; did you mean \(prefix)\($0)?" } ?? "."
    }

    /// Insertions, deletions, replacements and swaps of neighbours.
    static func distance(_ left: String, _ right: String) -> Int {
        // Names are short; what is longer than this resembles none of them.
        let (left, right) = (Array(left.prefix(64)), Array(right.prefix(64)))
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for i in 1...left.count {
            var row = [i]
            for j in 1...right.count {
                let replaced = last[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1)
                var best = min(replaced, last[j] + 1, row[j - 1] + 1)
                if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
                    best = min(best, beforeLast[j - 2] + 1)
                }
                row.append(best)
            }
            (beforeLast, last) = (last, row)
        }
        return last[right.count]
    }
}
