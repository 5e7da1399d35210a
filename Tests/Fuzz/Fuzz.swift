// The program that deploy/fuzz builds and runs: libFuzzer around one of our parsers of foreign bytes, which FUZZ_TARGET
// names. An environment variable and no argument, because libFuzzer starts itself again with its own arguments.
//
// A target traps when a promise of its parser is broken; libFuzzer then keeps the input.

import CFuzzer
import Foundation

@main
enum Fuzz {
    static let targets: [String: @Sendable (_ bytes: [UInt8]) -> Void] = [
        "http": fuzzHTTP, "json": fuzzJSON, "mqtt": fuzzMQTT, "query": fuzzQuery, "topics": fuzzTopics,
        "websocket": fuzzWebSocket,
    ]

    /// Chosen before the first input and not changed any more. libFuzzer calls it on the main thread only.
    nonisolated(unsafe) private static var target: @Sendable (_ bytes: [UInt8]) -> Void = { _ in }

    static func main() {
        let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
        guard let chosen = targets[name] else {
            let names = targets.keys.sorted().joined(separator: ", ")
            FileHandle.standardError.write(Data("FUZZ_TARGET must be one of \(names)\n".utf8))
            exit(2)
        }
        target = chosen
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(
            LLVMFuzzerRunDriver(&count, &arguments) { start, count in
                Fuzz.target(Array(UnsafeBufferPointer(start: start, count: count)))
                return 0
            })
    }
}

/// The input in three pieces. Where it is cut follows from its bytes, so an input always fails in the same way.
func pieces(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    let sum = bytes.reduce(into: UInt32(2_166_136_261)) { $0 = ($0 ^ UInt32($1)) &* 16_777_619 }
    let first = Int(sum % UInt32(bytes.count + 1))
    let second = Int(sum / 65_536 % UInt32(bytes.count + 1))
    let (low, high) = (min(first, second), max(first, second))
    return [bytes[..<low], bytes[low..<high], bytes[high...]]
}
