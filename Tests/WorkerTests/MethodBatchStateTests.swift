// One batch of direct methods in a worker: what is sent, asked and recorded, and when the outcome is unknown.

import JobModel
import JobStore
import RouteStore
import ServiceKit
import Testing
import Worker

private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }
private let items = (0..<3).map { OpenItem(seq: $0, deviceID: "d\($0)", attempt: 0) }

private func dispatch(_ gateway: String, _ seqs: [Int64], isAlive: Bool = true) -> Dispatch {
    Dispatch(
        gateway: gateway, incarnation: "1", seqs: seqs, sendBefore: 1000, responseMilliseconds: 5000,
        isGatewayAlive: isAlive)
}

/// `number` 0 answers an inquiry.
private func answer(_ gateway: String, _ number: Int64, _ outcomes: [(Int64, CallOutcome)]) -> AnswerPart {
    AnswerPart(
        job: 1, batch: 0, fence: 1, number: number, gateway: "\(gateway)~1",
        items: outcomes.map { .init(seq: $0.0, outcome: $0.1) })
}

private func state(_ dispatches: [Dispatch] = []) -> MethodBatchState {
    MethodBatchState(items: items, dispatches: dispatches, response: .seconds(5), now: at(0))
}

@Suite struct MethodBatchStateTests {
    @Test func aFreshBatchIsSentAndRecorded() {
        var state = state()
        #expect(state.due(now: at(0)).map(\.seq) == [0, 1, 2])
        state.handedOver([0, 1, 2], to: "g~1", number: 1, response: .seconds(5), now: at(0))
        #expect(state.due(now: at(0)).isEmpty && !state.isQuiet)
        state.answer(
            answer("g", 1, [(0, .answered(status: 200, payload: "{}")), (1, .timedOut), (2, .dropped)]), now: at(5))
        #expect(state.isQuiet && state.shouldRecord(now: at(5)))
        let results = state.takeResults()
        #expect(results.map(\.error) == [nil, .gatewayTimeout, .deviceNotOnline])
        #expect(results[0].response == #"{"status":200,"payload":{}}"#)
        #expect(state.openCount == 0)
    }

    @Test func theWordOfAnotherGatewayCountsForNothing() {
        var state = state()
        state.handedOver([0], to: "g~1", number: 1, response: .seconds(5), now: at(0))
        state.answer(answer("h", 1, [(0, .timedOut)]), now: at(1))
        #expect(state.results.isEmpty)
    }

    @Test func unsentIsTriedAgainAndParkedAtLast() {
        var state = state()
        var now: Int64 = 0
        var number: Int64 = 0
        for _ in 0...Limits.routeRetries {
            #expect(state.due(now: at(now)).contains { $0.seq == 0 })
            number += 1
            state.handedOver([0], to: "g~1", number: number, response: .seconds(5), now: at(now))
            state.answer(answer("g", number, [(0, .notConnected)]), now: at(now))
            now += Limits.routeRetryDelay.milliseconds
        }
        #expect(state.unreachable == [0])
    }

    @Test func whatAnEarlierHolderDispatchedIsAskedFirst() {
        var state = state([dispatch("g", [0, 1]), dispatch("h", [1])])
        #expect(state.due(now: at(0)).map(\.seq) == [2], "nothing that may have been sent is sent")
        let batch = ClaimedBatch(
            id: BatchID(job: 1, batch: 0), fence: Fence(4), slot: 1, firstSeq: 0, lastSeq: 2, open: 3)
        let inquiries = state.inquiries(batch: batch, replyTo: "w")
        #expect(inquiries.keys.sorted() == ["g~1", "h~1"])
        #expect(inquiries["g~1"]?.items.map(\.seq).sorted() == [0, 1] && inquiries["g~1"]?.fence == 4)
        state.answer(answer("g", 0, [(0, .neverSent), (1, .neverSent)]), now: at(1))
        #expect(state.due(now: at(1)).map(\.seq) == [0, 2], "1 was dispatched to h as well")
        state.answer(answer("h", 0, [(1, .answered(status: 1, payload: "2"))]), now: at(2))
        #expect(state.takeResults().map(\.seq) == [1])
    }

    @Test func aGoneGatewayMakesTheOutcomeUnknown() {
        var state = state([dispatch("g", [0], isAlive: false), dispatch("h", [1])])
        #expect(state.takeResults().map(\.error) == [.outcomeUnknown], "nobody is left to be asked")
        state.lost(gateways: ["h~1"], now: at(1))
        #expect(state.takeResults().map(\.error) == [.outcomeUnknown])
        state.handedOver([2], to: "i~1", number: 1, response: .seconds(5), now: at(1))
        state.lost(gateways: ["i~1"], now: at(2))
        #expect(state.takeResults().map(\.seq) == [2])
    }

    @Test func aGoneGatewayDoesNotHideAnAnswer() {
        var state = state([dispatch("g", [0], isAlive: false), dispatch("h", [0])])
        #expect(state.results.isEmpty)
        state.answer(answer("h", 0, [(0, .answered(status: 200, payload: "null"))]), now: at(1))
        #expect(state.takeResults().map(\.error) == [nil])
    }

    @Test func neverSentHereAndGoneThereIsUnknown() {
        var state = state([dispatch("g", [0], isAlive: false), dispatch("h", [0])])
        state.answer(answer("h", 0, [(0, .neverSent)]), now: at(1))
        #expect(state.takeResults().map(\.error) == [.outcomeUnknown])
        #expect(state.due(now: at(1)).map(\.seq) == [1, 2])
    }

    @Test func inFlightElsewhereIsAwaited() {
        var state = state([dispatch("g", [0])])
        state.answer(answer("g", 0, [(0, .inFlight)]), now: at(1))
        #expect(!state.isAsking && state.awaitedGateways == ["g~1"])
        state.answer(answer("g", 0, [(0, .timedOut)]), now: at(9))
        #expect(state.takeResults().map(\.error) == [.gatewayTimeout])
    }

    @Test func whoKeepsALargeAnswerIsToldWhenItIsRecorded() {
        var state = state()
        state.handedOver([0, 1], to: "g~1", number: 1, response: .seconds(5), now: at(0))
        let large = String(repeating: "1", count: RouteLimits.smallPayloadBytes + 1)
        state.answer(
            answer("g", 1, [(0, .answered(status: 1, payload: large)), (1, .answered(status: 1, payload: "1"))]),
            now: at(1))
        #expect(state.takeKeepers() == ["g~1": [Settlement.Item(seq: 0, attempt: 0)]])
        #expect(state.takeKeepers().isEmpty)
    }

    @Test func anAnswerThatComesTwiceSaysNothingAboutTheNextPart() {
        var state = state()
        state.handedOver([0], to: "g~1", number: 1, response: .seconds(5), now: at(0))
        state.answer(answer("g", 1, [(0, .notConnected)]), now: at(1))
        state.handedOver([0], to: "g~1", number: 2, response: .seconds(5), now: at(300))
        // The gateway could not know whether its word had arrived, and said it again.
        for outcome in [CallOutcome.notConnected, .tooLate, .tooManyInFlight, .neverSent, .forgotten] {
            state.answer(answer("g", 1, [(0, outcome)]), now: at(301))
        }
        #expect(!state.due(now: at(900)).contains { $0.seq == 0 } && state.results.isEmpty)
        state.answer(answer("g", 2, [(0, .answered(status: 200, payload: "1"))]), now: at(302))
        #expect(state.takeResults().map(\.seq) == [0])
    }

    @Test func aSecondAnswerToTheInquirySaysNothingAboutWhatWasSentSince() {
        var state = state([dispatch("g", [0])])
        state.answer(answer("g", 0, [(0, .neverSent)]), now: at(1))
        state.handedOver([0], to: "g~1", number: 1, response: .seconds(5), now: at(2))
        state.answer(answer("g", 0, [(0, .neverSent)]), now: at(3))
        #expect(!state.due(now: at(900)).contains { $0.seq == 0 })
        // Final outcomes count whichever message they answer: the call is sent once.
        state.answer(answer("g", 0, [(0, .timedOut)]), now: at(4))
        #expect(state.takeResults().map(\.error) == [.gatewayTimeout])
    }

    @Test func whatIsInFlightCannotBecomeUnsent() {
        var state = state([dispatch("g", [0])])
        state.answer(answer("g", 0, [(0, .inFlight)]), now: at(1))
        state.answer(answer("g", 0, [(0, .neverSent)]), now: at(2))
        #expect(!state.due(now: at(900)).contains { $0.seq == 0 } && state.awaitedGateways == ["g~1"])
    }

    @Test func aLostWordIsOverdue() {
        var state = state()
        state.handedOver([0], to: "g~1", number: 1, response: .seconds(5), now: at(0))
        let last = Limits.sendWindow + .seconds(5) + Limits.answerSlack
        #expect(!state.isOverdue(now: at(last.milliseconds - 1)))
        #expect(state.isOverdue(now: at(last.milliseconds)))
    }

    @Test func aJobLeavesRoomForTheNext() {
        var slots = CallSlots(limit: 20_000)
        var taken = 0
        while slots.exhausted.isEmpty {
            slots.take(500, for: 1)
            taken += 500
        }
        #expect((9000...10_000).contains(taken), "one job keeps about half")
        slots.take(500, for: 2)
        #expect(slots.exhausted == [1], "a second job has room")
    }

    @Test func lanesThatTakeAtTheSameTimeKeepTheLimit() {
        var slots = CallSlots(limit: 2 * 1000)
        slots.take(500, for: 1)
        #expect(slots.exhausted.isEmpty)
        slots.beginTake()
        #expect(slots.exhausted == [1], "another lane may be taking the second batch")
        slots.endTake()
        #expect(slots.exhausted.isEmpty, "there was none")
        slots.take(500, for: 1)
        #expect(slots.exhausted == [1] && slots.inFlight == 1000)
    }
}
