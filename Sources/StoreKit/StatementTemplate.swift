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
        var text = self.text
        for (name, part) in parts {
            let opening = "/*\(name):*/"
            let closing = "/*:\(name)*/"
            var rest = text[...]
            var filled = ""
            var found = false
            while let start = rest.firstRange(of: opening),
                let end = rest[start.upperBound...].firstRange(of: closing)
            {
                filled += rest[..<start.lowerBound] + part
                rest = rest[end.upperBound...]
                found = true
            }
            precondition(found, "statement \(self.name) has no part \(name)")
            text = filled + rest
        }
        return Statement(name: self.name, text: text, isPrepared: isPrepared)
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
