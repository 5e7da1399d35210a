// The files of the repository as the checks see them: everything in the tree that git would not ignore.

import Foundation

/// One finding: where, and what is wrong. Checks return these, so that a test can show all of them at once.
struct Violation: Hashable, Comparable, CustomStringConvertible {
    let file: String
    var line = 0
    let message: String

    var description: String { line > 0 ? "\(file):\(line): \(message)" : "\(file): \(message)" }

    static func < (left: Violation, right: Violation) -> Bool {
        (left.file, left.line, left.message) < (right.file, right.line, right.message)
    }
}

/// A text file with its path from the root.
struct SourceFile: Sendable {
    let path: String
    let text: String
    /// The code and literals of a Swift file, taken apart once for all checks.
    let swift: SwiftText

    init(path: String, text: String) {
        self.path = path
        self.text = text
        swift = SwiftText(path.hasSuffix(".swift") ? text : "")
    }

    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    /// The target whose folder holds this file: `Sources/X/…` and `Tests/X/…` give X.
    var target: String? {
        let parts = path.split(separator: "/")
        guard parts.count > 2, parts[0] == "Sources" || parts[0] == "Tests" else { return nil }
        return String(parts[1])
    }
    var isInSources: Bool { path.hasPrefix("Sources/") }
    var isInTests: Bool { path.hasPrefix("Tests/") }

    func has(extension name: String) -> Bool { path.hasSuffix("." + name) }
}

struct Repository: Sendable {
    let files: [SourceFile]

    /// The repository that this test was compiled from, read once.
    static let current = Repository(root: root(of: #filePath))

    /// What git ignores or does not track, by name; every other dot folder is read.
    private static let ignored: Set<String> = [".git", "__pycache__", "Package.resolved", ".venv", ".pytest_cache"]

    init(files: [SourceFile]) { self.files = files }

    init(root: String) {
        var files: [SourceFile] = []
        func walk(_ folder: String, _ prefix: String) {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            for name in names.sorted() where !Self.ignored.contains(name) && !name.hasPrefix(".build") {
                let path = folder + "/" + name
                let kind = (try? FileManager.default.attributesOfItem(atPath: path))?[.type] as? FileAttributeType
                if kind == .typeDirectory {
                    walk(path, prefix + name + "/")
                } else if kind == .typeRegular, let text = try? String(contentsOfFile: path, encoding: .utf8) {
                    files.append(SourceFile(path: prefix + name, text: text))
                }
            }
        }
        walk(root, "")
        self.files = files
    }

    func files(withExtension name: String) -> [SourceFile] { files.filter { $0.has(extension: name) } }

    var swiftFiles: [SourceFile] { files(withExtension: "swift").filter { $0.isInSources || $0.isInTests } }
    var manifest: SourceFile? { files.first { $0.path == "Package.swift" } }
    var paths: Set<String> { Set(files.map(\.path)) }

    private static func root(of file: String) -> String {
        file.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }
    }
}
