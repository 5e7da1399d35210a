// From the process's arguments to its exit code.

import CommandLineKit
import Foundation
import Migrations
import OperatorClient
import ServiceKit

/// The outside world of one command.
struct CommandContext: Sendable {
    let console: Console
    let clock: any ServiceClock
    let random: any RandomSource
}

enum MusterCommand {
    /// Runs the command and ends the process. `main.swift` is nothing but this call: closures formed in top-level code
    /// belong to the main actor and trap on any other executor.
    static func main() async -> Never {
        let code = await run(
            Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment)
        Console.shared.endProgress()
        exit(code.rawValue)
    }

    private static func run(_ words: [String], environment: [String: String]) async -> ExitCode {
        let console = Console.shared
        do {
            switch try Commands.table.resolve(words, environment: environment) {
            case .help(let text):
                console.write(text)
                return .success
            case .run(let command, let action):
                let context = CommandContext(console: console, clock: SystemClock(), random: SystemRandom())
                return try await action(command, context)
            }
        } catch {
            return report(error, console)
        }
    }

    private static func report(_ error: any Error, _ console: Console) -> ExitCode {
        switch error {
        case let error as UsageError:
            console.note(Commands.table.message(error))
            return .usage
        case let error as StoreError:
            // The server's text may quote data, which keeps it out of logs; the operator at this terminal may see it.
            console.note("muster: \(error): \(Printable.text(error.message))")
            return error.exitCode
        case let error as OperatorError:
            console.note("muster: \(Printable.text(error.description))")
            return error.exitCode
        case is ImportFormatError, is ImportFile.Failure:
            console.note("muster: \(Printable.text("\(error)"))")
            return .usage
        case let error as StartError:
            console.note("muster: \(error)")
            return error.exitCode
        case let error as MigrationError:
            console.note("muster: \(error)")
            return .conflict
        default:
            console.note("muster: \(error)")
            return .internalError
        }
    }
}

extension StoreError {
    fileprivate var exitCode: ExitCode {
        switch code {
        case .unavailable, .timeout, .cancelled, .retry: .unavailable
        case .conflict: .conflict
        case .invalidData, .fatal: .internalError
        }
    }
}
