// Simulated devices behind as many gateways as the limit on open files asks for.

internal import Glibc

extension BenchCluster {
    /// Descriptors of a gateway and of simulated devices that are no sessions.
    private static let reservedDescriptors = 500

    static var sessionsPerProcess: Int { max(1, descriptorLimit - reservedDescriptors) }

    /// The hard limit, to which the roles raise their own.
    static var descriptorLimit: Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_max)
    }

    struct Fleets: Sendable {
        let gateways: Int
        /// Address of the last one, which has `spare` sessions left.
        let last: String

        /// For a row's note; nil when one was enough.
        var note: String? {
            gateways > 1 ? "\(gateways) gateways, because a process may open \(descriptorLimit) files" : nil
        }
    }

    /// Connects devices 1 to `devices`.
    func startFleets(_ name: String, devices: Int, spare: Int = 0, options: [String]) async throws -> Fleets {
        var first = 0
        var number = 0
        var gateway = ""
        while first < devices {
            number += 1
            let share = min(devices - first, Self.sessionsPerProcess)
            gateway = try await startGateway(number: number, devices: share + spare)
            try await startFleet("\(name) \(number)", devices: share, after: first, gateway: gateway, options: options)
            first += share
        }
        return Fleets(gateways: number, last: gateway)
    }
}
