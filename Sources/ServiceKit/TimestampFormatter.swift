// ISO-8601 UTC text from seconds since 1970 and back, without Foundation's formatters, which are slow and lock.

package struct TimestampFormatter: Sendable {
    package init() {}

    /// `2031-05-06T07:08:09.123456Z`, always six digits of fraction.
    package func text(unixTime: Double) -> String {
        text(microseconds: Int64((unixTime * 1e6).rounded(.down)))
    }

    /// The same from microseconds since 1970-01-01 UTC.
    package func text(microseconds: Int64) -> String {
        let (days, rest) = Self.floorDivide(microseconds, 86_400_000_000)
        let (year, month, day) = Self.civil(fromDays: days)
        let seconds = rest / 1_000_000
        return "\(Self.pad(year, 4))-\(Self.pad(month, 2))-\(Self.pad(day, 2))T\(Self.pad(seconds / 3600, 2)):"
            + "\(Self.pad(seconds / 60 % 60, 2)):\(Self.pad(seconds % 60, 2)).\(Self.pad(rest % 1_000_000, 6))Z"
    }

    /// Microseconds since 1970 of an ISO-8601 text with 0 to 9 fraction digits and `Z`, `±hh:mm` or no zone (UTC);
    /// nil when the text is no such date. Digits beyond microseconds are dropped.
    package func microseconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 19, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            bytes[10] == UInt8(ascii: "T"), bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
            let year = Self.digits(bytes[0..<4]), let month = Self.digits(bytes[5..<7]),
            let day = Self.digits(bytes[8..<10]), let hour = Self.digits(bytes[11..<13]),
            let minute = Self.digits(bytes[14..<16]), let second = Self.digits(bytes[17..<19]),
            year >= 1, (1...12).contains(month), hour < 24, minute < 60, second < 60,
            day >= 1, day <= Self.days(inMonth: month, year: year)
        else { return nil }
        var position = 19
        var fraction: Int64 = 0
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            let start = position + 1
            position = start
            while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
                position += 1
            }
            guard (1...9).contains(position - start) else { return nil }
            for index in 0..<6 {
                let digit = start + index < position ? Int64(bytes[start + index] - UInt8(ascii: "0")) : 0
                fraction = fraction * 10 + digit
            }
        }
        guard let offset = Self.zone(bytes[position...]) else { return nil }
        let days = Self.days(fromCivil: (year, month, day))
        let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second
        return seconds * 1_000_000 + fraction
    }

    /// Minutes east of UTC.
    private static func zone(_ bytes: ArraySlice<UInt8>) -> Int64? {
        let zone = Array(bytes)
        if zone.isEmpty || zone == [UInt8(ascii: "Z")] || zone == [UInt8(ascii: "z")] { return 0 }
        guard zone.count == 6, zone[3] == UInt8(ascii: ":"),
            zone[0] == UInt8(ascii: "+") || zone[0] == UInt8(ascii: "-"),
            let hours = digits(zone[1..<3]), let minutes = digits(zone[4..<6]), hours < 24, minutes < 60
        else { return nil }
        let offset = hours * 60 + minutes
        return zone[0] == UInt8(ascii: "-") ? -offset : offset
    }

    private static func digits(_ bytes: ArraySlice<UInt8>) -> Int64? {
        var value: Int64 = 0
        for byte in bytes {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return value
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (Int64, Int64) {
        var (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        if remainder < 0 {
            quotient -= 1
            remainder += divisor
        }
        return (quotient, remainder)
    }

    private static func days(inMonth month: Int64, year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    // The usual civil-calendar arithmetic with years that start in March, so that the leap day is the last.
    private static func days(fromCivil date: (Int64, Int64, Int64)) -> Int64 {
        let (year, month, day) = (date.1 <= 2 ? date.0 - 1 : date.0, date.1, date.2)
        let era = floorDivide(year, 400).0
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
        let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthIndex + 2) / 5 + 1)
    }
}
