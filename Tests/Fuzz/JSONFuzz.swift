// json: a text that is taken survives being written and read again, and an error stands within the text. What only asks
// whether a text is JSON gives the parser's verdict.

import JSON

func fuzzJSON(_ bytes: [UInt8]) {
    check(bytes, JSONLimits(depth: 16, bytes: 2048))
    check(bytes, JSONLimits(depth: 16, bytes: 2048, refusesInexactIntegers: true))
}

private func check(_ bytes: [UInt8], _ limits: JSONLimits) {
    let isJSON = String(validating: bytes, as: UTF8.self).map { JSONCheck.isJSON($0, limits: limits) } ?? false
    do {
        let value = try JSONValue(parsing: bytes, limits: limits)
        precondition(isJSON, "the parser reads what the check refuses")
        // A double without a fraction is written as an integer, and small numbers may become longer: bytes are compared,
        // and no limit holds for them.
        let written = value.bytes
        let again = read(written)
        precondition(again.bytes == written, "written and read again it is another text")
        precondition(read(Array(value.prettyText.utf8)).bytes == written, "the indented text is another")
    } catch {
        precondition(!isJSON, "the parser refuses what the check takes")
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
