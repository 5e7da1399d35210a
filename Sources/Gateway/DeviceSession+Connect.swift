// CONNECT (wire contract 8.1): what the packet itself tells is judged here, the token's signature by the connect desk.

import Access
import MQTT
import SessionStore
import Sockets
import TwinModel

extension DeviceSession {
    /// CONNACK return codes (MQTT 3.1.1, 3.2.2.3) that this gateway uses.
    enum ConnectCode {
        static let protocolLevel: UInt8 = 1
        static let clientID: UInt8 = 2
        static let unavailable: UInt8 = 3
        static let notAuthorised: UInt8 = 5
    }

    func connect(_ packet: MQTTConnect) {
        deviceID = packet.clientID
        guard packet.isSupported else {
            return refuse(ConnectCode.protocolLevel, "only MQTT 3.1.1 is spoken")
        }
        guard !context.isDraining, context.table.count < context.sessions else {
            return refuse(ConnectCode.unavailable, "no room for another session")
        }
        guard !packet.clientID.contains("/") else { return refuse(ConnectCode.notAuthorised, "modules are not served") }
        do {
            _ = try DeviceID(packet.clientID)
        } catch {
            return refuse(ConnectCode.clientID, error.message)
        }
        guard let name = packet.userName.flatMap(HubUserName.init), name.deviceID == packet.clientID else {
            return refuse(ConnectCode.notAuthorised, "the user name does not fit the client id")
        }
        if let will = packet.will {
            guard case .telemetry? = DevicePublish(topic: will.topic, deviceID: deviceID) else {
                return refuse(ConnectCode.notAuthorised, "the will's topic is not the device's own")
            }
            hasWill = true
        }
        guard let password = packet.password, let text = String(validating: password, as: UTF8.self) else {
            return refuse(ConnectCode.notAuthorised, "no password")
        }
        let token: SASToken
        do {
            token = try SASToken(text)
        } catch {
            return refuse(ConnectCode.notAuthorised, "token: \(error.rawValue)")
        }
        guard let handle else { return }
        isClean = packet.isCleanSession
        tokenExpiry = token.expiry
        silence =
            packet.keepAlive == 0
            ? context.limits.silenceMaximum
            : min(GatewayLimits.silence(keepAlive: packet.keepAlive), context.limits.silenceMaximum)
        mode = .authenticating
        channel?.deadline = nil
        let request = ConnectRequest(deviceID: deviceID, token: token, isClean: isClean, handle: handle)
        if !context.connects.submit(request) { refuse(ConnectCode.unavailable, "too many connects wait") }
    }

    /// The connect desk's answer.
    func decided(_ verdict: ConnectVerdict) {
        switch verdict {
        case .accepted(let opened):
            guard mode == .authenticating else {
                // Gone meanwhile: nobody else closes what was opened.
                return context.release(deviceID, session: opened.session, lastHeard: lastHeard)
            }
            mode = .open
            session = opened.session
            subscriptions = SubscriptionSet(words: opened.subscriptions)
            write(.connack(sessionPresent: opened.isPresent, code: 0))
            begin()
            proceed()
        case .refused(let code, let detail):
            refuse(code, detail)
        case .outdated:
            end(.superseded)
        }
    }

    private func refuse(_ code: UInt8, _ detail: String) {
        guard mode != .closed else { return }
        write(.connack(sessionPresent: false, code: code))
        end(.refused, detail: detail)
    }
}
