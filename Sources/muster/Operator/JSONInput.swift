// JSON from the command line: the text itself, `@file`, or `-` for standard input.

import CommandLineKit
import Foundation
import JSON

enum JSONInput {
    static let help = "JSON, or @file, or - for standard input"

    /// Nil when the option is absent.
    static func object(_ command: ParsedCommand, _ name: String) throws(UsageError) -> JSONObject? {
        guard let value = try value(command, name) else { return nil }
        guard let object = value.objectValue else {
            throw command.mistake(name, "must be a JSON object; it is \(value.kind).")
        }
        return object
    }

    /// Nil when the option is absent.
    static func value(_ command: ParsedCommand, _ name: String) throws(UsageError) -> JSONValue? {
        guard let text = command.optionalText(name) else { return nil }
        do {
            return try JSONValue(parsing: try bytes(text), limits: JSONLimits(refusesInexactIntegers: true))
        } catch let error as JSONError {
            throw command.mistake(name, "is no JSON: \(error).")
        } catch let error as Unreadable {
            throw command.mistake(name, "cannot be read: \(error.reason).")
        } catch {
            throw command.mistake(name, "cannot be read: \(error.localizedDescription)")
        }
    }

    private static func bytes(_ text: String) throws -> [UInt8] {
        if text == "-" { return try FileHandle.standardInput.readToEnd().map { Array($0) } ?? [] }
        guard text.hasPrefix("@") else { return Array(text.utf8) }
        let path = String(text.dropFirst())
        // Foundation's own text leaves out the name.
        guard access(path, R_OK) == 0 else { throw Unreadable(reason: "\(path): \(String(cString: strerror(errno)))") }
        return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private struct Unreadable: Error {
        let reason: String
    }

    /// The patch of a twin from `--<whole>`, or from `--tags` and `--desired`.
    /// `besides`: what else the command could be given.
    static func twinPatch(
        _ command: ParsedCommand, whole: String, besides: String? = nil
    ) throws(UsageError) -> JSONObject {
        let tags = try object(command, "tags")
        let desired = try object(command, "desired")
        if let patch = try object(command, whole) {
            guard tags == nil, desired == nil else {
                throw command.mistake("--\(whole) holds tags and properties itself; leave out --tags and --desired.")
            }
            return patch
        }
        guard tags != nil || desired != nil else {
            let other = besides.map { ", or \($0)" } ?? ""
            throw command.mistake("What to change is missing: give --tags, --desired, or both in --\(whole)\(other).")
        }
        return twin(tags: tags, desired: desired)
    }

    static func twin(tags: JSONObject?, desired: JSONObject?) -> JSONObject {
        var twin = JSONObject()
        if let tags { twin["tags"] = .object(tags) }
        if let desired { twin["properties"] = ["desired": .object(desired)] }
        return twin
    }

    static func twinOptions(whole: String) -> [OptionSpec] {
        [
            OptionSpec(
                name: "tags", kind: .text(placeholder: "json"),
                help: "tags to set; null removes one (\(help))"),
            OptionSpec(
                name: "desired", kind: .text(placeholder: "json"),
                help: "desired properties to set; null removes one"),
            OptionSpec(
                name: whole, kind: .text(placeholder: "json"),
                help: "both in one: {\"tags\":{…},\"properties\":{\"desired\":{…}}}"),
        ]
    }
}
