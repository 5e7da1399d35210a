// The checks held against the repository as it is. `CheckerTests` shows that each of them can fail.

import Testing

@Suite struct RepositoryTests {
    private let repository = Repository.current

    private func expectNone(_ violations: [Violation], _ location: SourceLocation = #_sourceLocation) {
        let list = violations.map(\.description).joined(separator: "\n")
        #expect(violations.isEmpty, "\(violations.count) found:\n\(list)", sourceLocation: location)
    }

    /// Goal: a check that reads no files would pass for ever. Method: what must be there is there.
    @Test func readsTheWholeTree() throws {
        #expect(repository.swiftFiles.count > 100)
        #expect(repository.paths.contains("Sources/ServiceKit/ServiceClock.swift"))
        #expect(!repository.paths.contains { $0.hasPrefix(".build") || $0.hasPrefix(".git/") })
        let manifest = Manifest(try #require(repository.manifest).text)
        #expect(manifest.targets["Postgres"]?.dependencies.contains("CLibPQ") == true)
        #expect(manifest.targets["muster"]?.kind == .executable)
        #expect(manifest.targets["RepositoryTests"]?.kind == .test)
    }

    @Test func packageHasNoDependencies() throws {
        #expect(!(try #require(repository.manifest).swift.code).contains { $0.contains(".package(") })
    }

    @Test func arrowsPointDown() throws {
        let manifest = Manifest(try #require(repository.manifest).text)
        expectNone(Architecture.violations(in: manifest))
        expectNone(repository.swiftFiles.flatMap { Architecture.violations(of: $0, in: manifest) })
    }

    /// Every folder of sources is a target, so that no file escapes the checks by standing beside them.
    @Test func everyFolderIsATarget() throws {
        let manifest = Manifest(try #require(repository.manifest).text)
        let folders = Set(repository.swiftFiles.compactMap(\.target))
        expectNone(folders.subtracting(manifest.targets.keys).map { Violation(file: $0, message: "is no target") })
    }

    @Test(arguments: SourceRule.all.map(\.name)) func sources(rule name: String) throws {
        let rule = try #require(SourceRule.all.first { $0.name == name })
        expectNone(repository.swiftFiles.flatMap(rule.violations))
    }

    @Test func nothingPromisesLaterWork() { expectNone(repository.files.flatMap(PromiseRule.violations)) }

    @Test func filesAndFunctionsStayShort() {
        expectNone(
            LengthRules.violations(
                in: repository.swiftFiles, longFiles: LengthRules.longFiles, longFunctions: LengthRules.longFunctions))
    }

    @Test func statementsAreDescribedNamedAndUsed() { expectNone(StatementRules.violations(in: repository)) }

    @Test func documentsHold() { expectNone(DocumentRules.violations(in: repository)) }

    /// The top level is the user's; anything else beside it needs their word.
    @Test func topLevelIsTheUsers() {
        let allowed: Set<String> = [
            "Package.swift", "Sources", "Tests", "deploy", "migrations", "docker-compose.yml", "README.md",
            "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE",
        ]
        let names = Set(repository.paths.compactMap { $0.split(separator: "/").first.map(String.init) })
        expectNone(
            names.subtracting(allowed).filter { !$0.hasPrefix(".") }.map {
                Violation(file: $0, message: "does not belong at the top level")
            })
    }
}
