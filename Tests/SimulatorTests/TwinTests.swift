// Goal: a device's desired document is what the service has, whatever order reads and notifications come in; lost
// notifications are noticed.
// Method: the session alone.

import JSON
import MQTT
import ServiceKit
import Testing

@testable import Simulator

@Suite struct TwinTests {
    private func ready() -> SessionDriver {
        var driver = SessionDriver()
        driver.becomeReady(twin: #"{"desired":{"a":1,"b":{"c":2},"$version":4},"reported":{}}"#)
        return driver
    }

    @Test func notificationsArePatches() {
        var driver = ready()
        driver.receive(.desired(version: 5), #"{"b":{"c":null,"d":3},"$version":5}"#)
        driver.receive(.desired(version: 6), #"{"a":null,"$version":6}"#)
        #expect(driver.account.desiredDocument == ["b": ["d": 3]])
        #expect(driver.account.desiredVersion == 6 && driver.account.notified == [5, 6])
        #expect(driver.counters.highestVersion == 6 && driver.counters.gaps == 0)
    }

    @Test func knownVersionsAreCountedAndDropped() {
        var driver = ready()
        driver.receive(.desired(version: 4), #"{"a":9,"$version":4}"#)
        #expect(driver.account.desiredDocument?["a"] == 1)
        #expect(driver.counters.notifications == 1 && driver.counters.staleNotifications == 1)
    }

    @Test func missingNotificationIsReadAgain() {
        var driver = ready()
        driver.receive(.desired(version: 7), #"{"a":9,"$version":7}"#)
        #expect(driver.counters.gaps == 1 && driver.counters.twinReads == 2)
        // Older than what was notified: it is read once more, after a pause.
        driver.receive(
            .twinResult(status: 200, rid: driver.twinRID, version: nil), #"{"desired":{"a":1,"$version":6}}"#)
        #expect(driver.counters.twinReads == 2)
        driver.advance(by: .seconds(1))
        #expect(driver.counters.twinReads == 3)
        driver.receive(
            .twinResult(status: 200, rid: driver.twinRID, version: nil), #"{"desired":{"a":9,"$version":7}}"#)
        driver.advance(by: .seconds(60))
        #expect(driver.counters.twinReads == 3 && driver.account.desiredVersion == 7)
    }

    @Test func notificationDuringTheReadIsNotLost() {
        var driver = SessionDriver()
        driver.open()
        driver.receive(.connack(sessionPresent: false, code: 0))
        driver.receive(.suback(packetID: 1, codes: [1, 1, 1]))
        driver.receive(.desired(version: 5), #"{"a":5,"$version":5}"#)
        driver.receive(
            .twinResult(status: 200, rid: driver.twinRID, version: nil), #"{"desired":{"a":4,"$version":4}}"#)
        driver.receive(.desired(version: 6), #"{"a":6,"$version":6}"#)
        driver.receive(
            .twinResult(status: 200, rid: driver.twinRID, version: nil), #"{"desired":{"a":6,"$version":6}}"#)
        #expect(driver.account.desiredDocument == ["a": 6] && driver.account.notified == [5, 6])
    }

    @Test func failedReadIsRepeated() {
        var driver = SessionDriver()
        driver.open()
        driver.receive(.connack(sessionPresent: false, code: 0))
        driver.receive(.suback(packetID: 1, codes: [1, 1, 1]))
        driver.receive(.twinResult(status: 429, rid: driver.twinRID, version: nil), "{}")
        #expect(driver.counters.failedTwinReads == 1)
        driver.advance(by: .seconds(1))
        #expect(driver.counters.twinReads == 2)
        // No answer at all.
        driver.advance(by: .seconds(30))
        #expect(driver.counters.twinReads == 3 && driver.ending == nil)
    }

    @Test func notificationWithoutVersionInTheBodyIsStrange() {
        var driver = ready()
        driver.receive(.desired(version: 5), #"{"a":5}"#)
        driver.receive(.desired(version: 5), "no json")
        #expect(driver.counters.strangePackets == 2 && driver.account.desiredVersion == 4)
    }

    @Test func accountOfADeviceIsJSON() throws {
        var driver = ready()
        driver.receive(.desired(version: 5), #"{"a":2,"$version":5}"#)
        let line = JSONValue.object(driver.session.document(driver.context)).text
        let read = try JSONValue(parsing: line)
        #expect(read["device"] == "sim-0" && read["connects"] == 1)
        #expect(read["desired"]?["version"] == 5 && read["desired"]?["notified"] == [5])
        #expect(read["desired"]?["document"] == ["a": 2, "b": ["c": 2]])
    }
}
