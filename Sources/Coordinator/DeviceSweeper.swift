// The leader's pass over parked items and notices: items whose device is connected after all, because a gateway died
// between publishing a session and reading `waiting`, are taken into batches; desired changes that a dead process left
// marked are told.

internal import JSON
internal import JobModel
internal import JobStore
internal import LeaseStore
internal import Notices
internal import RouteStore
internal import ServiceKit
internal import TwinStore

struct DeviceSweeper {
    let store: JobStore
    let leases: LeaseStore
    let routes: RouteStore
    let twins: TwinStore
    let log: Log
    let metrics: Metrics
    /// Where the last pass ended; a fleet of offline devices is looked at in several passes.
    private var last = ""

    init(store: JobStore, leases: LeaseStore, routes: RouteStore, twins: TwinStore, log: Log, metrics: Metrics) {
        self.store = store
        self.leases = leases
        self.routes = routes
        self.twins = twins
        self.log = log
        self.metrics = metrics
    }

    mutating func sweep() async throws(StoreError) {
        var woken = 0
        for _ in 0..<(Limits.sweepDevices / RouteLimits.routesPerCall) {
            let devices = try await store.waitingDevices(after: last, limit: RouteLimits.routesPerCall)
            if !devices.isEmpty {
                let (found, _) = try await routes.find(devices)
                let connected = zip(devices, found).filter { $0.1?.flags.contains(.methods) == true }.map(\.0)
                let batches = try await store.unpark(connected)
                try await leases.offer(batches)
                woken += batches.isEmpty ? 0 : connected.count
            }
            last = devices.count < RouteLimits.routesPerCall ? "" : devices.last ?? ""
            if last.isEmpty { break }
        }
        let notices = try await DesiredNotifier(routes: routes, metrics: metrics).sweep(store, twins)
        if notices > 0 { log.info("notices_swept", [("devices", .integer(Int64(notices)))]) }
        if woken > 0 {
            log.info("items_unparked", [("devices", .integer(Int64(woken)))])
            metrics.count("muster_devices_found_connected_total", "Parked devices that the sweep found", by: woken)
        }
    }
}
