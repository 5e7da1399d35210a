// A build plugin: writes `embeddedMigrations`, the list of all migrations/NNNN_*.sql in order. SwiftPM embeds each file's
// bytes as a constant of its own (`.embedInCode`) but gives no list of them; a list by hand is one more thing to forget.

import Foundation
import PackagePlugin

@main
struct ListMigrations: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let folder = context.package.directoryURL.appending(path: "migrations")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "sql" && ($0.lastPathComponent.first?.isNumber ?? false) }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
        // The constants are named after the files, with an underscore in place of the leading digit.
        let lines = files.map { file in
            let name = file.deletingPathExtension().lastPathComponent
            return "    (\"\(name)\", PackageResources._\(name.dropFirst())_sql),"
        }
        let text = (["let embeddedMigrations: [(name: String, text: [UInt8])] = ["] + lines + ["]"])
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedMigrations.swift")
        return [
            .buildCommand(
                displayName: "Listing migrations", executable: URL(filePath: "/bin/sh"),
                arguments: ["-c", "out=$1; shift; printf '%s\\n' \"$@\" > \"$out\"", "sh", output.path] + text,
                inputFiles: files, outputFiles: [output])
        ]
    }
}
