// The bare statements of `twin-patch`, run over ranges of devices on some connections.

package import Postgres
package import ServiceKit

package enum BarePatch {
    /// Raises a range of twins as a job with the benchmark's patch does; returns how many were changed.
    package static func run(
        _ pool: PostgresPool, first: String, last: String, version: String, etag: Int64?, sizeLimit: Int
    ) async throws(StoreError) -> Int {
        try await pool.run(
            Statements.barePatch,
            [
                .text(first), .text(last), .text(version), .text(TwinPatchBench.url),
                .integer(TwinPatchBench.interval), Parameter(etag), .integer(Int64(sizeLimit)),
            ]
        ).affected
    }

    static func runShallow(
        _ pool: PostgresPool, first: String, last: String, version: String
    ) async throws(StoreError) -> Int {
        try await pool.run(
            Statements.shallowPatch,
            [.text(first), .text(last), .text(version), .integer(TwinPatchBench.interval)]
        ).affected
    }
}

/// How a bare statement is run.
struct BareForm: Sendable, Hashable {
    static let connectionsMaximum = 8

    let batch: Int
    let connections: Int

    /// Runs `statement` over all devices: each connection takes the next range of `batch` devices.
    func run(
        _ cluster: BenchCluster, devices: Int,
        _ statement: @escaping @Sendable (_ first: String, _ last: String) async throws -> Int
    ) async throws -> Int {
        let ranges = stride(from: 1, through: devices, by: batch).map { first in
            (BenchCluster.deviceID(first), BenchCluster.deviceID(min(first + batch - 1, devices)))
        }
        return try await withThrowingTaskGroup(of: Int.self) { group in
            var open = ranges[...]
            var changed = 0
            for (first, last) in open.prefix(connections) { group.addTask { try await statement(first, last) } }
            open = open.dropFirst(connections)
            while let count = try await group.next() {
                changed += count
                if let (first, last) = open.popFirst() { group.addTask { try await statement(first, last) } }
            }
            return changed
        }
    }
}
