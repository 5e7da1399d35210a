// Goal: tables and progress lines as people see them. Method: fixed inputs, whole texts.

import CommandLineKit
import Testing

@Suite struct TextTests {
    @Test func tables() {
        var table = TextTable([("NAME", .left), ("COUNT", .right), ("NOTE", .left)])
        table.add(["a", "1000000", "x\u{1B}[2Jy"])
        table.add(["long name", "2", ""])
        #expect(
            table.text == """
                NAME         COUNT  NOTE
                a          1000000  x?[2Jy
                long name        2  \n
                """)
    }

    @Test func progressLines() {
        var meter = ProgressMeter(unit: "devices")
        #expect(meter.line(done: 0, total: 100, width: 80) == "[....................]    0 %  0 of 100 devices")
        meter.record(done: 0, seconds: 5)
        meter.record(done: 40, seconds: 7)
        #expect(
            meter.line(done: 40, total: 100, width: 80)
                == "[########............]   40 %  40 of 100 devices  20/s  about 3 s left")
        #expect(meter.line(done: 40, total: nil, width: 80) == "40 devices  20/s")
        #expect(meter.line(done: 40, total: 100, width: 10) == "[####.....")
        #expect(meter.line(done: 0, total: 0, width: 80).contains("100 %"))
    }

    @Test func ratesFollowTheLastSeconds() {
        var meter = ProgressMeter(unit: "devices")
        for second in 0...100 { meter.record(done: min(second, 50), seconds: Double(second)) }
        #expect(meter.rate == 0)
    }

    @Test(arguments: [(0.0, "0 s"), (59.2, "1 min 0 s"), (7265, "2 h 1 min"), (1e30, "100 d")])
    func times(seconds: Double, text: String) {
        #expect(ProgressMeter.text(seconds: seconds) == text)
    }
}
