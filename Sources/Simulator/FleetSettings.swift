// What a fleet is: how many devices of which names, how they behave, and how they prove who they are.

import Access
package import JSON
import MQTT
import ServiceKit

package struct FleetSettings: Sendable {
    /// Device `n` is named by the prefix and the number without leading zeros.
    package var prefix = "sim-"
    package var first = 0
    package var count: Int
    package var seed: UInt64 = 1
    /// Connections opened a second, the first ones and the repeated ones.
    package var rampUp = 5000
    package var shares = DeviceTraits.Shares()
    /// How long a flapping device stays, and how long it stays away; each time between half and one and a half times this.
    package var flapInterval: Duration = .seconds(30)
    package var latency = Latency.none
    /// The share of calls that are answered with status 500.
    package var failureRate = 0.0
    package var handlers = MethodHandlers()
    /// Reported by every device once it is connected, and again every `reportInterval`, then with a running number.
    package var report: JSONObject?
    package var reportInterval: Duration?
    package var keepAlive: Duration = .seconds(120)
    /// Of subscriptions and answers.
    package var qos: UInt8 = 1
    package var credentials: DeviceCredentials

    package init(count: Int, credentials: DeviceCredentials) {
        self.count = count
        self.credentials = credentials
    }

    package func deviceID(_ number: Int) -> String { prefix + String(number) }
}

/// A policy's key with the permission DeviceConnect: each device signs a token of its own scope with it.
package struct DeviceCredentials: Sendable {
    package let hostName: String
    package let policyName: String
    let key: [UInt8]
    package var lifetime: Duration = .seconds(3600)

    package init(hostName: String, policyName: String, key: [UInt8]) {
        self.hostName = hostName
        self.policyName = policyName
        self.key = key
    }

    package static let apiVersion = "2021-04-12"

    /// `unit` uniform in 0 ..< 1 spreads the ends of the tokens.
    func connect(deviceID: String, keepAlive: Duration, unixTime: Double, unit: Double) -> MQTTConnect {
        let seconds = lifetime.inSeconds * (1 - SimulatorLimits.tokenSpread * unit)
        let token = SASToken.text(
            resource: "\(hostName)/devices/\(deviceID)", key: key, policyName: policyName,
            expiry: Int64(unixTime + seconds))
        return MQTTConnect(
            clientID: deviceID, keepAlive: UInt16(clamping: Int(keepAlive.inSeconds)), isCleanSession: false,
            userName: "\(hostName)/\(deviceID)/?api-version=\(Self.apiVersion)&DeviceClientType=muster-simulator",
            password: Array(token.utf8))
    }
}
