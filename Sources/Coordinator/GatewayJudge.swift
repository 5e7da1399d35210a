// Which gateways are silent, as a pure machine.
//
// A gateway is heard of through PostgreSQL, so a PostgreSQL that was away makes all of them look silent: the time since
// the last beat says nothing. What counts is how long the leader has looked at the same beat, and of the time between two
// looks no more than a look and a beat usually take. After an outage of any length gateways have time to beat again.

internal import JobModel
package import JobStore
package import ServiceKit

package struct GatewayJudge: Sendable {
    private struct Watch {
        let beat: GatewayBeatRecord
        var silence: Duration
    }

    private var watched: [String: Watch] = [:]
    private var lastLook: Instant?

    package init() {}

    /// To be told what stands in PostgreSQL at each look; returns those that are gone.
    package mutating func silent(_ beats: [GatewayBeatRecord], now: Instant) -> [GatewayBeatRecord] {
        let passed = lastLook.map { min(now - $0, Limits.gatewayLookCredit) } ?? .zero
        lastLook = now
        var watches: [String: Watch] = [:]
        for beat in beats {
            var watch = Watch(beat: beat, silence: .zero)
            if let old = watched[beat.text], old.beat == beat { watch.silence = old.silence + passed }
            watches[beat.text] = watch
        }
        watched = watches
        return watches.values.filter { $0.silence >= Limits.gatewaySilence }.map(\.beat)
            .sorted { $0.text < $1.text }
    }
}
