// What each operation needs and how it is called in metrics and logs.

package import Access

extension Operation {
    /// Nil: open to everyone.
    package var permission: Permission? {
        switch self {
        case .live, .metrics, .ready: nil
        case .deviceStatistics, .listDevices, .readDevice: .registryRead
        case .bulkDevices, .deleteDevice, .putDevice: .registryWrite
        case .cancelJob, .createJob, .invokeMethod, .listJobs, .patchTwin, .queryDevices, .readJob, .readTwin,
            .replaceTwin, .serviceStatistics:
            .serviceConnect
        }
    }

    package var errorForm: ErrorForm {
        switch self {
        case .invokeMethod, .patchTwin, .readTwin, .replaceTwin: .nested
        case .bulkDevices, .cancelJob, .createJob, .deleteDevice, .deviceStatistics, .listDevices, .listJobs, .live,
            .metrics, .putDevice, .queryDevices, .readDevice, .readJob, .ready, .serviceStatistics:
            .plain
        }
    }

    /// A label of few values: never an id.
    package var name: String {
        switch self {
        case .bulkDevices: "bulkDevices"
        case .cancelJob: "cancelJob"
        case .createJob: "createJob"
        case .deleteDevice: "deleteDevice"
        case .deviceStatistics: "deviceStatistics"
        case .listDevices: "listDevices"
        case .listJobs: "listJobs"
        case .invokeMethod: "invokeMethod"
        case .live: "live"
        case .metrics: "metrics"
        case .patchTwin: "patchTwin"
        case .putDevice: "putDevice"
        case .queryDevices: "queryDevices"
        case .readDevice: "readDevice"
        case .readJob: "readJob"
        case .readTwin: "readTwin"
        case .ready: "ready"
        case .replaceTwin: "replaceTwin"
        case .serviceStatistics: "serviceStatistics"
        }
    }

    /// Largest body in bytes.
    package var bodyLimit: Int {
        switch self {
        case .bulkDevices: APILimits.bulkBodyBytes
        case .createJob, .invokeMethod: APILimits.jobBodyBytes
        case .putDevice: APILimits.deviceBodyBytes
        case .patchTwin, .replaceTwin: APILimits.twinBodyBytes
        case .queryDevices: APILimits.queryBodyBytes
        case .cancelJob, .deleteDevice, .deviceStatistics, .listDevices, .listJobs, .live, .metrics, .readDevice,
            .readJob, .readTwin, .ready, .serviceStatistics:
            APILimits.ignoredBodyBytes
        }
    }

    /// Waits for something outside this process, so it is not counted among the requests in work; it has a limit of its
    /// own.
    package var isWaiting: Bool {
        if case .invokeMethod = self { true } else { false }
    }
}
