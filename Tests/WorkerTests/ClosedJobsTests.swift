// Goal: the leader hears soon of a job that may be done, and is not woken by jobs that go on. Method: the pure machine.

import JobModel
import ServiceKit
import Testing

@testable import Worker

@Suite struct ClosedJobsTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func aJobThatGoesOnIsNotTold() {
        var closed = ClosedJobs()
        for moment in 0..<10 {
            closed.add(1)
            let told = closed.took(from: 1, now: at(Int64(moment) * 1000))
            #expect(!told)
        }
        let told = closed.foundNothing(now: at(10_000))
        #expect(!told)
    }

    @Test func aJobOfWhichNothingMoreComesIsTold() {
        var closed = ClosedJobs()
        closed.add(2)
        let besideAnother = closed.took(from: 1, now: at(0))
        #expect(besideAnother, "while another job keeps the worker busy")
        closed.add(1)
        let whileIdle = [closed.foundNothing(now: at(2)), closed.foundNothing(now: at(3))]
        #expect(whileIdle == [true, false], "there is no more work, and it is told once")
    }

    @Test func manyJobsSideBySideAreToldSeldomAndNotForgotten() {
        var closed = ClosedJobs()
        var told = 0
        for moment in 0..<1000 {
            closed.add(Int64(moment % 50))
            if closed.took(from: Int64((moment + 1) % 50), now: at(Int64(moment))) { told += 1 }
        }
        #expect((15...20).contains(told), "1,000 ms")
        closed.add(99)
        let later = at(1000 + Limits.closedInterval.milliseconds)
        let toldLater = closed.took(from: 1, now: later)
        #expect(toldLater, "what was not told at once is told with the next batch")
    }
}
