// Goal: a device connects, subscribes, pings, leaves and comes back as a real one does, and ends what goes wrong.
// Method: the session alone: packets and times in, packets, deadlines and endings out.

import JSON
import MQTT
import ServiceKit
import Testing

@testable import Simulator

@Suite struct SessionTests {
    @Test func connectsSubscribesAndReadsItsTwin() throws {
        var driver = SessionDriver(number: 7)
        driver.open()
        guard case .connect(let connect) = try #require(driver.take().first) else {
            Issue.record("no CONNECT")
            return
        }
        #expect(connect.clientID == "sim-7")
        #expect(!connect.isCleanSession && connect.keepAlive == 120)
        #expect(connect.userName?.hasPrefix("localhost/sim-7/?api-version=") == true)
        let token = String(decoding: connect.password ?? [], as: UTF8.self)
        #expect(token.hasPrefix("SharedAccessSignature sr=localhost%2Fdevices%2Fsim-7&sig="))
        #expect(token.hasSuffix("&skn=device"))

        driver.receive(.connack(sessionPresent: false, code: 0))
        guard case .subscribe(_, let filters) = try #require(driver.take().first) else {
            Issue.record("no SUBSCRIBE")
            return
        }
        #expect(
            filters.map(\.filter)
                == [HubSubscription.methods, .twinResults, .desired].map { $0.filter(deviceID: "sim-7") })
        #expect(driver.counters.ready == 0)
        driver.receive(.suback(packetID: 1, codes: [1, 1, 1]))
        #expect(driver.counters.ready == 1 && driver.counters.everReady == 1)
        #expect(driver.take().count == 1)
        driver.receive(
            .twinResult(status: 200, rid: driver.twinRID, version: nil),
            #"{"desired":{"a":1,"$version":4},"reported":{}}"#)
        #expect(driver.account.desiredDocument == ["a": 1])
        #expect(driver.account.desiredVersion == 4)
    }

    @Test func storedSubscriptionsAreNotAskedForAgain() {
        var driver = SessionDriver()
        // Whatever another program stored: this one has not subscribed yet.
        driver.open()
        driver.receive(.connack(sessionPresent: true, code: 0))
        #expect(driver.session.phase == .subscribing)
        driver.receive(.suback(packetID: 1, codes: [1, 1, 1]))
        _ = driver.close()
        driver.open()
        driver.receive(.connack(sessionPresent: true, code: 0))
        #expect(driver.session.phase == .ready)
        _ = driver.close()
        driver.open()
        driver.receive(.connack(sessionPresent: false, code: 0))
        #expect(driver.session.phase == .subscribing)
        #expect(driver.counters.everReady == 1 && driver.counters.connects == 3 && driver.counters.losses == 2)
    }

    @Test func refusalsEndTheConnectionAndPausesGrow() {
        var driver = SessionDriver()
        var waits: [Duration] = []
        for _ in 0..<10 {
            driver.open()
            driver.receive(.connack(sessionPresent: false, code: 5))
            #expect(driver.ending == .atOnce)
            waits.append(driver.close())
        }
        #expect(driver.counters.refusals == [5: 10])
        #expect(waits[0] <= .seconds(1) && waits[0] >= .milliseconds(500))
        #expect(waits[3] >= .seconds(4) && waits.allSatisfy { $0 <= .seconds(20) })
        #expect(waits[9] >= .seconds(10))
        // Success forgets them.
        driver.becomeReady()
        #expect(driver.close() <= .milliseconds(500))

        driver.open()
        driver.receive(.connack(sessionPresent: false, code: 0))
        driver.receive(.suback(packetID: 1, codes: [1, 0x80, 1]))
        #expect(driver.ending == .atOnce && driver.counters.refusedSubscriptions == 1)
    }

    @Test func silenceOfTheGatewayIsNoticed() {
        var driver = SessionDriver()
        driver.open()
        driver.advance(by: .seconds(29))
        #expect(driver.ending == nil)
        driver.advance(by: .seconds(1))
        #expect(driver.ending == .atOnce)
        _ = driver.close()

        driver.becomeReady()
        driver.advance(by: .seconds(119))
        #expect(driver.take() == [])
        driver.advance(by: .seconds(1))
        #expect(driver.take() == [.pingreq])
        driver.receive(.pingresp)
        driver.advance(by: .seconds(120))
        #expect(driver.take() == [.pingreq])
        driver.advance(by: .seconds(30))
        #expect(driver.ending == .atOnce)
    }

    @Test func sendingPutsThePingOff() {
        var driver = SessionDriver()
        driver.becomeReady()
        driver.advance(by: .seconds(100))
        driver.receive(.method(name: "m", rid: "1"), "null")
        _ = driver.take()
        driver.advance(by: .seconds(100))
        #expect(driver.take() == [])
        driver.advance(by: .seconds(20))
        #expect(driver.take() == [.pingreq])
    }

    @Test func strangePacketsEndTheConnection() {
        var driver = SessionDriver()
        driver.open()
        driver.receive(.suback(packetID: 1, codes: [0]))
        #expect(driver.ending == .atOnce && driver.counters.strangePackets == 1)
        // A message on a topic of no interest does not.
        var other = SessionDriver()
        other.becomeReady()
        other.receive(
            .publish(MQTTPublish(topic: "devices/sim-0/messages/devicebound/", payload: [], qos: 1, packetID: 9)))
        #expect(other.ending == nil && other.take() == [.puback(packetID: 9)])
    }

    @Test func flappingDevicesLeaveAndStayAway() {
        var driver = SessionDriver { settings in
            settings.shares.flapping = 1
            settings.flapInterval = .seconds(10)
        }
        driver.becomeReady()
        driver.advance(by: .seconds(15))
        #expect(driver.take() == [.disconnect] && driver.ending == .orderly)
        let wait = driver.close()
        #expect(wait >= .seconds(5) && wait <= .seconds(15))
        #expect(driver.counters.losses == 0 && driver.counters.ready == 0 && driver.counters.everReady == 1)
        // It does not get through when it wants to come back: that is a failure, and soon tried again.
        #expect(driver.close() <= .seconds(1))
        #expect(driver.counters.failedConnects == 1)
    }

    @Test func leavingSaysGoodbye() {
        var driver = SessionDriver()
        driver.becomeReady()
        driver.leave()
        #expect(driver.take() == [.disconnect] && driver.ending == .orderly)
    }

    @Test func reportsOnceOrAgainAndAgain() {
        var once = SessionDriver { $0.report = ["firmware": "1.0"] }
        once.open()
        once.receive(.connack(sessionPresent: false, code: 0))
        _ = once.take()
        once.receive(.suback(packetID: 1, codes: [0, 0, 0]))
        #expect(reports(once.take(), "sim-0") == [#"{"firmware":"1.0"}"#])
        once.receive(.twinResult(status: 204, rid: "r1", version: 2), "")
        #expect(once.counters.reports == 1 && once.counters.acceptedReports == 1)
        _ = once.close()
        once.becomeReady()
        #expect(once.counters.reports == 1)

        var often = SessionDriver { $0.reportInterval = .seconds(10) }
        often.becomeReady()
        often.advance(by: .seconds(25))
        let bodies = reports(often.take(), "sim-0")
        #expect(bodies.count >= 2 && bodies.prefix(2) == [#"{"sequence":1}"#, #"{"sequence":2}"#])
        often.receive(.twinResult(status: 400, rid: "r1", version: nil), "{}")
        #expect(often.counters.refusedReports == 1)
    }

    private func reports(_ packets: [MQTTPacket], _ device: String) -> [String] {
        packets.compactMap { packet in
            guard case .publish(let message) = packet,
                case .reported = DevicePublish(topic: message.topic, deviceID: device)
            else { return nil }
            return String(decoding: message.payload, as: UTF8.self)
        }
    }
}
