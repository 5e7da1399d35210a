// The arrows between modules: ARCHITECTURE.md as a table that a test can hold the sources against.
//
// A module may use those in lower layers only, so roles cannot import one another; some modules have one or two
// importers by name; pure modules may use nothing but what is listed for them. A new module is added here, in the layer
// where it belongs, before it compiles past this check.

enum Architecture {
    /// From bottom to top. Modules of one layer do not know each other.
    static let layers: [[String]] = [
        ["CFuzzer", "CHiredis", "CLibPQ", "CLinux", "COpenSSL"],
        ["JSON"],
        ["JobModel", "TwinModel", "TwinQuery", "ServiceKit", "Crypto"],
        ["Access", "Sockets", "Postgres", "Redis", "CommandLineKit"],
        ["HTTP", "MQTT", "Migrations", "StoreKit"],
        ["JobStore", "LeaseStore", "SessionStore", "TwinStore", "DevCluster"],
        ["RouteStore"],
        ["Calls", "Notices"],
        ["API", "OperatorClient"],
        ["Coordinator", "Worker", "Gateway", "Simulator"],
        ["Bench", "ClusterModel", "Fuzz", "TestKit"],
        ["muster"],
    ]

    /// The only importers of a module; tests of the module itself come on top.
    static let onlyImporters: [String: Set<String>] = [
        "CFuzzer": ["Fuzz"],
        "CLibPQ": ["Postgres"],
        "CHiredis": ["Redis"],
        "COpenSSL": ["Sockets", "Crypto"],
        "CLinux": ["Sockets", "Bench"],
        "DevCluster": ["muster", "TestKit", "Bench"],
        "TestKit": [],
        "ClusterModel": [],
        "Bench": ["muster"],
        "CommandLineKit": ["muster", "OperatorClient", "Simulator", "Bench"],
        "OperatorClient": ["muster", "Bench"],
    ]

    /// Pure: no I/O, no clock, no randomness, and therefore none of the system's modules either.
    static let pure: [String: Set<String>] = [
        "JSON": [],
        "JobModel": ["JSON"],
        "MQTT": [],
        "TwinModel": ["JSON"],
        "TwinQuery": ["JSON"],
    ]

    /// Modules of the toolchain that product code may use. FoundationNetworking is not among them: HTTP is ours.
    static let systemModules: Set<String> = ["Dispatch", "Foundation", "Glibc", "Synchronization"]
    static let systemModulesOfTests: Set<String> = systemModules.union(["Testing"])
    static let systemModulesOfPlugins: Set<String> = ["Foundation", "PackagePlugin"]

    static func rank(of module: String) -> Int? { layers.firstIndex { $0.contains(module) } }

    /// Package.swift against the table.
    static func violations(in manifest: Manifest) -> [Violation] {
        var found: [Violation] = []
        func report(_ message: String) { found.append(Violation(file: "Package.swift", message: message)) }
        for target in manifest.targets.values where target.kind != .test && target.kind != .plugin {
            guard let rank = rank(of: target.name) else {
                report("target \(target.name) stands in no layer of Tests/RepositoryTests/Architecture.swift")
                continue
            }
            for dependency in target.dependencies {
                if let below = self.rank(of: dependency), below >= rank {
                    report("\(target.name) may not depend on \(dependency): arrows only point down")
                }
                if let importers = onlyImporters[dependency], !importers.contains(target.name) {
                    report("\(target.name) may not depend on \(dependency): only \(importers.sorted()) may")
                }
                if let allowed = pure[target.name], !allowed.contains(dependency) {
                    report("\(target.name) is pure and may not depend on \(dependency)")
                }
            }
        }
        return found.sorted()
    }

    /// Each import against the target's declared dependencies and the rules above.
    static func violations(of file: SourceFile, in manifest: Manifest) -> [Violation] {
        guard let name = file.target, let target = manifest.targets[name] else { return [] }
        let isTest = target.kind == .test || name == "TestKit"
        let system =
            target.kind == .plugin ? systemModulesOfPlugins : isTest ? systemModulesOfTests : systemModules
        return imports(of: file).compactMap { line, module in
            let message: String? =
                if let allowed = pure[name], !allowed.contains(module) {
                    "\(name) is pure and may not import \(module)"
                } else if let importers = onlyImporters[module], !isTest, !importers.contains(name) {
                    "only \(importers.sorted()) may import \(module)"
                } else if system.contains(module) || target.dependencies.contains(module) {
                    nil
                } else {
                    "\(name) imports \(module), which Package.swift does not give it"
                }
            return message.map { Violation(file: file.path, line: line, message: $0) }
        }
    }

    private static func imports(of file: SourceFile) -> [(Int, String)] {
        file.swift.code.enumerated().compactMap { index, code in
            guard code.contains("import ") else { return nil }
            return code.firstMatch(
                of:
                    /^\s*(?:@\w+\s+)*(?:(?:package|internal|private|fileprivate|public)\s+)?import\s+(?:(?:struct|class|enum|func|protocol|typealias|var|let)\s+)?(\w+)/
            ).map { (index + 1, String($0.1)) }
        }
    }
}
