// The leader's look at the gateways: those that are silent are declared gone, and with them what they held.

internal import JSON
package import JobStore
package import ServiceKit

package struct GatewaySweeper: Sendable {
    private let store: JobStore
    private let clock: any ServiceClock
    private let log: Log
    private let metrics: Metrics
    private var judge = GatewayJudge()

    package init(store: JobStore, clock: any ServiceClock, log: Log, metrics: Metrics) {
        self.store = store
        self.clock = clock
        self.log = log
        self.metrics = metrics
    }

    package mutating func sweep() async throws(StoreError) {
        let silent = judge.silent(try await store.gatewayBeats(), now: clock.now)
        guard !silent.isEmpty else { return }
        for gateway in try await store.removeSilent(silent).sorted() {
            log.warning("gateway_gone", [("gateway", .string(gateway))])
            metrics.count("muster_gateways_gone_total", "Gateways that were silent for too long")
        }
    }

    /// Another process leads: what was seen before says nothing when this one leads again.
    package mutating func forget() { judge = GatewayJudge() }
}
