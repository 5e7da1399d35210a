// A check that cannot fail proves nothing: each one here meets a bad sample and has to find it, and a good one that
// looks alike and has to pass.

import Testing

@Suite struct CheckerTests {
    private func source(_ text: String, at path: String = "Sources/Worker/Sample.swift") -> SourceFile {
        SourceFile(path: path, text: text)
    }

    private func violations(_ file: SourceFile) -> [Violation] { SourceRule.all.flatMap { $0.violations(in: file) } }

    // MARK: Reading Swift

    @Test func codeIsSeparatedFromCommentsAndStrings() {
        let text = SwiftText(
            """
            let a = "print(\\(try value(")")))" // print(1)
            /* print /* nested */ print */ let b = #"a "quoted" \\(x)"#
            """)
        #expect(text.code.count == 2)
        #expect(text.code[0].contains("try value("))
        #expect(!text.code.joined().contains("print"))
        #expect(text.code[1].hasSuffix("\"#"))
        #expect(text.code[1].contains("let b ="))
        #expect(text.literals.map(\.line) == [1, 1, 2])
        #expect(text.literals.last?.text == #"a "quoted" \(x)"#)
    }

    @Test func longLiteralsKeepTheirLines() {
        let text = SwiftText("let a = \"\"\"\n  one \"x\"\n  two\n  \"\"\"\nlet b = 1")
        #expect(text.code.count == 5)
        #expect(text.code[4] == "let b = 1")
        #expect(text.literals.map(\.line) == [1])
    }

    // MARK: Architecture

    private let manifest = Manifest(
        """
        func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target { .target(name: name) }
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        module("JSON"), module("JobModel", ["JSON"]), module("Postgres", ["CLibPQ", "JSON"]),
        module("Worker", ["Postgres"], resources: [.embedInCode("Queries")]), module("Coordinator"),
        .executableTarget(name: "muster", dependencies: ["Worker"]),
        tests("WorkerTests", ["Worker"]),
        """)

    @Test func manifestIsRead() {
        #expect(manifest.targets["CLibPQ"]?.dependencies == [])
        #expect(manifest.targets["Postgres"]?.dependencies == ["CLibPQ", "JSON"])
        #expect(manifest.targets["Worker"]?.dependencies == ["Postgres"])
        #expect(manifest.targets["muster"]?.dependencies == ["Worker"])
        #expect(manifest.targets["WorkerTests"]?.kind == .test)
        #expect(Architecture.violations(in: manifest).isEmpty)
    }

    @Test(
        arguments: [
            #"module("Worker", ["Coordinator"])"#,  // roles do not know each other
            #"module("JSON", ["ServiceKit"])"#,  // upwards
            #"module("Redis", ["CLibPQ"])"#,  // not its only importer
            #"module("Worker", ["TestKit"])"#,  // test support in the product
            #"module("JobModel", ["CLinux"])"#,  // pure
            #"module("Stray")"#,  // in no layer
        ]) func forbiddenArrowsAreFound(declaration: String)
    {
        #expect(!Architecture.violations(in: Manifest(declaration)).isEmpty)
    }

    @Test(
        arguments: [
            ("JobModel", "import Foundation"), ("JobModel", "private import Glibc"), ("JSON", "import ServiceKit"),
            ("Worker", "private import CLibPQ"), ("Worker", "import Coordinator"), ("Worker", "import TestKit"),
            ("Worker", "@testable import JobModel"), ("Worker", "import FoundationNetworking"),
            ("Worker", "import struct Coordinator.Elector"), ("Worker", "@preconcurrency package import Coordinator"),
            ("Worker", "import Testing"),
        ]) func forbiddenImportsAreFound(target: String, line: String)
    {
        let file = source("// A sample.\n\(line)\n", at: "Sources/\(target)/Sample.swift")
        let found = Architecture.violations(of: file, in: manifest)
        #expect(found.map(\.line) == [2])
    }

    @Test func allowedImportsPass() {
        let text =
            "import Foundation\nprivate import Postgres\n// import Coordinator\nlet text = \"import Coordinator\"\n"
        #expect(Architecture.violations(of: source(text), in: manifest).isEmpty)
        let test = source("import Testing\n@testable import Worker\n", at: "Tests/WorkerTests/Sample.swift")
        #expect(Architecture.violations(of: test, in: manifest).isEmpty)
    }

    // MARK: Sources

    @Test(
        arguments: [
            ("print", "func f() { print (1) }"), ("print", "Swift.debugPrint(1)\ndebugPrint (1)"),
            ("sleep", "try await Task.sleep (for: x)"), ("sleep", "Thread . sleep (1)"), ("sleep", "  usleep (5)"),
            ("try?", "let x = try? f()"), ("try?", "let x = (try ? f())"),
            ("empty catch", "do { try f() } catch { }"), ("empty catch", "} catch let error {\n\n}"),
            ("SQL in Swift", #"run("SELECT * FROM devices")"#),
            ("SQL in Swift", "let x = \"\"\"\n    UPDATE twins SET version = 1\n    \"\"\""),
            ("public", "public func f() {}"), ("public", "  public static let x = 1"),
            ("clock and randomness", "let x = Date()"), ("clock and randomness", "Int.random (in: 0..<1)"),
            ("clock and randomness", "ContinuousClock().now"),
        ]) func badSourcesAreFound(rule name: String, text: String)
    {
        let found = violations(source(text))
        let message = SourceRule.all.first { $0.name == name }?.message
        #expect(found.contains { $0.message == message }, "\(found)")
    }

    @Test(
        arguments: [
            "// print(1), Task.sleep, try? and catch {}", #"let x = "try? print(1) catch {}""#,
            "func sleep (for duration: Duration)", "try await clock.sleep (for: .seconds(1))", "writer.print(1)",
            "let entry: Entry? = nil", "catch { throw error }",
            "} catch {\n    // The lease is lost either way.\n}", "} catch {\n    log(error)\n}",
            #"throw Problem("SELECT * cannot be grouped")"#,
            "package func f() {}", "let updated = Update(1)", "let now = clock.now",
        ]) func goodSourcesPass(text: String)
    {
        #expect(violations(source(text)).isEmpty)
    }

    @Test func switchedOffTestsAreFound() {
        let text = "@Test(.disabled (\"later\")) func f() {}"
        #expect(violations(source(text, at: "Tests/WorkerTests/Sample.swift")).count == 1)
    }

    @Test func promisesAreFound() {
        let word = "TO" + "DO"
        #expect(PromiseRule.violations(in: source("// \(word): later")).map(\.line) == [1])
        #expect(PromiseRule.violations(in: source("let mask = \"XX\"")).isEmpty)
    }

    // MARK: Lengths

    private func function(lines: Int) -> String {
        "struct S {\n    func long(_ x: [Int: () -> Void] = [:]) {\n"
            + String(repeating: "        if true { x() }\n", count: lines - 2) + "    }\n}\n"
    }

    @Test func functionsAreMeasured() {
        let text = "protocol P {\n    func none()\n    init()\n}\n" + function(lines: 9) + "let x = S.init(1)\n"
        #expect(LengthRules.functions(of: SwiftText(text)) == [.init(name: "long", line: 6, length: 9)])
    }

    @Test func longFunctionsAndFilesAreFound() {
        let path = "Sources/Worker/Sample.swift"
        let long = source(function(lines: 71))
        func check(_ file: SourceFile, files: [String: Int] = [:], functions: [String: Int] = [:]) -> Int {
            LengthRules.violations(in: [file], longFiles: files, longFunctions: functions).count
        }
        #expect(check(source(function(lines: 70))) == 0)
        #expect(check(long) == 1)
        #expect(check(long, functions: [path + " long": 71]) == 0)
        #expect(check(source(function(lines: 72)), functions: [path + " long": 71]) == 1)
        #expect(check(source(function(lines: 60)), functions: [path + " long": 71]) == 1)
        let lines = { (count: Int) in self.source(String(repeating: "let x = 1\n", count: count)) }
        #expect(check(lines(400)) == 0)
        #expect(check(lines(401)) == 1)
        #expect(check(lines(500), files: [path: 500]) == 0)
        #expect(check(lines(501), files: [path: 500]) == 1)
        #expect(check(lines(400), files: [path: 500]) == 1)
        #expect(check(lines(701), files: [path: 1000]) == 1)
    }

    // MARK: Statements

    private func statements(_ name: String, _ text: String, swift: String) -> Repository {
        Repository(files: [
            SourceFile(path: "Sources/JobStore/Queries/\(name)", text: text),
            SourceFile(path: "Sources/JobStore/Statements.swift", text: swift),
        ])
    }

    private let embedded = "static let readJob = Statement(PackageResources.read_job_sql)\nrun(Statements.readJob)\n"

    @Test func goodStatementPasses() {
        let text = "-- Reads one job. $1 bigint job. One row or none; primary key.\nSELECT 1 WHERE $1 > 0 -- not $2\n"
        #expect(StatementRules.violations(in: statements("read_job.sql", text, swift: embedded)).isEmpty)
    }

    @Test(
        arguments: [
            "SELECT 1", "-- \nSELECT 1", "-- Reads one job by its number.\nSELECT $1",
        ]) func poorHeadersAreFound(text: String)
    {
        #expect(StatementRules.violations(in: statements("read_job.sql", text, swift: embedded)).count == 1)
    }

    @Test(
        arguments: [
            "", "// read_job.sql\n", "static let readJob = Statement(PackageResources.read_job_sql)\n",
        ]) func unusedStatementsAreFound(swift: String)
    {
        let text = "-- Reads one job.\nSELECT 1\n"
        #expect(StatementRules.violations(in: statements("read_job.sql", text, swift: swift)).count == 1)
    }

    @Test func repeatedStatementsAreFound() {
        let first = SourceFile(path: "Sources/A/Queries/read_job.sql", text: "-- Reads a job.\nSELECT 1\n")
        let sameName = SourceFile(path: "Sources/B/Queries/read_job.sql", text: "-- Reads a job.\nSELECT 2\n")
        let sameText = SourceFile(path: "Sources/B/Queries/read_work.sql", text: "-- Reads some work.\nSELECT 1\n")
        #expect(StatementRules.duplicates(among: [first, sameName]).count == 1)
        #expect(StatementRules.duplicates(among: [first, sameText]).count == 1)
    }

    @Test(arguments: [("wake-1.lua", 0), ("wake-2.lua", 1), ("wake.lua", 1)])
    func numberOfKeysIsHeldAgainstTheName(name: String, count: Int) {
        let file = SourceFile(path: "Sources/LeaseStore/Scripts/\(name)", text: "-- Wakes.\nreturn KEYS[1]\n")
        #expect(StatementRules.keys(of: file).count == count)
    }

    @Test func luaHeadersNameTheirKeys() {
        let file = SourceFile(
            path: "Sources/A/Scripts/wake-1.lua", text: "-- Wakes one worker.\nreturn KEYS[1] .. ARGV[1]\n")
        #expect(StatementRules.header(of: file, needsParameters: true).count == 2)
    }

    // MARK: Documents

    private func documents(_ text: String) -> Repository {
        Repository(files: [
            SourceFile(path: "deploy/README.md", text: text),
            SourceFile(path: "ARCHITECTURE.md", text: "# Architecture\n## The life of a job, by files\n"),
            SourceFile(path: "Sources/Worker/Worker.swift", text: ""),
        ])
    }

    @Test(
        arguments: [
            "[a](../ARCHITECTURE.md)", "[a](../ARCHITECTURE.md#the-life-of-a-job-by-files)", "[a](../Sources/Worker)",
            "[a](https://example.org/x)", "# Here\n[a](#here)", "```\n[a](nowhere)\n```", "`Worker/Worker.swift`",
        ]) func goodDocumentsPass(text: String)
    {
        #expect(DocumentRules.violations(in: documents(text)).isEmpty)
    }

    @Test(
        arguments: [
            "[a](ARCHITECTURE.md)", "[a](../ARCHITECTURE.md#life)", "[a](../../outside.md)", "[a](#there)",
            "[a](../Sources/Gateway/)", "`Worker/Claimer.swift`", "see `claim_batches.sql`",
        ]) func badDocumentsAreFound(text: String)
    {
        #expect(DocumentRules.violations(in: documents(text)).count == 1)
    }

    @Test func machinePathsAreFound() {
        let folder = "/" + "work" + "/"
        #expect(DocumentRules.machinePaths(in: source("cd \(folder)main")).count == 1)
        #expect(DocumentRules.machinePaths(in: source("\(folder)main")).count == 1)
        #expect(
            DocumentRules.machinePaths(in: source("cd ~\(folder)main; ls src\(folder)x; cat $HOME\(folder)y")).isEmpty)
    }
}
