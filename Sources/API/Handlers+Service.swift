// Statistics and readiness.

import HTTP
import JSON
import ServiceKit
import TwinStore

extension APIServer {
    func deviceStatistics() async throws -> HTTPResponse {
        let counts = try await twins.countDevices()
        return .json([
            "totalDeviceCount": .integer(counts.total),
            "enabledDeviceCount": .integer(counts.enabled),
            "disabledDeviceCount": .integer(counts.total - counts.enabled),
        ])
    }

    func serviceStatistics() async throws -> HTTPResponse {
        .json(["connectedDeviceCount": .integer(try await twins.countDevices().connected)])
    }

    /// 200 when every check passes, else 503; the body says which, and nothing of why, since anyone may ask.
    func ready() async -> HTTPResponse {
        var results = JSONObject()
        var isReady = true
        for check in checks {
            let passes = await run(check)
            results[check.name] = .string(passes ? "ok" : "failed")
            isReady = isReady && passes
        }
        return .json(
            status: isReady ? 200 : 503,
            ["status": .string(isReady ? "ready" : "not ready"), "checks": .object(results)])
    }

    private func run(_ check: ReadinessCheck) async -> Bool {
        let clock = self.clock
        return await withTaskGroup(of: String?.self) { group in
            group.addTask {
                do {
                    try await check.check()
                    return nil
                } catch {
                    return String(describing: error)
                }
            }
            group.addTask {
                do {
                    try await clock.sleep(for: APILimits.readinessTimeout)
                    return "no answer in time"
                } catch {
                    return "cancelled"
                }
            }
            let failure = await group.next() ?? nil
            group.cancelAll()
            if let failure {
                log.warning("not_ready", [("check", .string(check.name)), ("reason", .string(failure))])
            }
            return failure == nil
        }
    }
}
