// What this worker knows of the jobs it works on: a job's action is read and compiled once.

internal import JobModel
package import JobStore
internal import ServiceKit
private import Synchronization
internal import TwinModel

package final class JobCache: Sendable {
    package enum Work: Sendable {
        case twinPatch(JobStore.BatchPatch)
        case deviceMethod(MethodCall)
    }

    /// Jobs that are remembered; beyond it the cache starts anew, which costs one read per job.
    private static let capacity = 1024

    private let store: JobStore
    private let jobs = Mutex<[Int64: Work]>([:])

    package init(store: JobStore) { self.store = store }

    /// Nil when the job is gone.
    package func work(of job: Int64) async throws -> Work? {
        if let work = jobs.withLock({ $0[job] }) { return work }
        guard let (_, action) = try await store.work(of: job) else { return nil }
        let work = try Self.compile(action)
        jobs.withLock { jobs in
            if jobs.count >= Self.capacity { jobs.removeAll() }
            jobs[job] = work
        }
        return work
    }

    private static func compile(_ action: JobAction) throws(StoreError) -> Work {
        switch action {
        case .updateTwin(let document):
            return .twinPatch(JobStore.BatchPatch(TwinUpdate(stored: document)))
        case .deviceMethod(let document):
            guard let call = MethodCall(stored: document) else {
                throw StoreError(
                    code: .fatal, effect: .none, operation: "read_job_work", message: "a method job without a method")
            }
            return .deviceMethod(call)
        }
    }
}
