// swift-tools-version: 6.2
// Muster: no package dependencies. The arrows between targets are the architecture; they only point down.
import PackageDescription

// Set by deploy/fuzz: every module is built with libFuzzer's instrumentation, and Tests/Fuzz is a target.
let isFuzzing = Context.environment["MUSTER_FUZZ"] != nil

let fuzzSettings: [SwiftSetting] = [.unsafeFlags(["-sanitize=fuzzer,address", "-enable-testing"])]
let settings: [SwiftSetting] =
    [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ] + (isFuzzing ? fuzzSettings : [])

// The simulation runs ten thousand worlds in each test run: its own code is optimised in debug builds, too.
let optimised: [SwiftSetting] = [.unsafeFlags(["-O"], .when(configuration: .debug))]

func module(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

// gold, the default linker, cannot link what the sanitizers add.
let fuzzTargets: [Target] = [
    .systemLibrary(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
    .executableTarget(
        name: "Fuzz", dependencies: ["CFuzzer", "HTTP", "JSON", "MQTT", "TwinQuery"], path: "Tests/Fuzz",
        exclude: ["CFuzzer", "corpus"], swiftSettings: settings,
        linkerSettings: [.unsafeFlags(["-use-ld=lld", "-sanitize=fuzzer,address"])]),
]

let package = Package(
    name: "muster",
    products: [.executable(name: "muster", targets: ["muster"])],
    targets: [
        // C libraries: module maps only.
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),

        // Pure: no I/O, no clock, no randomness.
        module("CommandLineKit"),
        module("JSON"),
        module("JobModel", ["JSON"]),
        module("MQTT"),
        module("TwinModel", ["JSON"]),
        module("TwinQuery", ["JSON"]),

        // Foundations.
        module("ServiceKit", ["JSON"]),
        module("Crypto", ["COpenSSL"]),
        module("Access", ["Crypto", "ServiceKit"]),
        module("Sockets", ["COpenSSL", "CLinux", "ServiceKit"]),
        module("HTTP", ["Sockets", "Crypto", "ServiceKit", "JSON"]),
        module("Postgres", ["CLibPQ", "ServiceKit", "JSON"]),
        module("Redis", ["CHiredis", "ServiceKit", "JSON"]),
        .plugin(name: "ListMigrations", capability: .buildTool(), path: "Sources/ListMigrations"),
        // SQL is a symbolic link to the folder migrations/ of the top level.
        .target(
            name: "Migrations", dependencies: ["Postgres", "ServiceKit", "Crypto"],
            exclude: ["SQL/README.md", "SQL/expected_schema.sql"],
            resources: [.embedInCode("SQL"), .embedInCode("Queries")],
            swiftSettings: settings, plugins: ["ListMigrations"]),

        module("DevCluster", ["Postgres", "Redis", "ServiceKit"], resources: [.embedInCode("Queries")]),

        // Stores: SQL in Queries/*.sql, Lua in Scripts/*.lua.
        module("StoreKit", ["Postgres", "TwinModel", "TwinQuery", "JSON"]),
        module(
            "JobStore",
            ["Postgres", "StoreKit", "JobModel", "TwinModel", "TwinQuery", "Crypto", "ServiceKit", "JSON"],
            resources: [.embedInCode("Queries")]),
        module("LeaseStore", ["Redis", "JobModel", "ServiceKit"], resources: [.embedInCode("Scripts")]),
        module(
            "RouteStore", ["LeaseStore", "Redis", "JobModel", "ServiceKit", "JSON"],
            resources: [.embedInCode("Scripts")]),
        module(
            "TwinStore", ["Postgres", "StoreKit", "TwinModel", "TwinQuery", "Access", "ServiceKit", "JSON"],
            resources: [.embedInCode("Queries")]),
        module(
            "SessionStore", ["Postgres", "TwinModel", "ServiceKit", "JSON"], resources: [.embedInCode("Queries")]),

        module(
            "Notices", ["JobStore", "RouteStore", "TwinStore", "JobModel", "ServiceKit", "JSON"]),
        // What a gateway was handed to call; pure but for its shell.
        module("Calls", ["RouteStore", "JobModel", "ServiceKit", "JSON"]),

        // Roles.
        module(
            "API",
            [
                "HTTP", "Sockets", "Crypto", "Access", "JobStore", "LeaseStore", "RouteStore", "Notices", "TwinStore",
                "JobModel",
                "TwinModel",
                "TwinQuery",
                "ServiceKit", "JSON",
            ]),
        module(
            "Coordinator",
            [
                "JobStore", "LeaseStore", "RouteStore", "TwinStore", "Notices", "JobModel", "TwinQuery", "ServiceKit",
                "JSON",
            ]),
        module(
            "Worker",
            ["JobStore", "LeaseStore", "RouteStore", "Notices", "TwinModel", "JobModel", "ServiceKit", "JSON"]),
        module(
            "Simulator", ["MQTT", "Access", "Sockets", "Crypto", "TwinModel", "CommandLineKit", "ServiceKit", "JSON"]),
        module(
            "Gateway",
            [
                "MQTT", "HTTP", "Sockets", "Access", "SessionStore", "RouteStore", "LeaseStore", "Calls", "TwinModel",
                "ServiceKit", "JSON",
            ]),
        module(
            "Bench",
            [
                "CLinux", "DevCluster", "Migrations", "OperatorClient", "TwinStore", "Access", "CommandLineKit",
                "Postgres", "Redis", "ServiceKit", "JSON",
            ], resources: [.embedInCode("Queries")]),
        module("OperatorClient", ["Access", "HTTP", "Sockets", "ServiceKit", "JSON"]),
        .executableTarget(
            name: "muster",
            dependencies: [
                "API",
                "Access",
                "Bench",
                "Calls",
                "CommandLineKit",
                "Coordinator",
                "Crypto",
                "DevCluster",
                "Gateway",
                "HTTP",
                "JSON",
                "JobModel",
                "JobStore",
                "LeaseStore",
                "MQTT",
                "Migrations",
                "Notices",
                "OperatorClient",
                "Postgres",
                "Redis",
                "RouteStore",
                "ServiceKit",
                "SessionStore",
                "Simulator",
                "Sockets",
                "TwinStore",
                "Worker",
            ],
            swiftSettings: settings),

        // Imported by tests only.
        .target(
            name: "ClusterModel", dependencies: ["JobStore", "LeaseStore", "RouteStore", "JobModel", "ServiceKit"],
            swiftSettings: settings + optimised),
        module("TestKit", ["DevCluster", "Migrations", "Postgres", "Redis", "ServiceKit", "JSON"]),
        tests(
            "IntegrationTests",
            [
                "ClusterModel", "TestKit", "Bench", "DevCluster", "Migrations", "Notices", "API", "Calls",
                "Coordinator", "Worker",
                "JobStore",
                "LeaseStore", "RouteStore",
                "TwinStore",
                "OperatorClient", "SessionStore", "Gateway", "MQTT", "StoreKit", "HTTP", "Sockets", "Access", "Crypto",
                "JobModel",
                "TwinModel",
                "TwinQuery", "Postgres",
                "Redis",
                "ServiceKit", "JSON",
            ]),
        .testTarget(
            name: "ClusterSimulationTests",
            dependencies: [
                "ClusterModel", "Worker", "Coordinator", "Calls", "JobStore", "LeaseStore", "RouteStore", "JobModel",
                "ServiceKit", "JSON",
            ],
            swiftSettings: settings + optimised),
        tests("CommandLineKitTests", ["CommandLineKit"]),
        tests("OperatorClientTests", ["OperatorClient", "HTTP", "ServiceKit", "JSON"]),
        tests("CryptoTests", ["Crypto"]),
        tests("HTTPTests", ["HTTP", "Sockets", "ServiceKit"]),
        tests("AccessTests", ["Access", "Crypto"]),
        tests("APITests", ["API", "Access", "HTTP", "JobModel", "ServiceKit", "TwinModel", "JSON"]),
        tests("PostgresTests", ["Postgres", "ServiceKit", "JSON", "TestKit"]),
        tests("RedisTests", ["Redis", "ServiceKit"]),
        tests("SimulatorTests", ["Simulator", "TestKit", "MQTT", "Sockets", "ServiceKit", "JSON"]),
        tests("SocketsTests", ["Sockets", "ServiceKit"]),
        tests("TwinModelTests", ["TwinModel", "JSON"]),
        tests("TwinQueryTests", ["TwinQuery", "JSON"]),
        tests("CoordinatorTests", ["Coordinator", "JobStore", "LeaseStore", "JobModel", "ServiceKit"]),
        tests("CallsTests", ["Calls", "RouteStore", "ServiceKit", "JSON"]),
        tests("WorkerTests", ["Worker", "JobStore", "LeaseStore", "RouteStore", "JobModel", "ServiceKit"]),
        tests("JSONTests", ["JSON", "ServiceKit"]),
        tests("JobModelTests", ["JobModel", "JSON"]),
        tests(
            "GatewayTests",
            ["Gateway", "SessionStore", "TestKit", "MQTT", "RouteStore", "TwinModel", "ServiceKit", "JSON"]),
        tests("MQTTTests", ["MQTT", "ServiceKit"]),
        tests("ServiceKitTests", ["ServiceKit"]),
        tests("RepositoryTests", []),
    ] + (isFuzzing ? fuzzTargets : []),
    swiftLanguageModes: [.v6]
)
