// Who is calling: the SAS token of the Authorization header against the shared access policies (wire contract, section 7).
//
// Policies are read from the store and believed for a few seconds, so that a request does not cost a look-up. Every
// refusal looks the same to the client; the reason goes to the log and to a counter.

package import Access
package import ServiceKit
import Synchronization

package final class Authenticator: Sendable {
    package typealias PolicyLoader = @Sendable () async throws(StoreError) -> [Policy]

    private struct Cache {
        var policies: [String: Policy] = [:]
        var loadedAt: Instant?
    }

    private let check: ServiceTokenCheck
    private let load: PolicyLoader
    private let clock: any ServiceClock
    private let cache = Mutex(Cache())

    package init(hosts: [String], clock: any ServiceClock, load: @escaping PolicyLoader) {
        check = ServiceTokenCheck(hosts: hosts)
        self.load = load
        self.clock = clock
    }

    package enum Failure: Error, Sendable {
        case refused(SASError)
        case store(StoreError)
    }

    /// `resource` are the decoded segments of the request's path.
    package func caller(
        authorization: String?, resource: [String], permission: Permission
    ) async throws(Failure) -> Caller {
        guard let authorization else { throw .refused(.missing) }
        do {
            let token = try SASToken(authorization)
            let policy = try await policy(named: token.policyName)
            return try check.caller(
                token: token, policy: policy, resource: resource, permission: permission, unixTime: clock.unixTime)
        } catch let error as SASError {
            throw .refused(error)
        } catch let error as StoreError {
            throw .store(error)
        } catch {
            preconditionFailure("an error that nothing here throws: \(error)")
        }
    }

    private func policy(named name: String?) async throws -> Policy? {
        guard let name else { return nil }
        let now = clock.now
        let (known, age) = cache.withLock { cache in
            (cache.policies[name], cache.loadedAt.map { now - $0 })
        }
        let lifetime = known == nil ? APILimits.policyLifetimeMinimum : APILimits.policyLifetime
        if let age, age < lifetime { return known }
        // Several requests may load at the same time; they get the same answer.
        let policies = Dictionary(uniqueKeysWithValues: try await load().map { ($0.name, $0) })
        cache.withLock { cache in
            cache.policies = policies
            cache.loadedAt = now
        }
        return policies[name]
    }
}
