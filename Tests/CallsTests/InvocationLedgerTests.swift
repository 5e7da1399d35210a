// The ledger of a gateway: nothing is sent twice, late, or for a worker that was taken over.

import Calls
import RouteStore
import ServiceKit
import Testing

private func time(_ milliseconds: Int64) -> GatewayTime {
    GatewayTime(now: Instant(nanoseconds: milliseconds * 1_000_000), redisMilliseconds: milliseconds)
}

private func part(
    fence: Int64 = 1, number: Int64 = 1, sendBefore: Int64 = 1000, seqs: [Int64] = [1], replyTo: String = "w1"
) -> CallPart {
    CallPart(
        job: 7, batch: 0, fence: fence, number: number, sendBefore: sendBefore, responseMilliseconds: 5000,
        replyTo: replyTo, method: "m", payload: "null",
        items: seqs.map { .init(seq: $0, attempt: 0, deviceID: "d\($0)") })
}

private func inquiry(fence: Int64, seqs: [Int64] = [1], rememberedUntil: Int64 = 66_000) -> Inquiry {
    Inquiry(
        job: 7, batch: 0, fence: fence, replyTo: "w2",
        items: seqs.map { .init(seq: $0, attempt: 0, rememberedUntil: rememberedUntil) })
}

@Suite struct InvocationLedgerTests {
    @Test func sendsOnceAndTellsTheAnswer() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
        #expect(!ledger.mayWrite(call.rid, session: 1, at: time(2)).isAllowed, "a second write of the same call")
        let outcome = CallOutcome.answered(status: 200, payload: "null")
        let notice = ledger.answered(call.rid, deviceID: "d1", outcome: outcome)
        #expect(notice?.replyTo == "w1" && notice?.item == .init(seq: 1, outcome: outcome))
        #expect(ledger.answered(call.rid, deviceID: "d1", outcome: outcome) == nil, "a second answer")
    }

    @Test func anotherDeviceCannotAnswer() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
        #expect(ledger.answered(call.rid, deviceID: "d2", outcome: .timedOut) == nil)
    }

    @Test func refusesLowerFencesAndRepeatedParts() {
        var ledger = InvocationLedger(firstRID: 1)
        #expect(!ledger.accept(part(fence: 3), at: time(0)).isRefused)
        #expect(ledger.accept(part(fence: 2, number: 9, seqs: [2]), at: time(0)).isRefused)
        #expect(ledger.accept(part(fence: 3, seqs: [3]), at: time(0)).isRefused, "the same part from an old Redis")
        #expect(!ledger.accept(part(fence: 3, number: 2, seqs: [3]), at: time(0)).isRefused)
    }

    @Test func writesNothingLate() throws {
        var ledger = InvocationLedger(firstRID: 1)
        #expect(ledger.accept(part(), at: time(1000)).notices.map(\.item.outcome) == [.tooLate])
        let call = try #require(ledger.accept(part(fence: 2), at: time(0)).calls.first)
        // The gateway slept between taking the part and writing it.
        let (isAllowed, notice) = ledger.mayWrite(call.rid, session: 1, at: time(1000))
        #expect(!isAllowed && notice?.item.outcome == .tooLate)
    }

    @Test func anInquiryMakesTheUnseenNeverSent() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let notices = ledger.inquire(inquiry(fence: 5), at: time(10))
        #expect(notices.map(\.item.outcome) == [.neverSent])
        #expect(ledger.accept(part(fence: 4), at: time(11)).isRefused, "the delayed part of the earlier holder")
        #expect(!ledger.accept(part(fence: 5), at: time(12)).isRefused, "the asker's own part")
    }

    @Test func anInquiryStopsWhatIsQueued() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.inquire(inquiry(fence: 2), at: time(1)).map(\.item.outcome) == [.neverSent])
        #expect(!ledger.mayWrite(call.rid, session: 1, at: time(2)).isAllowed)
    }

    @Test func anInquiryRedirectsWhatIsInFlight() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
        #expect(ledger.inquire(inquiry(fence: 2), at: time(2)).map(\.item.outcome) == [.inFlight])
        let notice = ledger.answered(call.rid, deviceID: "d1", outcome: .answered(status: 1, payload: "2"))
        #expect(notice?.replyTo == "w2" && notice?.fence == 2)
    }

    @Test func anInquiryIsAnsweredFromMemoryAndHonestAboutItsEnd() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
        #expect(ledger.tick(time(5001)).map(\.item.outcome) == [.timedOut])
        #expect(ledger.inquire(inquiry(fence: 2), at: time(60_000)).map(\.item.outcome) == [.timedOut])
        _ = ledger.tick(time(66_999))
        #expect(ledger.count == 1)
        _ = ledger.tick(time(67_000))
        #expect(ledger.count == 0)
        // Nobody may conclude "never sent" from what was forgotten.
        #expect(ledger.inquire(inquiry(fence: 3), at: time(67_000)).map(\.item.outcome) == [.forgotten])
    }

    @Test func aSentCallIsNotSentAgainUnderAHigherFence() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
        let again = ledger.accept(part(fence: 2, replyTo: "w2"), at: time(2))
        #expect(again.calls.isEmpty && again.notices.map(\.item.outcome) == [.inFlight])
    }

    @Test func anUnsentCallMayBeSentAgain() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let first = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.undeliverable(first.rid)?.item.outcome == .notConnected)
        let second = try #require(ledger.accept(part(number: 2), at: time(5)).calls.first)
        #expect(!ledger.mayWrite(first.rid, session: 1, at: time(6)).isAllowed, "the rid of the first try")
        #expect(ledger.mayWrite(second.rid, session: 1, at: time(6)).isAllowed)
    }

    @Test func aDisconnectEndsWhatWasSent() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let calls = ledger.accept(part(seqs: [1, 2]), at: time(0)).calls
        #expect(ledger.mayWrite(calls[0].rid, session: 1, at: time(1)).isAllowed)
        #expect(ledger.dropped(deviceID: "d1", session: 1).map(\.item.outcome) == [.dropped])
        #expect(ledger.dropped(deviceID: "d2", session: 1).isEmpty, "queued: still undecided")
    }

    @Test func theEndOfAnOlderSessionDropsNothingOfTheNewer() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 2, at: time(1)).isAllowed)
        #expect(ledger.dropped(deviceID: "d1", session: 1).isEmpty)
        #expect(ledger.dropped(deviceID: "d1", session: 2).map(\.item.outcome) == [.dropped])
    }

    @Test func outcomesNameThePartOrTheInquiryTheyAnswer() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let first = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.undeliverable(first.rid)?.number == 1)
        let second = try #require(ledger.accept(part(number: 2), at: time(1)).calls.first)
        #expect(ledger.mayWrite(second.rid, session: 1, at: time(2)).isAllowed)
        #expect(ledger.inquire(inquiry(fence: 3), at: time(3)).map(\.number) == [0])
        #expect(ledger.answered(second.rid, deviceID: "d1", outcome: .invalidAnswer)?.number == 0)
        #expect(ledger.accept(part(fence: 3, number: 7), at: time(4)).notices.map(\.number) == [7])
    }

    @Test func aClockThatStepsBackMakesNothingNeverSent() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
        _ = ledger.tick(time(5001))
        _ = ledger.tick(time(67_000))
        #expect(ledger.count == 0)
        // The estimate of Redis' clock was too high by the time that a beat took, or Redis moved to another host.
        #expect(ledger.inquire(inquiry(fence: 2), at: time(65_000)).map(\.item.outcome) == [.forgotten])
        #expect(
            ledger.inquire(inquiry(fence: 2, rememberedUntil: 66_001), at: time(65_000)).map(\.item.outcome)
                == [.neverSent])
    }

    @Test func aSecondTryIsRememberedAsLongAsTheFirst() throws {
        var limits = InvocationLedger.Limits()
        limits.windowMilliseconds = 10_000
        var ledger = InvocationLedger(limits: limits, firstRID: 1)
        let first = try #require(ledger.accept(part(sendBefore: 9000), at: time(0)).calls.first)
        #expect(ledger.undeliverable(first.rid) != nil)
        let second = try #require(ledger.accept(part(number: 2, sendBefore: 1000), at: time(1)).calls.first)
        #expect(ledger.mayWrite(second.rid, session: 1, at: time(2)).isAllowed)
        _ = ledger.tick(time(6000))
        for second in stride(from: Int64(66_000), through: 74_000, by: 1000) { _ = ledger.tick(time(second)) }
        // The asker reckons with the later of the two dispatches.
        #expect(
            ledger.inquire(inquiry(fence: 2, rememberedUntil: 74_000), at: time(74_000)).map(\.item.outcome)
                == [.timedOut])
        _ = ledger.tick(time(75_000))
        #expect(ledger.count == 0)
    }

    @Test func aCallOutsideJobsThatComesBackIsNotSent() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = CallPart(
            job: 0, batch: 0, fence: 0, number: 0, sendBefore: 1000, responseMilliseconds: 5000, replyTo: "api",
            method: "m", payload: "null", items: [.init(seq: 99, attempt: 0, deviceID: "d1")])
        let first = try #require(ledger.accept(call, at: time(0)).calls.first)
        #expect(ledger.undeliverable(first.rid) != nil)
        // Its caller was told, and has called again under another id; an old Redis returns the message.
        #expect(ledger.accept(call, at: time(1)).calls.isEmpty)
    }

    /// A clock of Redis that is set, in either direction, makes no call late.
    @Test func aPartOfAnotherClockIsNotSent() throws {
        var ledger = InvocationLedger(firstRID: 1)
        // The sender's clock was set forward, and this gateway has not heard of it.
        #expect(ledger.accept(part(sendBefore: 60_000), at: time(0)).notices.map(\.item.outcome) == [.tooLate])
        // The clock is set back while the call waits for its session.
        let call = try #require(ledger.accept(part(number: 2, sendBefore: 61_000), at: time(60_000)).calls.first)
        let (isAllowed, notice) = ledger.mayWrite(call.rid, session: 1, at: time(2))
        #expect(!isAllowed && notice?.item.outcome == .tooLate)
    }

    private static let large = CallOutcome.answered(status: 200, payload: String(repeating: "1", count: 600))

    private func call(_ ledger: inout InvocationLedger, seq: Int64) throws {
        let call = try #require(ledger.accept(part(number: seq, seqs: [seq]), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
        #expect(ledger.answered(call.rid, deviceID: "d\(seq)", outcome: Self.large)?.item.outcome == Self.large)
    }

    @Test func largeAnswersAreKeptUntilTheyAreRecorded() throws {
        var limits = InvocationLedger.Limits()
        limits.payloadBytes = 1200
        var ledger = InvocationLedger(limits: limits, firstRID: 1)
        try call(&ledger, seq: 1)
        let refused = ledger.accept(part(number: 2, seqs: [2]), at: time(2))
        #expect(refused.notices.map(\.item.outcome) == [.tooManyInFlight], "half of the bytes are taken")
        #expect(ledger.inquire(inquiry(fence: 1), at: time(3)).map(\.item.outcome) == [Self.large])
        for _ in 0..<2 { ledger.settle(Settlement(job: 7, items: [.init(seq: 1, attempt: 0)])) }
        try call(&ledger, seq: 3)
        // Recorded, yet never sent again.
        let again = ledger.accept(part(number: 4), at: time(5))
        #expect(again.calls.isEmpty && again.notices.map(\.item.outcome) == [.forgotten])
        // What was forgotten gives its bytes back too.
        _ = ledger.tick(time(67_000))
        #expect(!ledger.accept(part(fence: 2, sendBefore: 68_000, seqs: [5]), at: time(67_001)).calls.isEmpty)
    }

    @Test func answersOfCallsInFlightThatFindNoRoomAreToldAndNotKept() throws {
        var limits = InvocationLedger.Limits()
        limits.payloadBytes = 1000
        var ledger = InvocationLedger(limits: limits, firstRID: 1)
        let calls = ledger.accept(part(seqs: [1, 2]), at: time(0)).calls
        for call in calls {
            #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
            let notice = ledger.answered(call.rid, deviceID: call.deviceID, outcome: Self.large)
            #expect(notice?.item.outcome == Self.large)
        }
        #expect(
            ledger.inquire(inquiry(fence: 2, seqs: [1, 2]), at: time(3)).map(\.item.outcome)
                == [Self.large, .forgotten])
    }

    private static let closed = Settlement(job: 7, items: [], closed: .init(batch: 0, fence: 2))

    @Test func theCallsOfAClosedBatchAreForgottenAndNeverSentAgain() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let calls = ledger.accept(part(fence: 2, seqs: [1, 2]), at: time(0)).calls
        for call in calls { #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed) }
        #expect(ledger.answered(calls[0].rid, deviceID: "d1", outcome: Self.large) != nil)
        ledger.settle(Self.closed)
        // The holder took this gateway for gone and recorded the second as unknown: it is still out there.
        #expect(ledger.count == 1 && ledger.inFlight == 1)
        #expect(ledger.accept(part(fence: 2, number: 9), at: time(2)).isRefused, "a late part of the last holder")
        #expect(ledger.accept(part(fence: 1, number: 9), at: time(2)).isRefused, "a late part of an earlier holder")
        // A late inquiry must not read as if the call could be sent.
        #expect(
            ledger.inquire(inquiry(fence: 2, seqs: [1, 2, 3]), at: time(3)).map(\.item.outcome)
                == [.forgotten, .inFlight, .forgotten])
        #expect(ledger.answered(calls[0].rid, deviceID: "d1", outcome: Self.large) == nil, "a second answer")
        #expect(ledger.answered(calls[1].rid, deviceID: "d2", outcome: Self.large) != nil)
        // The line of the batch goes as late as its calls would have gone, and so do those that were left.
        _ = ledger.tick(time(66_000))
        #expect(ledger.accept(part(fence: 2, number: 10, sendBefore: 67_500), at: time(66_000)).isRefused)
        _ = ledger.tick(time(67_000))
        #expect(ledger.count == 0)
    }

    @Test func aBatchThatIsClosedUnderAnOlderFenceIsKept() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let call = try #require(ledger.accept(part(fence: 3), at: time(0)).calls.first)
        #expect(ledger.mayWrite(call.rid, session: 1, at: time(1)).isAllowed)
        #expect(ledger.answered(call.rid, deviceID: "d1", outcome: Self.large) != nil)
        ledger.settle(Self.closed)
        #expect(ledger.count == 1)
        #expect(ledger.inquire(inquiry(fence: 4), at: time(2)).map(\.item.outcome) == [Self.large])
    }

    @Test func whatWasParkedAndSentFromAnotherBatchIsKept() throws {
        var ledger = InvocationLedger(firstRID: 1)
        let first = try #require(ledger.accept(part(fence: 2), at: time(0)).calls.first)
        #expect(ledger.undeliverable(first.rid) != nil)
        let other = CallPart(
            job: 7, batch: 1, fence: 1, number: 1, sendBefore: 1000, responseMilliseconds: 5000, replyTo: "w1",
            method: "m", payload: "null", items: [.init(seq: 1, attempt: 0, deviceID: "d1")])
        let second = try #require(ledger.accept(other, at: time(1)).calls.first)
        #expect(ledger.mayWrite(second.rid, session: 1, at: time(2)).isAllowed)
        #expect(ledger.answered(second.rid, deviceID: "d1", outcome: .timedOut) != nil)
        ledger.settle(Self.closed)
        #expect(ledger.count == 1)
    }

    @Test func callsOfOneDeviceAreCountedWhicheverEnds() throws {
        var limits = InvocationLedger.Limits()
        limits.callsPerDevice = 3
        var ledger = InvocationLedger(limits: limits, firstRID: 1)
        func call(_ seq: Int64) -> InvocationLedger.Acceptance {
            ledger.accept(
                CallPart(
                    job: 7, batch: 0, fence: 1, number: seq, sendBefore: 1000, responseMilliseconds: 5000,
                    replyTo: "w1", method: "m", payload: "null", items: [.init(seq: seq, attempt: 0, deviceID: "d")]),
                at: time(0))
        }
        let rids = (1...3).map { call($0).calls[0].rid }
        #expect(call(4).notices.map(\.item.outcome) == [.tooManyInFlight])
        // The one in the middle, the newest, the oldest.
        for (number, index) in [1, 2, 0].enumerated() {
            #expect(ledger.undeliverable(rids[index]) != nil)
            #expect(ledger.inFlight == 2)
            #expect(call(Int64(10 + number)).calls.count == 1)
        }
        #expect(call(20).notices.map(\.item.outcome) == [.tooManyInFlight])
    }

    @Test func limitsRefuseNewCallsAndForgetNone() throws {
        var limits = InvocationLedger.Limits()
        limits.invocations = 2
        var ledger = InvocationLedger(limits: limits, firstRID: 1)
        let acceptance = ledger.accept(part(seqs: [1, 2, 3]), at: time(0))
        #expect(acceptance.calls.count == 2)
        #expect(acceptance.notices.map(\.item.outcome) == [.tooManyInFlight])
    }
}
