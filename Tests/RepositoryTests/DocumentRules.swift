// Documents: links resolve, named files exist, and nothing names a place that only one machine has.

enum DocumentRules {
    static func violations(in repository: Repository) -> [Violation] {
        let documents = repository.files(withExtension: "md")
        return
            (documents.flatMap { links(in: $0, repository) + namedFiles(in: $0, repository) }
            + repository.files.flatMap(machinePaths)).sorted()
    }

    // MARK: Links

    static func links(in file: SourceFile, _ repository: Repository) -> [Violation] {
        proseLines(of: file).flatMap { number, line in
            line.matches(of: /\]\(([^)\s]+)[^)]*\)/).compactMap { match -> Violation? in
                let target = String(match.1)
                guard !target.contains("://"), !target.hasPrefix("mailto:") else { return nil }
                return resolves(target, from: file, repository)
                    ? nil : Violation(file: file.path, line: number, message: "the link \(target) leads nowhere")
            }
        }
    }

    private static func resolves(_ target: String, from file: SourceFile, _ repository: Repository) -> Bool {
        let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts[0].isEmpty ? file.path : resolve(String(parts[0]), from: file.path)
        guard let path else { return false }
        if let document = repository.files.first(where: { $0.path == path }) {
            guard parts.count > 1, document.has(extension: "md") else { return true }
            return anchors(of: document).contains(String(parts[1]))
        }
        return repository.files.contains { $0.path.hasPrefix(path + "/") }
    }

    /// A path relative to the folder of another, from the root; nil when it leaves the repository.
    private static func resolve(_ link: String, from path: String) -> String? {
        var parts = path.split(separator: "/").dropLast().map(String.init)
        for part in link.split(separator: "/") {
            switch part {
            case ".": continue
            case "..":
                if parts.popLast() == nil { return nil }
            default: parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }

    /// Headings as anchors: lower case, spaces as hyphens, other punctuation dropped.
    static func anchors(of file: SourceFile) -> Set<String> {
        Set(
            proseLines(of: file).compactMap { _, line in
                guard let heading = line.firstMatch(of: /^#+\s+(.*)$/) else { return nil }
                return String(
                    heading.1.lowercased().compactMap { character -> Character? in
                        if character == " " { return "-" }
                        return character.isLetter || character.isNumber || character == "-" || character == "_"
                            ? character : nil
                    })
            })
    }

    // MARK: Files named in the text

    /// `Folder/Name.swift`, `name.sql`, `name-2.lua` in code spans: documents that name files keep up with them.
    static func namedFiles(in file: SourceFile, _ repository: Repository) -> [Violation] {
        proseLines(of: file).flatMap { number, line in
            line.matches(of: /`([\w.\/+-]+\.(?:swift|sql|lua))`/).compactMap { match -> Violation? in
                let name = String(match.1)
                // NNNN stands for a number to come.
                let exists =
                    name.contains("NNNN")
                    || repository.paths.contains { $0 == name || $0.hasSuffix("/" + name) }
                return exists ? nil : Violation(file: file.path, line: number, message: "there is no file \(name)")
            }
        }
    }

    /// Numbered lines outside fenced blocks.
    private static func proseLines(of file: SourceFile) -> [(Int, Substring)] {
        var isFenced = false
        return file.lines.enumerated().compactMap { index, line in
            if line.hasPrefix("```") {
                isFenced.toggle()
                return nil
            }
            return isFenced ? nil : (index + 1, line)
        }
    }

    // MARK: Machine paths

    /// Folders of the machines we build on and of people's homes. Spelt in pieces, so that this file passes its own check.
    private static let foreign = ["/" + "work", "/" + "farm", "/tmp/" + "w", "/" + "root", "/" + "home"]

    static func machinePaths(in file: SourceFile) -> [Violation] {
        file.lines.enumerated().compactMap { index, line in
            let hit = foreign.first { folder in
                line.ranges(of: folder + "/").contains { range in
                    let before = line[..<range.lowerBound].last
                    return before.map { !$0.isLetter && !$0.isNumber && !"_.-/~}$)".contains($0) } ?? true
                }
            }
            return hit.map { Violation(file: file.path, line: index + 1, message: "names the machine's folder \($0)") }
        }
    }
}
