// query: a statement or condition that is taken compiles to text in which each parameter has its placeholder, and which
// is the same each time; an error stands within the text.

import TwinQuery

func fuzzQuery(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    do {
        let condition = try parseCondition(text)
        let fragment = condition.sql(firstParameter: 4)
        check([fragment.text], fragment.parameters.count)
        precondition(condition.sql(firstParameter: 4).text == fragment.text)
    } catch {
        check(error, text)
    }
    do {
        let query = try parseStatement(text)
        let compiled = query.compiled(firstParameter: 4)
        check([compiled.condition] + compiled.columns.map(\.sql) + compiled.groupKeys, compiled.parameters.count)
        precondition(query.compiled(firstParameter: 4).condition == compiled.condition)
    } catch {
        check(error, text)
    }
}

private func check(_ texts: [String], _ parameters: Int) {
    var numbers: Set<Int> = []
    for text in texts {
        for part in text.utf8.split(separator: UInt8(ascii: "$"), omittingEmptySubsequences: false).dropFirst() {
            let digits = part.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            if let number = Int(Substring(digits)) { numbers.insert(number) }
        }
    }
    precondition(numbers == Set(4..<4 + parameters), "placeholders and parameters do not fit")
}

private func check(_ error: QueryError, _ text: String) {
    precondition(!error.message.isEmpty)
    precondition((1...text.unicodeScalars.count + 1).contains(error.position))
}
