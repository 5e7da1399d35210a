// Who is calling: the SAS token of the Authorization header against the shared access policies (wire contract, section 7).
//
// Every refusal looks the same to the client; the reason goes to the log and to a counter.

package import Access
package import ServiceKit

package final class Authenticator: Sendable {
    private let check: ServiceTokenCheck
    private let policies: PolicyCache
    private let clock: any ServiceClock

    package init(hosts: [String], clock: any ServiceClock, load: @escaping PolicyCache.Loader) {
        check = ServiceTokenCheck(hosts: hosts)
        policies = PolicyCache(clock: clock, load: load)
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
            var policy: Policy?
            if let name = token.policyName { policy = try await policies.policy(named: name) }
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
}
