// Goal: every call is counted and answered as the settings say, also the second one of its kind, and the account tells it.
// Method: the session alone.

import JSON
import MQTT
import ServiceKit
import Testing

@testable import Simulator

@Suite struct CallTests {
    @Test func answersWithItsName() {
        var driver = SessionDriver(number: 3)
        driver.becomeReady()
        driver.receive(.method(name: "reboot", rid: "17"), "null")
        #expect(driver.answers.count == 1)
        #expect(driver.answers[0] == (200, "17", #"{"device":"sim-3"}"#))
    }

    @Test func repeatedCallsAreCountedAgain() {
        var driver = SessionDriver()
        driver.becomeReady()
        for rid in ["1", "1", "2"] { driver.receive(.method(name: "reboot", rid: rid), #"{"a":1}"#) }
        driver.receive(.method(name: "other", rid: "3"), "null")
        #expect(driver.answers.map(\.rid) == ["1", "1", "2", "3"])
        #expect(driver.counters.calls == 4 && driver.counters.answers == 4)
        #expect(driver.account.callCount == 4 && driver.account.repeatedRIDs == 1)

        var summary = CallSummary()
        summary.add(driver.account, driver.context.methods)
        #expect(summary.devicesRepeatedly == 1 && summary.devicesOnce == 0 && summary.repeatedRIDs == 1)
        #expect(summary.methods["reboot"] == .init(received: 3, devicesOnce: 0, devicesRepeatedly: 1))
        #expect(summary.methods["other"] == .init(received: 1, devicesOnce: 1, devicesRepeatedly: 0))

        let calls = driver.session.document(driver.context)["calls"]
        #expect(calls?["reboot"]?.arrayValue?.map { $0["rid"] } == ["1", "1", "2"])
        let digest = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
        #expect(calls?["reboot"]?.arrayValue?.first?["payload"] == .string(digest))
        #expect(calls?["other"]?.arrayValue?.first?["payload"] != .string(digest))
        #expect(calls?["other"]?.arrayValue?.first?["status"] == 200)
    }

    @Test func sumsAddUp() {
        var (left, right) = (SessionDriver(), SessionDriver(number: 1))
        for driver in [left, right] { driver.context.counters = FleetCounters() }
        left.becomeReady()
        right.becomeReady()
        left.receive(.method(name: "a", rid: "1"), "null")
        right.receive(.method(name: "b", rid: "1"), "null")
        right.receive(.method(name: "a", rid: "2"), "null")
        var summary = CallSummary()
        var other = CallSummary()
        summary.add(left.account, left.context.methods)
        other.add(right.account, right.context.methods)
        other.add(DeviceAccount(), right.context.methods)
        summary += other
        #expect((summary.devicesNever, summary.devicesOnce, summary.devicesRepeatedly) == (1, 1, 1))
        #expect(summary.methods["a"] == .init(received: 2, devicesOnce: 2, devicesRepeatedly: 0))
        var counters = left.counters
        counters += right.counters
        #expect(counters.calls == 3 && counters.ready == 2)
    }

    @Test func answersWaitForTheirTime() {
        var driver = SessionDriver { $0.latency = .uniform(.milliseconds(10) ... .milliseconds(80)) }
        driver.becomeReady()
        for rid in 0..<20 { driver.receive(.method(name: "m", rid: "\(rid)"), "null") }
        #expect(driver.answers.isEmpty)
        driver.advance(by: .milliseconds(9))
        #expect(driver.answers.isEmpty)
        driver.advance(by: .milliseconds(40))
        #expect(!driver.answers.isEmpty && driver.answers.count < 20)
        driver.advance(by: .milliseconds(40))
        #expect(Set(driver.answers.map(\.rid)).count == 20)
        let order = driver.answers.map(\.rid)

        var again = SessionDriver { $0.latency = .uniform(.milliseconds(10) ... .milliseconds(80)) }
        again.becomeReady()
        for rid in 0..<20 { again.receive(.method(name: "m", rid: "\(rid)"), "null") }
        again.advance(by: .seconds(1))
        #expect(again.answers.map(\.rid) == order, "the same seed and device draw the same")
    }

    @Test func answersSurviveALostConnection() {
        var driver = SessionDriver { $0.latency = .fixed(.seconds(5)) }
        driver.becomeReady()
        driver.receive(.method(name: "m", rid: "1"), "null")
        _ = driver.close()
        driver.advance(by: .seconds(10))
        #expect(driver.answers.isEmpty)
        driver.open()
        driver.receive(.connack(sessionPresent: true, code: 0))
        #expect(driver.answers.map(\.rid) == ["1"])
        // Not acknowledged: it comes again with the next connection, marked as such and with the same packet id.
        let first = driver.take().last
        _ = driver.close()
        driver.open()
        driver.receive(.connack(sessionPresent: true, code: 0))
        guard case .publish(var message)? = first else {
            Issue.record("no answer")
            return
        }
        message.isDuplicate = true
        #expect(driver.sent.contains(.publish(message)))
        #expect(driver.counters.answers == 1 && driver.counters.resentAnswers == 1)
        driver.receive(.puback(packetID: message.packetID))
        _ = driver.close()
        driver.becomeReady(sessionPresent: true)
        #expect(driver.counters.resentAnswers == 1)
    }

    @Test func qosZeroAnswersHaveNoPacketID() {
        var driver = SessionDriver { $0.qos = 0 }
        driver.becomeReady()
        driver.receive(.method(name: "m", rid: "1"), "null", qos: 1, packetID: 5)
        #expect(driver.sent.first == .puback(packetID: 5))
        guard case .publish(let message)? = driver.sent.last else {
            Issue.record("no answer")
            return
        }
        #expect(message.qos == 0 && message.packetID == 0)
    }

    @Test func failuresSilenceAndHandlers() throws {
        var failing = SessionDriver { $0.failureRate = 0.5 }
        failing.becomeReady()
        for rid in 0..<400 { failing.receive(.method(name: "m", rid: "\(rid)"), "null") }
        let failures = failing.answers.count { $0.status == 500 }
        #expect((150...250).contains(failures) && failing.counters.simulatedFailures == failures)
        #expect(failing.answers.count == 400)

        var silent = SessionDriver { $0.shares.silent = 1 }
        silent.becomeReady()
        silent.receive(.method(name: "m", rid: "1"), "null")
        #expect(silent.answers.isEmpty && silent.counters.unanswered == 1 && silent.account.callCount == 1)

        let handlers = MethodHandlers([try MethodHandler("m=201:[1]"), try MethodHandler("*=none")])
        var handled = SessionDriver { $0.handlers = handlers }
        handled.becomeReady()
        handled.receive(.method(name: "m", rid: "1"), "null")
        handled.receive(.method(name: "n", rid: "2"), "null")
        #expect(handled.answers.map(\.body) == ["[1]"] && handled.answers[0].status == 201)
        #expect(handled.counters.unanswered == 1)
    }
}
