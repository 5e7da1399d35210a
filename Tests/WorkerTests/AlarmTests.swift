// Goal: each wait for answers ends at its moment or with an answer, and many waits share a timer. Method: a clock whose
// sleeps are counted, and mailboxes on it.

import RouteStore
import ServiceKit
import Synchronization
import Testing

@testable import Worker

/// Counts how many sleeps were begun.
private final class CountingClock: ServiceClock {
    private let real = SystemClock()
    private let count = Mutex(0)

    var sleeps: Int { count.withLock { $0 } }
    var now: Instant { real.now }
    var unixTime: Double { real.unixTime }

    func sleep(for duration: Duration) async throws {
        count.withLock { $0 += 1 }
        try await real.sleep(for: duration)
    }
}

@Suite struct AlarmTests {
    private let answer = AnswerPart(job: 1, batch: 2, fence: 3, number: 1, gateway: "g~1", items: [])

    @Test func eachWaitEndsAtItsMoment() async {
        let clock = CountingClock()
        let alarm = Alarm(clock: clock)
        let start = clock.now
        // The later ones first, so that the timer has to be set anew for an earlier one.
        await withTaskGroup(of: Void.self) { group in
            for milliseconds in [90, 60, 30, 0] {
                group.addTask {
                    let moment = start + .milliseconds(milliseconds)
                    let answers = await Mailbox(alarm: alarm).take(until: moment)
                    #expect(answers.isEmpty)
                    #expect(clock.now >= moment)
                }
            }
        }
    }

    @Test func anAnswerEndsItsWaitAndNoOther() async {
        let clock = CountingClock()
        let alarm = Alarm(clock: clock)
        let (first, second) = (Mailbox(alarm: alarm), Mailbox(alarm: alarm))
        let moment = clock.now + .milliseconds(50)
        async let silent = second.take(until: moment)
        async let answered = first.take(until: clock.now + .seconds(600))
        first.put(answer)
        #expect(await answered == [answer])
        #expect(await silent.isEmpty)
        #expect(clock.now >= moment)
    }

    @Test func waitsThatEndSoonShareATimer() async {
        let clock = CountingClock()
        let mailbox = Mailbox(alarm: Alarm(clock: clock))
        for _ in 0..<100 {
            async let answers = mailbox.take(until: clock.now + .seconds(600))
            mailbox.put(answer)
            #expect(await answers == [answer])
        }
        #expect(clock.sleeps <= 1)
    }
}
