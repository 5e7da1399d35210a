// json: a text that is taken survives being written and read again, and an error stands within the text.

import JSON

func fuzzJSON(_ bytes: [UInt8]) {
    check(bytes, JSONLimits(depth: 16, bytes: 2048))
    check(bytes, JSONLimits(depth: 16, bytes: 2048, refusesInexactIntegers: true))
}

private func check(_ bytes: [UInt8], _ limits: JSONLimits) {
    do {
        let value = try JSONValue(parsing: bytes, limits: limits)
        // A double without a fraction is written as an integer, and small numbers may become longer: bytes are compared,
        // and no limit holds for them.
        let written = value.bytes
        let again = read(written)
        precondition(again.bytes == written, "written and read again it is another text")
        precondition(read(Array(value.prettyText.utf8)).bytes == written, "the indented text is another")
    } catch {
        precondition((0...bytes.count).contains(error.offset))
    }
}

private func read(_ bytes: [UInt8]) -> JSONValue {
    do {
        return try JSONValue(parsing: bytes)
    } catch {
        preconditionFailure("our own text is refused: \(error)")
    }
}
