// Statements with a compiled part: a `.sql` file marks the place as `/*name:*/ default /*:name*/`, so that the file
// itself is a valid statement, and the compiled text takes the default's place. Compiled text comes from our compilers
// (query conditions, patches) and never holds user text: that travels as parameters.

package import Postgres
package import TwinModel
package import TwinQuery

extension Statement {
    /// The statement with each named part replaced. The name stays, and the text tells prepared statements apart.
    /// `isPrepared` is for texts that are executed many times, such as a job's patch.
    package func filling(_ parts: [String: String], isPrepared: Bool = false) -> Statement {
        // In bytes, because it is done for each batch: characters of a text of this size take milliseconds to compare.
        var text = Array(self.text.utf8)
        for (name, part) in parts {
            let opening = Array("/*\(name):*/".utf8)
            let closing = Array("/*:\(name)*/".utf8)
            var filled: [UInt8] = []
            filled.reserveCapacity(text.count + part.utf8.count)
            var rest = text[...]
            while let start = rest.range(ofBytes: opening), let end = rest[start.upperBound...].range(ofBytes: closing)
            {
                filled += rest[..<start.lowerBound]
                filled += part.utf8
                rest = rest[end.upperBound...]
            }
            precondition(rest.startIndex > 0, "statement \(self.name) has no part \(name)")
            text = filled + rest
        }
        return Statement(name: self.name, text: String(decoding: text, as: UTF8.self), isPrepared: isPrepared)
    }
}

extension Parameter {
    package init(_ parameter: QueryParameter) {
        switch parameter {
        case .integer(let value): self = .integer(value)
        case .json(let value): self = .json(value)
        case .number(let value): self = .double(value)
        case .text(let text): self = .text(text)
        case .textArray(let texts): self = .textArray(texts.map { Optional($0) })
        }
    }

    package init(_ parameter: TwinPatchSQL.Parameter) {
        switch parameter {
        case .json(let value): self = .json(value)
        case .text(let text): self = .text(text)
        case .textArray(let texts): self = .textArray(texts.map { Optional($0) })
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate func range(ofBytes wanted: [UInt8]) -> Range<Int>? {
        var index = startIndex
        while index + wanted.count <= endIndex {
            if self[index] == wanted[0], self[index..<index + wanted.count].elementsEqual(wanted) {
                return index..<index + wanted.count
            }
            index += 1
        }
        return nil
    }
}
