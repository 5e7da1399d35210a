// http: requests are the same however the bytes were cut, and nothing follows a refusal.

@testable import HTTP

func fuzzHTTP(_ bytes: [UInt8]) {
    precondition(parse([bytes[...]]) == parse(pieces(of: bytes)), "the result depends on the cut")
}

/// What comes out, as text.
private func parse(_ pieces: [ArraySlice<UInt8>]) -> [String] {
    // Small enough to be exceeded.
    var limits = HTTPLimits()
    limits.requestLineBytes = 200
    limits.headerBytes = 400
    limits.headerCount = 8
    limits.bodyBytes = 300
    limits.chunkLineBytes = 40
    limits.chunkOverheadBytes = 200
    var parser = HTTPRequestParser(limits: limits)
    var results: [String] = []
    for piece in pieces {
        Array(piece).withUnsafeBufferPointer { parser.append($0) }
        events: while true {
            switch parser.next() {
            case .needsMore: break events
            case .request(let request, let persistence):
                results.append(
                    "\(request.method) \(request.path) \(request.segments) \(request.query) "
                        + "\(request.headers.fields) \(request.body) \(persistence)")
            case .failed(let error):
                guard case .failed(error) = parser.next() else { preconditionFailure("a dead parser goes on") }
                precondition((400...599).contains(error.status))
                return results + ["\(error)"]
            }
        }
    }
    return results
}
