// Batches whose devices are to be told of new desired properties, told beside the lanes so that no lane waits for it.
// Bounded: what does not fit keeps its mark in PostgreSQL, and the leader's sweep tells it.

internal import JSON
internal import JobModel
internal import JobStore
internal import Notices
internal import ServiceKit
internal import Synchronization

final class NoticeQueue: Sendable {
    private struct Notice: Sendable {
        let batch: BatchID
        let patch: JSONObject
        let devices: [(deviceID: String, version: Int64)]
    }

    /// Each holds the device ids of a batch: some tens of kilobytes.
    private static let capacity = 256

    private struct State {
        var notices: [Notice] = []
        var isRunning = false
    }

    private let store: JobStore
    private let notifier: DesiredNotifier
    private let log: Log
    private let state = Mutex(State())
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(store: JobStore, notifier: DesiredNotifier, log: Log) {
        self.store = store
        self.notifier = notifier
        self.log = log
    }

    func add(_ batch: BatchID, _ patch: JSONObject, _ changed: [JobStore.DesiredVersion]) {
        let notice = Notice(batch: batch, patch: patch, devices: changed.map { ($0.deviceID, $0.version) })
        let mustStart = state.withLock { state in
            guard state.notices.count < Self.capacity else { return false }
            state.notices.append(notice)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard mustStart else { return }
        task.withLock { $0 = Task { await run() } }
    }

    /// Returns when all that was added has been told.
    func drain() async { await task.withLock { $0 }?.value }

    private func run() async {
        while true {
            let notices: [Notice] = state.withLock { state in
                defer { state.notices = [] }
                if state.notices.isEmpty { state.isRunning = false }
                return state.notices
            }
            guard !notices.isEmpty else { return }
            do {
                var told: [BatchID] = []
                for notice in notices where try await notifier.publish(notice.patch, to: notice.devices) {
                    told.append(notice.batch)
                }
                try await store.clearNotify(told)
            } catch {
                log.warning("notify_failed", [("error", .string("\(error)"))])
            }
        }
    }
}
