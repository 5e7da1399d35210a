// Goal: every kind of right and wrong command line. Method: one description of a command, and tables of words with the
// values or the exact mistakes that they must give.

import CommandLineKit
import Testing

private let spec = CommandSpec(
    name: "job create", summary: "Make a job",
    arguments: [ArgumentSpec(name: "site", isRequired: false, help: "the site")],
    options: [
        OptionSpec(name: "condition", kind: .text(placeholder: "text"), isRequired: true, help: "which devices"),
        OptionSpec(name: "color", kind: .choice(["red", "blue"]), default: "red", help: "the color"),
        OptionSpec(
            name: "key", environment: "KEY", kind: .text(placeholder: "text"), isSecret: true, help: "the key"),
        OptionSpec(name: "port", environment: "PORT", kind: .integer(1...65535), default: "8080", help: "the port"),
        OptionSpec(name: "role", kind: .text(placeholder: "name"), isRepeated: true, help: "the roles"),
        OptionSpec(
            name: "timeout", environment: "TIMEOUT", kind: .duration(.milliseconds(10) ... .seconds(3600)),
            default: "30s", help: "the time"),
        OptionSpec(name: "watch", environment: "WATCH", kind: .flag, help: "wait for the end"),
    ],
    examples: ["# All devices\nmuster job create --condition '*'"])

private func mistakes(_ words: [String], _ environment: [String: String] = [:]) -> [String] {
    do {
        _ = try spec.parse(words, environment: environment)
        return []
    } catch {
        return error.mistakes
    }
}

@Suite struct ParsingTests {
    @Test func valuesComeFromFlagThenEnvironmentThenDefault() throws {
        let command = try spec.parse(
            ["--condition", "a = -1", "--port=1", "north", "--role", "a", "--role=b=c", "--watch"],
            environment: ["PORT": "2", "TIMEOUT": "1.5m", "KEY": ""])
        #expect(command.text("condition") == "a = -1")
        #expect(command.integer("port") == 1)
        #expect(command.origin("port") == .commandLine)
        #expect(command.duration("timeout") == .seconds(90))
        #expect(command.origin("timeout") == .environment("TIMEOUT"))
        #expect(command.text("color") == "red")
        #expect(command.origin("color") == .defaultValue)
        #expect(command.texts("role") == ["a", "b=c"])
        #expect(command.optionalText("key") == nil)
        #expect(command.flag("watch"))
        #expect(command.argument("site") == "north")
    }

    @Test(arguments: [
        (["--watch=false"], "1", false), (["--watch"], "0", true), ([], "yes", true), ([], "off", false),
        ([], "", false),
    ])
    func flags(words: [String], environment: String, expected: Bool) throws {
        let command = try spec.parse(["--condition=*"] + words, environment: ["WATCH": environment])
        #expect(command.flag("watch") == expected)
    }

    @Test func wordsAfterTwoDashesAreArguments() throws {
        let command = try spec.parse(["--condition", "-", "--", "--port"], environment: [:])
        #expect(command.argument("site") == "--port")
        #expect(command.text("condition") == "-")
    }

    @Test(
        arguments: [
            (
                ["--conditon", "x"],
                [
                    "--conditon is no option of this command; did you mean --condition?",
                    "--condition <text> is missing.",
                ]
            ),
            (["--condition", "x", "-port", "7"], ["-port is no option of this command; did you mean --port?"]),
            (["--condition", "x", "--zzz"], ["--zzz is no option of this command."]),
            (["--condition"], ["--condition needs a value: --condition <text>.", "--condition <text> is missing."]),
            (
                ["--condition", "--watch"],
                [
                    "--condition needs a value: --condition <text>; a value that begins with -- is written --condition=--…",
                    "--condition <text> is missing.",
                ]
            ),
            (["--condition=x", "--condition=y"], ["--condition is given twice."]),
            (["--condition="], ["--condition must not be empty; it is ''."]),
            (["--condition=x", "--port=0"], ["--port must be a whole number from 1 to 65535; it is '0'."]),
            (["--condition=x", "--port", "1e3"], ["--port must be a whole number from 1 to 65535; it is '1e3'."]),
            (
                ["--condition=x", "--timeout=5"],
                [
                    "--timeout must be a duration with its unit, such as 250ms, 30s, 5m, 2h or 1d; it is '5'."
                ]
            ),
            (["--condition=x", "--timeout=2h"], ["--timeout must be from 10ms to 1h; it is '2h'."]),
            (["--condition=x", "--color=green"], ["--color must be one of red, blue; it is 'green'."]),
            (["--condition=x", "--watch=maybe"], ["--watch must be true or false; it is 'maybe'."]),
            (["--condition=x", "a", "ports"], ["'ports' is one word too many; did you mean --port?"]),
            (["--condition=x", ""], ["<site> must not be empty."]),
        ] as [([String], [String])])
    func wrongWords(words: [String], expected: [String]) {
        #expect(mistakes(words) == expected)
    }

    @Test func allMistakesAreReportedWithTheirOrigin() {
        #expect(
            mistakes(["--color=green"], ["PORT": "many", "TIMEOUT": "1y"]) == [
                "--condition <text> is missing.",
                "--color must be one of red, blue; it is 'green'.",
                "PORT (environment, for --port) must be a whole number from 1 to 65535; it is 'many'.",
                "TIMEOUT (environment, for --timeout) must be a duration with its unit, such as 250ms, 30s, 5m, 2h or "
                    + "1d; it is '1y'.",
            ])
    }

    @Test func secretsAreNotShown() throws {
        #expect(mistakes(["--condition=x", "--key="]) == ["--key must not be empty."])
        let command = try spec.parse(["--condition=x", "--key=hidden"], environment: [:])
        #expect(command.settings.first { $0.name == "key" }?.value == "***")
        #expect(command.mistake("key", "is wrong.").mistakes == ["--key is wrong."])
    }

    @Test(arguments: [
        ("1ms", Duration.milliseconds(1)), ("0s", .zero), ("1.5h", .seconds(5400)), ("1d", .seconds(86_400)),
    ])
    func durations(text: String, expected: Duration) {
        #expect(DurationText.parse(text) == expected)
    }

    @Test(arguments: ["", "s", "1", "1 s", "-1s", "1e3s", "nans", "infs", "1.2.3s", "99999999999d", "1S"])
    func wrongDurations(text: String) {
        #expect(DurationText.parse(text) == nil)
    }
}

@Suite struct TableTests {
    private let table = CommandTable(
        program: "muster", summary: "Jobs on fleets of devices.",
        groups: [CommandGroup(name: "job", summary: "Make and watch jobs")],
        entries: [
            .init(spec, 1), .init(CommandSpec(name: "job list", summary: "List jobs"), 2),
            .init(CommandSpec(name: "version", summary: "Print the version", exitCodes: [.success]), 3),
        ])

    private func help(_ words: String...) throws -> String {
        guard case .help(let text) = try table.resolve(words, environment: [:]) else { return "no help" }
        return text
    }

    @Test func findsCommands() throws {
        guard
            case .run(let command, let action) = try table.resolve(
                ["job", "create", "--condition", "*"], environment: [:])
        else {
            Issue.record("not found")
            return
        }
        #expect(action == 1)
        #expect(command.text("condition") == "*")
    }

    @Test(
        arguments: [
            ([], "A command is missing.\nSee 'muster --help'.\n"),
            (["jop"], "'muster jop' is no command; did you mean job?\nSee 'muster --help'.\n"),
            (["job"], "'muster job' needs a command: create, list.\nSee 'muster job --help'.\n"),
            (["job", "lits"], "'muster job lits' is no command; did you mean list?\nSee 'muster job --help'.\n"),
            (["job", "list", "x"], "'x' is one word too many.\nSee 'muster job list --help'.\n"),
        ] as [([String], String)])
    func refusals(words: [String], expected: String) {
        let error = #expect(throws: UsageError.self) { try table.resolve(words, environment: [:]) }
        #expect(error.map { table.message($0) } == expected)
    }

    @Test func helpOfTheProgramAndOfAGroup() throws {
        let text = try help("--help")
        #expect(text.contains("\n  job create|list  Make and watch jobs\n"))
        #expect(text.contains("\n  version          Print the version\n"))
        #expect(try help("job", "--help").contains("\n  job list    List jobs\n"))
        #expect(try help("help", "job") == help("job", "--help"))
    }

    @Test func helpOfACommand() throws {
        let text = try help("job", "create", "--port", "--help")
        #expect(
            text.hasPrefix(
                "Make a job.\n\nUsage: muster job create [<site>] [options]\n\nArguments:\n  <site>  the site\n"))
        #expect(text.contains("  --condition <text>    which devices (required)\n"))
        #expect(text.contains("  --port <number>       the port (environment: PORT; default: 8080)\n"))
        #expect(text.contains("  --color <red|blue>    the color (default: red)\n"))
        #expect(text.contains("Examples:\n  # All devices\n  muster job create --condition '*'\n"))
        #expect(text.contains("Exit codes:\n  0   success\n"))
        #expect(try help("version", "-h").hasSuffix("Exit codes:\n  0  success\n"))
    }
}
